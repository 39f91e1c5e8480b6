"""Families with wrong values in TFP, or with values that JAX cannot compile.

Each docstring says how the class differs from TFP's. `Family` prefers it to the TFP class of the
same name.
"""

import math
from typing import Any

from keras import ops

from keras_aevb._backend import tfb, tfd, tfp
from keras_aevb.tfp_classes.compositions import parameter
from keras_aevb.typing import Tensor

EULER_GAMMA = 0.5772156649015329


class Kumaraswamy(tfd.Kumaraswamy):
    r"""TFP's Kumaraswamy distribution, with a density that stays accurate near 1.

    $$\log p(y) = \log a b + (a - 1) \log y + (b - 1) \log(1 - y^a)$$

    TFP computes $y^a$, which float32 rounds to 1; here $1 - y^a = -expm1(a \log y)$.

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


class GeneralizedExtremeValue(tfd.GeneralizedExtremeValue):
    r"""TFP's generalised extreme value distribution, with moments that JAX can compile.

    $$E[y] = μ + σ \frac{g_1 - 1}{ξ}, \qquad Var(y) = σ^2 \frac{g_2 - g_1^2}{ξ^2}, \qquad
    g_k = Γ(1 - k ξ)$$

    for ξ < 1 and ξ < ½; for ξ = 0 the moments are those of Gumbel.

    Reference: Jenkinson (1955), The Frequency Distribution of the Annual Maximum (or Minimum)
    Values of Meteorological Elements.

    Example:
        >>> round(float(GeneralizedExtremeValue(0.0, 1.0, 0.5).mean()), 4)  # 2 (Γ(½) - 1)
        1.5449
    """

    def _mean(self) -> Tensor:
        is_gumbel, ξ = self._concentration()
        mean = ops.where(ξ < 1, ops.expm1(self._log_gamma(1)) / ξ, math.inf)
        return self.loc + self.scale * ops.where(is_gumbel, EULER_GAMMA, mean)

    def _stddev(self) -> Tensor:
        is_gumbel, ξ = self._concentration()
        variance = ops.exp(self._log_gamma(2)) - ops.exp(2 * self._log_gamma(1))
        stddev = ops.where(ξ < 0.5, ops.sqrt(variance) / ops.abs(ξ), math.inf)
        stddev = ops.where(is_gumbel, math.pi / math.sqrt(6), stddev)
        return (self.scale + ops.zeros_like(self.loc)) * stddev

    def _concentration(self) -> tuple[Tensor, Tensor]:
        """Where ξ is 0, and ξ with another number there."""
        is_gumbel = ops.equal(self.concentration, 0)
        return is_gumbel, ops.where(is_gumbel, 0.25, self.concentration)

    def _log_gamma(self, k: int) -> Tensor:
        """log Γ(1 - k ξ), where the moment is finite."""
        ξ = ops.minimum(k * self._concentration()[1], 0.99)
        return tfp.math.log_gamma_difference(ξ, 1 - ξ)  # log Γ(1) is 0


class GammaGamma(tfd.GammaGamma):
    r"""TFP's gamma-gamma distribution, with the variance of y, where TFP has that of E[y|β].

    $$y \sim Gamma(a, β), \quad β \sim Gamma(a_0, b_0): \qquad
    Var(y) = \frac{b_0^2\, a (a + a_0 - 1)}{(a_0 - 1)^2 (a_0 - 2)} \quad (a_0 > 2)$$

    Reference: Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value.

    Example:
        >>> float(GammaGamma(1.0, 3.0, 2.0).variance())  # b₀² a (a + a₀ - 1) / ((a₀ - 1)² (a₀ - 2))
        3.0
    """

    def _variance(self) -> Tensor:
        return super()._variance() * (1 + (self.mixing_concentration - 1) / self.concentration)


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
            return [*shape, num_classes - 1]  # type: ignore[operator]  # `Family` takes the error

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
