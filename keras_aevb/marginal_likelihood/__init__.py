"""Estimators of the marginal log-likelihood log p(x)."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from keras_aevb import arguments
from keras_aevb.marginal_likelihood.annealed_importance_sampling import AnnealedImportanceSampling
from keras_aevb.marginal_likelihood.base import Estimator
from keras_aevb.marginal_likelihood.importance_sampling import ImportanceSampling
from keras_aevb.marginal_likelihood.log_mean import log_mean_exp
from keras_aevb.marginal_likelihood.posterior_density import PosteriorDensity

Method: TypeAlias = Literal["annealed", "density", "importance"] | Estimator
METHODS: Mapping[str, Callable[[], Estimator]] = {
    "annealed": AnnealedImportanceSampling,
    "density": PosteriorDensity,
    "importance": ImportanceSampling,
}


def get(method: Method, num_samples: int | None = None) -> Estimator:
    """Returns an estimator by name, or with another number of samples.

    Args:
        method: one of the names in `METHODS`, or an `Estimator`.
        num_samples: replaces the estimator's own `num_samples`.

    Returns:
        An `Estimator`.

    Raises:
        ValueError: if `method` is neither, or its `get_config()` lacks an argument of its
            constructor; or `num_samples` is not a positive integer.
    """
    estimator: Any = method
    if isinstance(method, str) and method in METHODS:
        estimator = METHODS[method]()
    if not isinstance(estimator, Estimator):
        raise ValueError(
            f"Expected `method` to be one of {sorted(METHODS)} or an Estimator. "
            f"Received: {method!r}"
        )
    arguments.check_config("method", estimator)
    if num_samples is None:
        return estimator
    return estimator.from_config({**estimator.get_config(), "num_samples": num_samples})


__all__ = [
    "METHODS",
    "AnnealedImportanceSampling",
    "Estimator",
    "ImportanceSampling",
    "Method",
    "PosteriorDensity",
    "get",
    "log_mean_exp",
]
