r"""Families whose mean or standard deviation is wrong or inaccurate in TFP.

Most of these moments depend on $\log Γ(1 - ξ)$ for a shape ξ. Its differences cancel near ξ = 0:

$$\log Γ(1 - ξ) = -\log(1 - ξ) - (1 - γ) ξ + \sum_{k \ge 2} \frac{ζ(k) - 1}{k} ξ^k$$

Reference: Abramowitz & Stegun (1964), eq. 6.1.33 and table 23.3.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb._backend import tfd, tfp
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
SMALL = 0.125  # the series is used for |ξ| below this
NEARLY_ZERO = 1e-12  # in place of smaller |ξ|, where formulas divide by ξ
# Points of the quadrature, and the range of the log density over them, in nats.
NUM_POINTS, LOG_RANGE = 64, 40.0


class SquaredStddev:
    """Computes the variance as the square of the standard deviation, in place of TFP's formula."""

    def _variance(self: Any) -> Tensor:
        return ops.square(self._stddev())


class GeneralizedExtremeValue(SquaredStddev, tfd.GeneralizedExtremeValue):
    r"""TFP's generalised extreme value distribution, with moments that are accurate near ξ = 0.

    $$E[y] = μ + σ \frac{g_1 - 1}{ξ}, \qquad Var(y) = σ^2 \frac{g_2 - g_1^2}{ξ^2}, \qquad
    g_k = Γ(1 - k ξ)$$

    for ξ < 1 and ξ < ½ respectively; for ξ = 0 the moments are those of Gumbel.

    Reference: Jenkinson (1955), The Frequency Distribution of the Annual Maximum (or Minimum)
    Values of Meteorological Elements.

    Example:
        >>> round(float(GeneralizedExtremeValue(0.0, 1.0, 0.5).mean()), 4)  # 2 (Γ(½) - 1)
        1.5449
    """

    def _mean(self) -> Tensor:
        ξ = self._nonzero_concentration()
        mean = ops.where(ξ < 1, ops.expm1(log_gamma_1_minus(ξ)) / ξ, math.inf)
        return self.loc + self.scale * mean

    def _stddev(self) -> Tensor:
        ξ = ops.minimum(self._nonzero_concentration(), 0.5 - 2**-25)
        relative = ops.sqrt(ops.expm1(log_gamma_ratio(ξ)))
        stddev = ops.exp(log_gamma_1_minus(ξ)) * relative / ops.abs(ξ)
        stddev = ops.where(self.concentration < 0.5, stddev, math.inf)
        return (self.scale + ops.zeros_like(self.loc)) * stddev

    def _nonzero_concentration(self) -> Tensor:
        return ops.where(ops.abs(self.concentration) < NEARLY_ZERO, NEARLY_ZERO, self.concentration)


class Binomial(tfd.Binomial):
    r"""TFP's binomial distribution; from logits, its variance is accurate for probabilities near 1.

    $$Var(y) = n σ(s) σ(-s)$$

    for the logits s.

    Example:
        >>> round(float(Binomial(10.0, logits=12.8).variance()), 8)
        2.761e-05
    """

    def _variance(self) -> Tensor:
        if self.logits is None:
            return super()._variance()
        logits = self.logits_parameter()
        return self.total_count * ops.sigmoid(logits) * ops.sigmoid(-logits)


class Chi(tfd.Chi):
    r"""TFP's χ distribution; its variance is accurate for many degrees of freedom ν.

    $$Var(y) = \frac12 - \frac1{8 ν} - \frac1{16 ν^2} + \frac5{128 ν^3} + \frac{23}{256 ν^4}
    + O(ν^{-5})$$

    The series is used in float32 for ν > 10.

    Example:
        >>> float(Chi(1e6).variance())
        0.49999988079071045
    """

    def _variance(self) -> Tensor:
        if keras.backend.standardize_dtype(self.df.dtype) == "float64":
            return super()._variance()
        x = 1 / ops.maximum(self.df, 10.0)
        series = 0.5 - x * (1 / 8 + x * (1 / 16 - x * (5 / 128 + x * 23 / 256)))
        return ops.where(self.df > 10, series, super()._variance())


class Weibull(SquaredStddev, tfd.Weibull):
    r"""TFP's Weibull distribution; its standard deviation is accurate for large concentrations.

    $$Var(y) = λ^2 \left(Γ(1 + 2 / k) - Γ(1 + 1 / k)^2\right)$$

    Example:
        >>> round(float(Weibull(1e4, 1.0).stddev()) * 1e4, 3)  # π / √6
        1.282
    """

    def _stddev(self) -> Tensor:
        ξ = -1 / self.concentration
        return self.scale * ops.exp(log_gamma_1_minus(ξ)) * ops.sqrt(ops.expm1(log_gamma_ratio(ξ)))


class LogLogistic(SquaredStddev, tfd.LogLogistic):
    r"""TFP's log-logistic distribution; its standard deviation is accurate for small scales.

    $$E[y^n] = e^{n μ} Γ(1 - n s) Γ(1 + n s)$$

    for n s < 1.

    Example:
        >>> round(float(LogLogistic(0.0, 1e-4).stddev()) * 1e4, 3)  # π / √3
        1.814
    """

    def _stddev(self) -> Tensor:
        s = ops.minimum(self.scale, 0.5 - 2**-25)
        log_mean = self.loc + log_gamma_1_minus(s) + log_gamma_1_minus(-s)
        relative = ops.sqrt(ops.expm1(log_gamma_ratio(s) + log_gamma_ratio(-s)))
        return ops.where(self.scale < 0.5, ops.exp(log_mean) * relative, math.nan)


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


