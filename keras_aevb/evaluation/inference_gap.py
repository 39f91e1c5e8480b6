"""The inference gap, log p(x) - ELBO."""

from typing import NamedTuple

import numpy as np

from keras_aevb import arguments
from keras_aevb.evaluation.elbo_terms import elbo_terms
from keras_aevb.marginal_likelihood import Method
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.typing import ConditionLike, Examples, Seed

# Independent estimates of the ELBO; their spread gives its standard error.
NUM_REPEATS = 10


class InferenceGap(NamedTuple):
    """Estimates of log p(x) - ELBO.

    Attributes:
        gap: array of shape `[N]`, in nats.
        standard_error: standard error of each gap, an array of shape `[N]`.

    Example:
        >>> gap, error = InferenceGap(np.array([0.5, 1.0]), np.array([0.1, 0.2]))
        >>> gap > 4 * error  # well beyond Monte Carlo error
        array([ True,  True])
    """

    gap: np.ndarray
    standard_error: np.ndarray


def inference_gap(
    model: VariationalModel,
    x: Examples,
    num_samples: int = 1000,
    method: Method = "importance",
    batch_size: int = 100,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> InferenceGap:
    r"""Estimates log p(x) - ELBO for each example.

    $$\log p(x) - E_{q(z|x)}\left[\log \frac{p(x, z)}{q(z|x)}\right] = KL(q(z|x) \,\|\, p(z|x))$$

    If q(z|x) is poor, importance sampling underestimates log p(x) and thus the gap; `pareto_k`
    finds these examples. For `FullVB`, log p(x) is the log posterior predictive, so the gap
    includes the Jensen gap over q(θ).

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        num_samples: samples of z for each example, for log p(x) by importance sampling and for the
            ELBO, which takes at least 10.
        method: as for `log_likelihood`; those other than `"importance"` use `num_samples`
            for the ELBO only.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        `InferenceGap`, with a `gap` and a `standard_error` for each example.

    Raises:
        ValueError: if the model has no q(z|x), or `model.log_likelihood` rejects an argument.

    Reference: Cremer, Li & Duvenaud (2018), sec. 3.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> result = kv.evaluation.inference_gap(model, x, seed=0)
        >>> np.abs(result.gap).max() < 0.01  # the decoder hardly uses z before training
        np.True_
    """
    check_type("model", model, VariationalModel)
    num_samples = arguments.integer("num_samples", num_samples)
    log_p, log_p_error = model.log_likelihood(
        x,
        num_samples if method == "importance" else None,
        method,
        batch_size,
        seed,
        return_standard_error=True,
        condition=condition,
    )
    samples_per_repeat = max(1, num_samples // NUM_REPEATS)
    elbos = np.stack(
        [
            elbo_terms(model, x, samples_per_repeat, batch_size, repeat_seed, condition)["elbo"]
            for repeat_seed in arguments.seeds(seed, NUM_REPEATS)
        ]
    )
    elbo_error = elbos.std(axis=0, ddof=1) / np.sqrt(NUM_REPEATS)
    return InferenceGap(log_p - elbos.mean(axis=0), np.hypot(log_p_error, elbo_error))
