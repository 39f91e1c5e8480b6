"""Families with wrong values or parameter shapes in TFP, or with values that JAX cannot compile.

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
# ζ(k) - 1
ZETA_MINUS_1 = {
    2: 0.6449340668482264,
    3: 0.2020569031595943,
    4: 0.0823232337111382,
    5: 0.0369277551433699,
    6: 0.0173430619844491,
    7: 0.0083492773819228,
    8: 0.0040773561979443,
    9: 0.0020083928260822,
    10: 0.0009945751278181,
    11: 0.0004941886041194,
    12: 0.0002460865533080,
}
# Concentrations of an extreme value distribution for which the series is used, and counts as 0.
SMALL, NEARLY_ZERO = 0.125, 1e-12


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

    for ξ < 1 and ξ < ½ respectively; for ξ = 0 the moments are those of Gumbel. Near ξ = 0 these
    differences cancel, so that they follow from the series

    $$\log g_1 = -\log(1 - ξ) - (1 - γ) ξ + \sum_{k \ge 2} \frac{ζ(k) - 1}{k} ξ^k$$

    $$\log \frac{g_2}{g_1^2} = \log\left(1 + \frac{ξ^2}{1 - 2 ξ}\right)
    + \sum_{k \ge 2} \frac{ζ(k) - 1}{k} (2^k - 2) ξ^k$$

    Reference: Jenkinson (1955), The Frequency Distribution of the Annual Maximum (or Minimum)
    Values of Meteorological Elements; Abramowitz & Stegun (1964), eq. 6.1.33.

    Example:
        >>> round(float(GeneralizedExtremeValue(0.0, 1.0, 0.5).mean()), 4)  # 2 (Γ(½) - 1)
        1.5449
    """

    def _mean(self) -> Tensor:
        ξ = self._nonzero_concentration()
        mean = ops.where(ξ < 1, ops.expm1(self._log_g1(ξ)) / ξ, math.inf)
        return self.loc + self.scale * mean

    def _stddev(self) -> Tensor:
        ξ = ops.minimum(self._nonzero_concentration(), 0.5 - 2**-25)
        variance = ops.exp(2 * self._log_g1(ξ)) * ops.expm1(self._log_g2_over_g1_squared(ξ))
        stddev = ops.where(self.concentration < 0.5, ops.sqrt(variance) / ops.abs(ξ), math.inf)
        return (self.scale + ops.zeros_like(self.loc)) * stddev

    def _nonzero_concentration(self) -> Tensor:
        return ops.where(ops.abs(self.concentration) < NEARLY_ZERO, NEARLY_ZERO, self.concentration)

    def _log_g1(self, ξ: Tensor) -> Tensor:
        small = ops.clip(ξ, -SMALL, SMALL)
        series = sum(c / k * small**k for k, c in ZETA_MINUS_1.items())
        series = series - ops.log1p(-small) - (1 - EULER_GAMMA) * small
        return ops.where(ops.abs(ξ) < SMALL, series, _log_gamma_of_1_minus(ξ))

    def _log_g2_over_g1_squared(self, ξ: Tensor) -> Tensor:
        small = ops.clip(ξ, -SMALL, SMALL)
        series = sum(c / k * (2**k - 2) * small**k for k, c in ZETA_MINUS_1.items())
        series = series + ops.log1p(ops.square(small) / (1 - 2 * small))
        difference = _log_gamma_of_1_minus(2 * ξ) - 2 * _log_gamma_of_1_minus(ξ)
        return ops.where(ops.abs(ξ) < SMALL, series, difference)


def _log_gamma_of_1_minus(ξ: Tensor) -> Tensor:
    """log Γ(1 - ξ) for ξ < 1, finite for others."""
    ξ = ops.minimum(ξ, 1 - 2**-24)
    return -tfp.math.log_gamma_difference(-ξ, ops.ones_like(ξ))  # log Γ(1) is 0


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
