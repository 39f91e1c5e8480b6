"""Families that TFP lacks, or with wrong values in TFP, composed of TFP's classes.

Other families are special cases of a TFP class: Rayleigh is `"Weibull"` with `concentration=2`,
Erlang `"Gamma"` with an integer `concentration`, and χ² `"Chi2"`.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_aevb._backend import linalg, tfb, tfd, tfp
from keras_aevb.typing import Tensor

EULER_GAMMA = 0.5772156649015329


def parameter(
    event_ndims: int = 0,
    shape_fn: Callable[[list[int]], list[int]] = lambda shape: shape,
    bijector: Callable[[], Any] | None = tfb.Softplus,
) -> Any:
    """TFP's `ParameterProperties`, by default of a positive parameter of the event's shape."""
    return tfp.util.ParameterProperties(
        event_ndims=event_ndims, shape_fn=shape_fn, default_constraining_bijector_fn=bijector
    )


class Reciprocal(tfd.TransformedDistribution):
    r"""The reciprocal, or log-uniform, distribution: $\log y$ is uniform.

    $$p(y) = \frac{1}{y \log(b / a)}, \qquad 0 < a \le y \le b$$

    Args:
        low: a > 0.
        high: b > a.

    Reference: Kingma & Welling (2013), sec. 2.4, 1.

    Example:
        >>> round(float(Reciprocal(1.0, 2.0).prob(1.5)), 4)  # 1 / (1.5 log 2)
        0.9618
    """

    def __init__(
        self,
        low: Tensor,
        high: Tensor,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Reciprocal",
    ) -> None:
        parameters = dict(locals())
        super().__init__(
            tfd.Uniform(ops.log(low), ops.log(high), validate_args, allow_nan_stats),
            tfb.Exp(validate_args=validate_args),
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {"low": parameter(), "high": parameter(bijector=None)}  # `Family` knows low < high


class Gompertz(tfd.TransformedDistribution):
    r"""The Gompertz distribution of lifetimes.

    $$P(y \le t) = 1 - \exp(-η (e^{b t} - 1))$$

    Args:
        concentration: η > 0.
        rate: b > 0.

    Reference: Kingma & Welling (2013), sec. 2.4, 1.

    Example:
        >>> float(Gompertz(1.0, 1.0).prob(0.0))  # η b
        1.0
    """

    def __init__(
        self,
        concentration: Tensor,
        rate: Tensor,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Gompertz",
    ) -> None:
        parameters = dict(locals())
        concentration = ops.convert_to_tensor(concentration)
        rate = ops.convert_to_tensor(rate)
        zeros = ops.zeros_like(concentration * rate)
        super().__init__(
            tfd.Uniform(zeros, ops.ones_like(zeros), validate_args, allow_nan_stats),
            tfb.Invert(tfb.GompertzCDF(concentration, rate, validate_args=validate_args)),
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {"concentration": parameter(), "rate": parameter()}


class F(tfd.TransformedDistribution):
    r"""The F distribution: the ratio of two χ² variables, each divided by its degrees of freedom.

    $$y = \frac{d_2}{d_1} \frac{u}{1 - u}, \qquad u \sim Beta(d_1 / 2, d_2 / 2)$$

    Args:
        df1: d₁ > 0.
        df2: d₂ > 0.

    Reference: Kingma & Welling (2013), sec. 2.4, 3.

    Example:
        >>> round(float(F(2.0, 4.0).prob(1.0)), 4)  # (1 + y / 2)⁻³
        0.2963
    """

    def __init__(
        self,
        df1: Tensor,
        df2: Tensor,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "F",
    ) -> None:
        parameters = dict(locals())
        df1, df2 = ops.convert_to_tensor(df1), ops.convert_to_tensor(df2)
        super().__init__(
            tfd.SigmoidBeta(df1 / 2, df2 / 2, validate_args, allow_nan_stats),  # log u / (1 - u)
            tfb.Chain([tfb.Exp(), tfb.Shift(ops.log(df2) - ops.log(df1))]),
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )
        self.df1, self.df2 = df1, df2

    def _default_event_space_bijector(self) -> Any:
        return tfb.Exp()

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {"df1": parameter(), "df2": parameter()}


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


class MultivariateStudentT(tfd.MultivariateStudentTLinearOperator):
    r"""The elliptical Student t distribution over vectors.

    $$y = μ + L ε \sqrt{ν / c}, \qquad ε \sim N(0, I), \quad c \sim χ²(ν)$$

    Args:
        df: ν > 0, of shape `[...]`.
        loc: μ, of shape `[..., n]`.
        scale_tril: L, lower triangular with a positive diagonal, of shape `[..., n, n]`.

    Reference: Kingma & Welling (2013), sec. 2.4, 2.

    Example:
        >>> t = MultivariateStudentT(3.0, [0.0, 0.0], [[1.0, 0.0], [0.5, 1.0]])
        >>> tuple(t.event_shape)
        (2,)
    """

    def __init__(
        self,
        df: Tensor,
        loc: Tensor,
        scale_tril: Tensor,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "MultivariateStudentT",
    ) -> None:
        parameters = dict(locals())
        super().__init__(
            df=df,
            loc=loc,
            scale=linalg.LinearOperatorLowerTriangular(
                ops.convert_to_tensor(scale_tril), is_non_singular=True
            ),
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            name=name,
        )
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        def scale_bijector() -> Any:
            shift = ops.convert_to_tensor(1e-5, keras.backend.standardize_dtype(dtype))
            return tfb.FillScaleTriL(diag_shift=shift)

        return {
            "df": parameter(shape_fn=lambda shape: shape[:-1]),
            "loc": parameter(1, bijector=tfb.Identity),
            "scale_tril": parameter(2, lambda shape: [*shape, shape[-1]], scale_bijector),
        }
