"""Quantile and distribution functions of the latent dimensions under the prior."""

import contextlib
from typing import Any

import numpy as np
from keras import ops

from keras_aevb import arguments
from keras_aevb._backend import tfd
from keras_aevb._backend.kinds import is_kind
from keras_aevb.models import LatentVariableModel
from keras_aevb.models.parts import check_type
from keras_aevb.pictures.samples import prior_samples
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Distribution, Seed

# The largest accepted difference between u and F(q), with TFP's quantile q of u. Rounding causes
# 10⁻⁶. At TFP's float32 median of Beta(½, ½), F is 0.62.
CDF_TOLERANCE = 1e-3


def prior_quantiles(
    model: LatentVariableModel,
    probabilities: ArrayLike,
    num_samples: int = 10_000,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The values of each latent dimension with given probabilities under the prior.

    $$P(z_j \le q_{kj}) = u_k$$

    in closed form if TFP has one, else the quantiles of samples. Where TFP's quantile contradicts
    its distribution function, the latter is inverted by bisection.

    Args:
        model: a `LatentVariableModel`.
        probabilities: K numbers u in (0, 1).
        num_samples: samples of z, used if there is no closed form, or as brackets of the bisection.
        seed: integer that fixes the samples.
        condition: one y, of shape `[1, *condition.shape]`.

    Returns:
        NumPy array of shape `[K, *z_shape]`.

    Raises:
        ValueError: if `model` is not a `LatentVariableModel`, the probabilities are not numbers in
            (0, 1), or the condition is missing or invalid.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> kv.pictures.prior_quantiles(model, [0.5, 0.975]).round(3).tolist()
        [[0.0, 0.0], [1.96, 1.96]]
    """
    check_type("model", model, LatentVariableModel)
    u = inputs.as_array(probabilities, "probabilities", model.prior.density_dtype)
    if u.ndim != 1 or not ((u > 0) & (u < 1)).all():
        raise ValueError(f"Expected `probabilities` to be numbers in (0, 1). Received: {u}")
    y = model.checked_conditions(condition, 1)
    num_samples = arguments.integer("num_samples", num_samples)

    def samples() -> np.ndarray:
        conditions = np.repeat(y[0], num_samples, axis=0) if y else None
        return prior_samples(model, num_samples, seed, conditions)

    column = u.reshape(-1, *[1] * len(model.prior.event_shape))
    with model.given(y[0] if y else None), contextlib.suppress(NotImplementedError):
        inner = independent_marginals(model.prior_distribution())
        if inner is not None:
            q = np.asarray(inner.quantile(ops.cast(column, inner.dtype)))
            with contextlib.suppress(NotImplementedError):
                if np.abs(_cdf(inner, q) - column).max() > CDF_TOLERANCE:
                    return _inverse(inner, column, q, samples())
            return q
    z = samples()
    return np.quantile(z, u, axis=0).astype(z.dtype)


def _cdf(inner: Distribution, z: np.ndarray) -> np.ndarray:
    return np.asarray(inner.cdf(ops.convert_to_tensor(z)))


def _inverse(inner: Distribution, u: np.ndarray, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Quantiles q of u; where F(q) is not u, by bisection between the extremes of samples z."""
    low, high = (np.broadcast_to(f(z, axis=0), q.shape) for f in (np.min, np.max))
    for _ in range(np.finfo(q.dtype).nmant + 2):
        middle = (low + high) / 2
        below = _cdf(inner, middle) < u
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(np.abs(_cdf(inner, q) - u) > CDF_TOLERANCE, low, q)


def prior_probabilities(
    model: LatentVariableModel, z: ArrayLike, condition: ConditionLike | None = None
) -> np.ndarray:
    r"""The prior's distribution function of each latent dimension.

    $$u_j = P(z'_j \le z_j), \quad z' \sim p(z)$$

    This maps z to the unit cube, where p(z) is uniform. For a standard normal prior, u is Φ(z).

    Args:
        model: a `LatentVariableModel` whose p(z) has independent dimensions.
        z: array of shape `[M, *z_shape]`.
        condition: y, of shape `[M, *condition.shape]` or `[1, *condition.shape]`.

    Returns:
        NumPy array of shape `[M, *z_shape]`, in [0, 1].

    Raises:
        ValueError: if the dimensions of p(z) are not independent, TFP does not implement their
            distribution function, z does not have the prior's event shape, or the condition is
            missing or invalid.

    Reference: Kingma & Welling (2013), fig. 4.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> kv.pictures.prior_probabilities(model, [[0.0, 1.96]]).round(3).tolist()
        [[0.5, 0.975]]
    """
    check_type("model", model, LatentVariableModel)
    z = inputs.as_array(z, "z", model.prior.density_dtype)
    inputs.check_event_shape("z", z.shape[1:], model.prior.event_shape)
    with model.given(condition):
        inner = checked_marginals(model.prior_distribution())
        try:
            return np.asarray(inner.cdf(ops.cast(z, inner.dtype)))
        except NotImplementedError:
            raise ValueError(
                "Expected p(z) of a family whose distribution function TFP implements. "
                f"Received: {inner}"
            ) from None


def independent_marginals(prior: Any) -> Distribution | None:
    """The scalar distributions of the latent dimensions, or `None` if they are not independent."""
    if is_kind(prior, tfd.Independent) and not len(prior.distribution.event_shape):
        return prior.distribution
    return None


def checked_marginals(prior: Distribution) -> Distribution:
    """The scalar distributions of the latent dimensions.

    Raises:
        ValueError: if they are not independent.
    """
    marginals = independent_marginals(prior)
    if marginals is None:
        raise ValueError(
            "Distribution functions of single latent dimensions need independent dimensions. "
            "Expected p(z) to be a `tfd.Independent` of scalar distributions. "
            f"Received: {prior}"
        )
    return marginals