class TruncatedNormal(SquaredStddev, tfd.TruncatedNormal):
    r"""TFP's truncated normal distribution, with accurate moments for narrow or distant intervals.

    $$p(y) \propto e^{-(y - μ)^2 / 2 σ^2}, \qquad a \le y \le b$$

    TFP's closed forms cancel where a and b are close to each other or far from μ. Here
    Gauss-Legendre quadrature integrates over the part of [a, b] where the density exceeds $e^{-40}$
    times its maximum.

    Example:
        >>> q = TruncatedNormal(0.0, 1.0, 8.0, 9.0)
        >>> round(float(q.mean()), 4), round(float(q.stddev()), 4)
        (8.1212, 0.1189)
    """

    def _mean(self) -> Tensor:
        mode, t, p = self._points()
        return mode + self.scale * ops.sum(p * t, axis=0)

    def _stddev(self) -> Tensor:
        _, t, p = self._points()
        return self.scale * ops.sqrt(ops.sum(p * ops.square(t - ops.sum(p * t, axis=0)), axis=0))

    def _points(self) -> tuple[Tensor, Tensor, Tensor]:
        """The mode, distances t from it in units of σ, and their probabilities, `[K, ...]`."""
        shape = [-1, *[1] * len(self.batch_shape)]
        nodes, weights = (
            ops.reshape(ops.cast(values, self.dtype), shape)
            for values in np.polynomial.legendre.leggauss(NUM_POINTS)
        )
        mode = ops.clip(self.loc, self.low, self.high)
        m = (mode - self.loc) / self.scale
        # The log density falls by m t + t² / 2.
        reach = 2 * LOG_RANGE / (ops.abs(m) + ops.sqrt(ops.square(m) + 2 * LOG_RANGE))
        low = ops.maximum((self.low - mode) / self.scale, -reach)
        high = ops.minimum((self.high - mode) / self.scale, reach)
        t = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        p = weights * ops.exp(-t * (m + 0.5 * t))
        return mode, t, p / ops.sum(p, axis=0)


def log_gamma_1_minus(ξ: Tensor) -> Tensor:
    """log Γ(1 - ξ) for ξ < 1, accurate relative to ξ; finite for other ξ."""
    small = ops.clip(ξ, -SMALL, SMALL)
    series = sum(c / k * small**k for k, c in ZETA_MINUS_1.items())
    series = series - ops.log1p(-small) - (1 - EULER_GAMMA) * small
    return ops.where(ops.abs(ξ) < SMALL, series, _log_gamma_1_minus(ξ))


def log_gamma_ratio(ξ: Tensor) -> Tensor:
    """log Γ(1 - 2ξ) / Γ(1 - ξ)² for ξ < ½, accurate relative to ξ²; finite for other ξ."""
    small = ops.clip(ξ, -SMALL, SMALL)
    series = sum(c / k * (2**k - 2) * small**k for k, c in ZETA_MINUS_1.items())
    series = series + ops.log1p(ops.square(small) / (1 - 2 * small))
    difference = _log_gamma_1_minus(2 * ξ) - 2 * _log_gamma_1_minus(ξ)
    return ops.where(ops.abs(ξ) < SMALL, series, difference)


def _log_gamma_1_minus(ξ: Tensor) -> Tensor:
    ξ = ops.minimum(ξ, 1 - 2**-24)
    return -tfp.math.log_gamma_difference(-ξ, ops.ones_like(ξ))  # log Γ(1) is 0


def second_difference(x: Tensor, step: Tensor) -> Tensor:
    r"""log Γ(x + 2h) - 2 log Γ(x + h) + log Γ(x) for x ≥ 1 and h ≤ 1/8, to a relative
    error of 3·10⁻⁵.

    $$= h^2 \int_0^2 (1 - |u - 1|)\, ψ'(x + h u)\, du$$

    by Gauss quadrature with two points.
    """
    points = (x + step * (1 - 6**-0.5), x + step * (1 + 6**-0.5))
    return ops.square(step) * (trigamma(points[0]) + trigamma(points[1])) / 2


def trigamma(x: Tensor) -> Tensor:
    r"""ψ'(x) for x ≥ 1, by its recurrence and, from x + 6 on, its asymptotic series.

    Reference: Abramowitz & Stegun (1964), eqs. 6.4.6 and 6.4.12.
    """
    terms = sum(1 / ops.square(x + i) for i in range(6))
    y = 1 / (x + 6)
    return terms + y + y**2 / 2 + y**3 / 6 - y**5 / 30 + y**7 / 42


def _kl_weibull_weibull(q: Weibull, p: Weibull, name: str | None = None) -> Tensor:
    r"""With k, λ of q and l, μ of p; in TFP's form, powers of λ and μ overflow or cancel.

    $$\log \frac{k}{l} + l \log \frac{μ}{λ} - γ \left(1 - \frac{l}{k}\right)
    + e^{l \log(λ / μ) + \log Γ(1 + l / k)} - 1$$

    Reference: Bauckhage (2013), arXiv:1310.3713.
    """
    ratio = p.concentration / q.concentration
    exponent = p.concentration * (ops.log(q.scale) - ops.log(p.scale))
    rest = ops.expm1(exponent + _log_gamma_1_minus(-ratio))
    return rest - exponent - ops.log(ratio) - EULER_GAMMA * (1 - ratio)


tfd.RegisterKL(Weibull, Weibull)(_kl_weibull_weibull)
