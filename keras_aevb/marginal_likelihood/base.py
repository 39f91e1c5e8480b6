"""The interface of the estimators of log p(x).

Symbols: B examples in the batch, L Monte Carlo samples or C chains for each of them.
"""

from collections.abc import Mapping
from typing import Self

import numpy as np

from keras_aevb import arguments
from keras_aevb.outputs import check_terms
from keras_aevb.typing import Config, Decode, Distribution, Tensor, Terms

# Samples or chains decoded at once for each example; limits the memory.
CHUNK_SIZE = 50


class Estimator:
    """An estimator of log p(x), with a standard error for each example.

    Args:
        num_samples: samples or chains for each example.
        **settings: the estimator's other settings, all of them positive integers.

    Raises:
        ValueError: if one of them is not a positive integer.

    Example:
        >>> import keras_aevb as kv
        >>> from keras_aevb.marginal_likelihood import Estimator, log_mean_exp
        >>> class PriorSampling(Estimator):
        ...     # The mean of p(x|z) over samples of p(z)
        ...     def __call__(self, x, q, prior, decode, seed):
        ...         z = prior.sample((self.num_samples, x.shape[0]), seed=seed)  # [L, B, ...]
        ...         log_p, error = log_mean_exp(decode(z).log_prob(x))
        ...         return {"log_likelihood": log_p, "standard_error": error}
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> model.log_likelihood(np.zeros((10, 16)), method=PriorSampling(100)).shape
        (10,)
    """

    num_samples: int

    def __init__(self, num_samples: int, **settings: int) -> None:
        self.settings = {"num_samples": num_samples, **settings}
        for name, value in self.settings.items():
            setattr(self, name, arguments.integer(name, value))

    def __call__(
        self, x: Tensor, q: Distribution | None, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        """Estimates log p(x) of each example.

        Args:
            x: data of shape `[B, *event_shape]`.
            q: TFP distribution q(z|x) of batch shape `[B]`, or `None` without one.
            prior: TFP distribution p(z) of batch shape `[]`, or p(z|y) of batch shape `[B]`.
            decode: function from z of shape `[..., B, *z_shape]` to the TFP distribution p(x|z).
            seed: TFP seed of the samples.

        Returns:
            Dict with `"log_likelihood"` and `"standard_error"`, each of shape `[B]`, in nats, and
            any other tensors that `check_estimates` needs, of shape `[B, ...]`.
        """
        raise NotImplementedError

    def evaluated(
        self, x: Tensor, q: Distribution | None, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        """Calls the estimator and validates its output.

        Raises:
            ValueError: if an estimate or its error is missing, or does not have shape `[B]`.
        """
        estimates = self(x, q, prior, decode, seed)
        check_terms(self, estimates, ("log_likelihood", "standard_error"), x)
        return estimates

    def check(self, q: Distribution | None, prior: Distribution) -> None:
        """Raises a `ValueError`, or warns, if the method is unsuitable for q(z|x) and p(z)."""

    def check_estimates(self, estimates: Mapping[str, np.ndarray]) -> None:
        """Warns if estimates are unreliable.

        Args:
            estimates: the dict that `__call__` returns, as NumPy arrays over all examples.
        """

    def get_config(self) -> Config:
        return {name: getattr(self, name) for name in self.settings}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**config)
