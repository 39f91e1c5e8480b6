"""Families with wrong values or parameter shapes in TFP, or with values that JAX cannot compile.

Each docstring says how the class differs from TFP's. `Family` prefers it to the TFP class of the
same name.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_aevb._backend import tfb, tfd, tfp, with_derivatives
from keras_aevb.tfp_classes.compositions import parameter
from keras_aevb.tfp_classes.moments import SquaredStddev, second_difference
from keras_aevb.typing import Tensor


class Kumaraswamy(SquaredStddev, tfd.Kumaraswamy):
    r"""TFP's Kumaraswamy distribution, accurate near y = 1 and for large concentrations.

    $$\log p(y) = \log a b + (a - 1) \log y + (b - 1) \log(1 - y^a), \qquad
    E[y^n] = b\, B(1 + n / a, b)$$

    TFP computes $y^a$, which float32 rounds to 1; here $1 - y^a = -expm1(a \log y)$. In
    float32 and for a > 8, the standard deviation comes from second differences of log Γ with step
    1/a, which are integrals of its second derivative.

    Reference: Kumaraswamy (1980), A Generalized Probability Density Function for Double-Bounded
    Random Processes.

    Example:
        >>> round(float(Kumaraswamy(2.0, 0.5).log_prob(1 - 2**-24)), 3)  # ½ log 2²³
        7.971
    """

    def _log_prob(self, y: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        log_y = ops.log(y)
        log_rest = ops.log(-ops.expm1(a * log_y))
        return ops.log(a) + ops.log(b) + (a - 1) * log_y + (b - 1) * log_rest

    def _log_moment(self, n: int, **parameters: Tensor) -> Tensor:
        """log E[yⁿ]; JAX cannot compile TFP's version."""
        b = self.concentration0
        return ops.log(b) + tfp.math.lbeta(1 + n / self.concentration1, b)

    def _stddev(self) -> Tensor:
        step, b = 1 / self.concentration1, self.concentration0
        log_mean = self._log_moment(1)
        log_ratio = self._log_moment(2) - 2 * log_mean  # log E[y²] / E[y]²
        if keras.backend.standardize_dtype(step.dtype) == "float64":
            return ops.exp(log_mean) * ops.sqrt(ops.expm1(log_ratio))
        differences = second_difference(ops.ones_like(b), step) - second_difference(1 + b, step)
        log_ratio = ops.where(step < 1 / 8, differences, log_ratio)
        return ops.exp(log_mean) * ops.sqrt(ops.expm1(log_ratio))


class ExponentiallyModifiedGaussian(tfd.ExponentiallyModifiedGaussian):
    r"""TFP's exponentially modified Gaussian, with an accurate density for large products σ λ.

    $$\log p(y) = \log \frac{λ}{2} - \frac{z^2}{2} + \log erfcx \frac{σ λ - z}{\sqrt 2}, \qquad
    z = \frac{y - μ}{σ}$$

    TFP's form has two terms of about (σ λ)² / 2, which cancel. It is used for z > σ λ, where they
    do not.

    Example:
        >>> q = ExponentiallyModifiedGaussian(0.0, 50.0, 100.0)  # nearly N(0, 50²)
        >>> round(float(q.log_prob(0.0)), 3)
        -4.831
    """

    def _log_prob(self, y: Tensor) -> Tensor:
        z, product = (y - self.loc) / self.scale, self.scale * self.rate
        below = ops.maximum(product - z, 0.0) / math.sqrt(2)
        near = ops.log(self.rate / 2) - ops.square(z) / 2 + log_erfcx(below)
        return ops.where(z > product, super()._log_prob(y), near)


def _log_erfcx_derivative(x: Tensor) -> Tensor:
    """2x - 2 / (√π erfcx(x)), which cancels for large x; there, its asymptotic series."""
    y = ops.maximum(x, 10.0)
    series = -1 / y + 1 / y**3 - 5 / (2 * y**5)
    exact = 2 * x - 2 / math.sqrt(math.pi) * ops.exp(-tfp.math.logerfcx(x))
    return ops.where(x < 10, exact, series)


