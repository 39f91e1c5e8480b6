"""The variance of the stochastic gradient of a bound.

Symbols: B examples in the batch, R repeats of the gradient.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb.bounds import Bound
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Seed, Tensor


class Variance(NamedTuple):
    """An estimate of a gradient's summed variance, the trace of its covariance.

    Attributes:
        total: the sum over all elements of the gradient.
        standard_error: standard error of `total`.
        by_variable: dict from the path of each Keras variable to its part of `total`.
    """

    total: float
    standard_error: float
    by_variable: dict[str, float]


class GradientVariance(NamedTuple):
    """The variances of the gradient in φ, the parameters of q(z|x), and θ, those of p(x, z)."""

    phi: Variance
    theta: Variance


def gradient_variance(
    model: VariationalModel,
    x: ArrayLike,
    bound: Bound | None = None,
    num_repeats: int = 100,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> GradientVariance:
    r"""Estimates the variance of the stochastic gradient of a bound from repeated samples.

    $$\sum_j Var\left[\frac{∂}{∂φ_j} \frac1B \sum_i \tilde{L}(θ, φ; x_i)\right]
    = E\left[(1 - \tfrac1r) \, |g_r - \bar{g}_{r-1}|^2\right]$$

    and likewise for θ. $g_r$ is the gradient in repeat r, with fresh noise in z, and
    $\bar{g}_{r-1}$ the mean of the gradients before it (Welford's sum, term by term). All repeats
    use the same x. Layers run in inference mode, and `FullVB` uses the mean of q(θ).

    Args:
        model: a `VariationalModel`.
        x: one batch, of shape `[B, *event_shape]`.
        bound: the estimator. Default: the model's own.
        num_repeats: R ≥ 3.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[B, *condition.shape]`.

    Returns:
        `GradientVariance` with a `total`, a `standard_error` and a dict `by_variable` in `phi`
        (encoder, posterior and condition) and in `theta` (decoder, likelihood and prior).

    Raises:
        ValueError: if the model has no q(z|x), x has the wrong shape or values of probability
            zero, the bound or its gradient does not suit the posterior, or `num_repeats` is not an
            integer of at least 3.

    Reference: Kingma & Welling (2013), sec. 2.2 and 2.3; Welford (1962).

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8), seed=0)
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> naive, sgvb = (
        ...     kv.gradient_variance(model, x, bound, num_repeats=20, seed=0)
        ...     for bound in (kv.ScoreFunctionELBO(), kv.ELBO())
        ... )
        >>> naive.phi.total > 100 * sgvb.phi.total
        True
    """
    check_type("model", model, VariationalModel)
    num_repeats = arguments.integer("num_repeats", num_repeats, at_least=3)
    seed = arguments.seed(seed)
    x = inputs.as_array(x, dtype=model.likelihood.density_dtype)
    model.likelihood.check(x)
    bound = model.bound if bound is None else bound
    check_type("bound", bound, Bound)
    bound.build_for(model.likelihood)
    y = model.checked_conditions(condition, len(x))
    with model.given(y[0] if y else None):
        q, prior = model.encode(x), model.prior_distribution()
        bound.check(q, prior)
        bound.check_gradient(q)

    phi, theta = model.phi, model.theta
    program = _gradient_program(model, bound, phi + theta)
    terms = _welford_terms(program(x, model.next_seed(seed, r), *y) for r in range(num_repeats))
    return GradientVariance(
        phi=_variance(phi, terms[:, : len(phi)]), theta=_variance(theta, terms[:, len(phi) :])
    )


def _gradient_program(
    model: VariationalModel, bound: Bound, variables: list[Any]
) -> Callable[..., list[Tensor]]:
    """The compiled gradient of a batch's mean bound, a function of x and a seed."""

    def gradient(x: Tensor, seed: Tensor, *y: Tensor) -> list[Tensor]:
        x = ops.cast(x, model.likelihood.density_dtype)

        def mean_bound() -> Tensor:
            with model.given(y[0] if y else None):
                q, prior = model.encode(x), model.prior_distribution()
                terms = bound.evaluated(x, q, prior, model.decode, seed)
                return _backend.mean(terms[bound.objective])

        return _backend.gradients(mean_bound, variables, model.variables)

    return _backend.compiled(model, gradient)


def _welford_terms(gradients: Iterable[list[Tensor]]) -> np.ndarray:
    """Estimates of each array's summed variance, one for each gradient but the first.

    They are uncorrelated if the gradients are normal.

    Args:
        gradients: iterable over R lists of arrays.

    Returns:
        NumPy array of shape `[R - 1, arrays]`.
    """
    means, terms = None, []
    for r, gradient in enumerate(gradients, 1):
        arrays = [np.asarray(g, "float64") for g in gradient]
        if means is None:
            means = arrays
            continue
        steps = [a - m for a, m in zip(arrays, means)]
        terms.append([(1 - 1 / r) * np.vdot(s, s) for s in steps])
        means = [m + s / r for m, s in zip(means, steps)]
    return np.array(terms)


def _variance(variables: list[Any], terms: np.ndarray) -> Variance:
    totals = terms.sum(1)  # [R - 1]
    return Variance(
        total=float(totals.mean()),
        standard_error=float(totals.std(ddof=1) / math.sqrt(len(totals))),
        by_variable={v.path: float(t) for v, t in zip(variables, terms.mean(0))},
    )
