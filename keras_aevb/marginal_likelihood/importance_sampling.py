"""Importance sampling from the recognition model."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb._backend import tfp
from keras_aevb.marginal_likelihood import pareto
from keras_aevb.marginal_likelihood.base import CHUNK_SIZE, Estimator
from keras_aevb.marginal_likelihood.log_mean import RunningMean
from keras_aevb.typing import Decode, Distribution, Tensor, Terms


@keras.saving.register_keras_serializable(package="keras_aevb")
class ImportanceSampling(Estimator):
    r"""Importance sampling with q(z|x) as the proposal.

    $$\log p(x) \approx \log \frac1L \sum_l \frac{p(x, z_l)}{q(z_l|x)}, \qquad z_l \sim q(z|x)$$

    The mean of the estimate is a lower bound on log p(x), no smaller than the ELBO, and rises with
    L. The standard error comes from the spread of the weights. If q(z|x) misses mass of p(z|x),
    both the estimate and its error are too small. Examples with a Pareto k̂ above 0.7 are
    unreliable; a warning counts them.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.

    Raises:
        ValueError: if `num_samples` is not a positive integer.

    Reference: Rezende, Mohamed & Wierstra (2014), app. E; Burda, Grosse & Salakhutdinov (2016),
    eq. 8; Vehtari, Simpson, Gelman, Yao & Gabry (2024) for k̂.

    Example:
        >>> ImportanceSampling(num_samples=500).get_config()
        {'num_samples': 500}
    """

    def __init__(self, num_samples: int = 1000) -> None:
        super().__init__(num_samples)

    def __call__(
        self, x: Tensor, q: Distribution | None, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        q = _required(q)
        num_chunks = math.ceil(self.num_samples / CHUNK_SIZE)
        chunk_size = math.ceil(self.num_samples / num_chunks)
        seeds = ops.stack(tfp.random.split_seed(seed, num_chunks))
        num_largest = min(pareto.tail_size(self.num_samples) + 1, self.num_samples)

        def add_chunk(
            i: Any, state: tuple[tuple[Tensor, ...], Tensor]
        ) -> tuple[tuple[Tensor, ...], Tensor]:
            mean, largest = state
            z = q.sample(chunk_size, seed=seeds[i])  # [chunk_size, B, ...]
            log_q = q.log_prob(z)
            log_weights = prior.log_prob(z) + decode(z).log_prob(x) - log_q
            # If z rounds to the boundary of the support, its densities may be infinite.
            log_weights = ops.where(ops.equal(log_q, math.inf), -math.inf, log_weights)
            # The last chunk may exceed the number of samples left.
            included = i * chunk_size + ops.arange(chunk_size, dtype="int32") < self.num_samples
            mean = RunningMean(*mean).updated(log_weights, included)
            log_weights = ops.where(included[:, None], log_weights, -math.inf)
            candidates = ops.concatenate([largest, ops.transpose(log_weights)], axis=1)
            return tuple(mean), ops.top_k(candidates, num_largest)[0]

        batch_size, dtype = ops.shape(x)[0], x.dtype
        initial = RunningMean.empty(batch_size, dtype)
        largest = ops.full((batch_size, num_largest), -math.inf, dtype)
        mean, largest = ops.fori_loop(0, num_chunks, add_chunk, (tuple(initial), largest))
        mean = RunningMean(*mean)
        return {
            "log_likelihood": mean.log_mean,
            "standard_error": mean.standard_error,
            "largest_log_weights": largest,
        }

    def check(self, q: Distribution | None, prior: Distribution) -> None:
        """Raises a `ValueError` without a recognition model."""
        _required(q)

    def check_estimates(self, estimates: Mapping[str, np.ndarray]) -> None:
        """Warns if log p(x) of some examples is unreliable, by their Pareto k̂."""
        k = pareto.worst_pareto_k(estimates["largest_log_weights"])
        unreliable = int((k > pareto.UNRELIABLE_ABOVE).sum())
        if unreliable:
            warnings.warn(
                f"The importance weights of {unreliable} of {len(k)} examples are unreliable. "
                f"Expected a Pareto k̂ of at most {pareto.UNRELIABLE_ABOVE}. Received: up to "
                f"{k[~np.isnan(k)].max():.2f}. Their log p(x) is probably too small, by more than "
                "the standard error. `keras_aevb.evaluation.pareto_k` finds them; use "
                '`method="annealed"` for them',
                stacklevel=3,
            )


def _required(q: Distribution | None) -> Distribution:
    if q is None:
        raise ValueError(
            "Importance sampling needs a recognition model q(z|x). Expected a model with an "
            "encoder, or one of the methods 'annealed' and 'density', which do not need it. "
            "Received: q=None"
        )
    return q