log_erfcx = with_derivatives(lambda x: tfp.math.logerfcx(x), _log_erfcx_derivative)


class GeneralizedPareto(tfd.GeneralizedPareto):
    r"""TFP's generalised Pareto distribution, whose density is zero outside the support.

    $$p(y) = \frac{1}{σ} (1 + ξ t)^{-1 / ξ - 1}, \qquad t = \frac{y - μ}{σ} \ge 0, \quad ξ t > -1$$

    TFP evaluates its formulas below μ too. The support must not depend on trained parameters, so
    `Family` takes a fixed μ, and trains ξ > 0.

    Args:
        loc: μ.
        scale: σ > 0.
        concentration: ξ.

    Reference: Pickands (1975), Statistical Inference Using Extreme Order Statistics.

    Example:
        >>> pareto = GeneralizedPareto(2.0, 1.0, 0.5)
        >>> float(pareto.prob(1.0)), float(pareto.prob(2.0))
        (0.0, 1.0)
    """

    def _log_prob(self, y: Tensor) -> Tensor:
        inside = self._inside(y)
        log_p = super()._log_prob(ops.where(inside, y, self.loc))
        return ops.where(inside, log_p, -math.inf)

    def _log_survival_function(self, y: Tensor) -> Tensor:
        inside = self._inside(y)
        log_p = super()._log_survival_function(ops.where(inside, y, self.loc))
        return ops.where(inside, log_p, ops.where(y < self.loc, 0.0, -math.inf))

    def _inside(self, y: Tensor) -> Tensor:
        t = (y - self.loc) / self.scale
        return ops.logical_and(t >= 0, 1 + self.concentration * t > 0)

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {
            "loc": parameter(bijector=None),
            "scale": parameter(),
            "concentration": parameter(),
        }


class VonMises(tfd.VonMises):
    r"""The von Mises distribution on the interval [-π, π], in which its samples lie.

    $$P(y \le x) = \int_{-\pi}^x p(y) \, dy$$

    TFP's integral begins at loc - π.
    """

    def _cdf(self, x: Tensor) -> Tensor:
        return super()._cdf(x) - super()._cdf(ops.full_like(x, -math.pi))


class OrderedLogistic(tfd.OrderedLogistic):
    r"""TFP's distribution of ordered classes, in which K classes have K - 1 cutpoints.

    $$P(y > k) = σ(μ - c_k), \qquad c_0 < c_1 < … < c_{K - 2}$$

    TFP describes K cutpoints, which give class K a probability.

    Reference: McCullagh (1980), Regression Models for Ordinal Data, sec. 2.

    Example:
        >>> shape_fn = OrderedLogistic.parameter_properties(num_classes=3)["cutpoints"].shape_fn
        >>> shape_fn([4])
        [4, 2]
    """

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        def cutpoints(shape: list[int]) -> list[int]:
            return [*shape, num_classes - 1]  # type: ignore[operator]  # `Family` catches it

        return {
            "cutpoints": parameter(1, cutpoints, tfb.Ascending),
            "loc": parameter(bijector=tfb.Identity),
        }


def _with_one_total(properties: dict[str, Any]) -> dict[str, Any]:
    """With one fixed `total_count` for each vector of counts; TFP describes one for each count."""
    return {**properties, "total_count": parameter(shape_fn=lambda s: s[:-1], bijector=None)}


class Multinomial(tfd.Multinomial):
    """TFP's multinomial distribution, with one `total_count` for each event.

    Example:
        >>> Multinomial.parameter_properties()["total_count"].shape_fn([2, 4])
        [2]
    """

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return _with_one_total(super()._parameter_properties(dtype, num_classes))


class DirichletMultinomial(tfd.DirichletMultinomial):
    """TFP's Dirichlet-multinomial distribution, with one `total_count` for each event.

    Example:
        >>> DirichletMultinomial.parameter_properties()["total_count"].shape_fn([2, 4])
        [2]
    """

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return _with_one_total(super()._parameter_properties(dtype, num_classes))
