"""Families that TFP has the parts of, but no class for, or none that serves as a likelihood.

Others are special cases of a class of TFP's: Rayleigh is `"Weibull"` with `concentration=2`, Erlang
`"Gamma"` with an integer `concentration`, and χ² `"Chi2"`.
"""

import math
from typing import Any

from keras import ops

from keras_aevb._backend import linalg, tfp

tfb = tfp.bijectors
tfd: Any = tfp.distributions

# exp of it, and that times a count, are finite in float32.
LARGEST_LOG_RATE = 40.0
# Counts from which on Stirling's series is exact in float32.
LARGE_COUNT = 10.0


def _parameter(event_ndims=0, shape_fn=lambda shape: shape, bijector=tfb.Softplus):
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

    def __init__(self, low, high, validate_args=False, allow_nan_stats=True, name="Reciprocal"):
        parameters = dict(locals())
        super().__init__(
            tfd.Uniform(ops.log(low), ops.log(high), validate_args, allow_nan_stats),
            tfb.Exp(validate_args=validate_args),
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"low": _parameter(), "high": _parameter()}


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
        self, concentration, rate, validate_args=False, allow_nan_stats=True, name="Gompertz"
    ):
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
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"concentration": _parameter(), "rate": _parameter()}


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

    def __init__(self, df1, df2, validate_args=False, allow_nan_stats=True, name="F"):
        parameters = dict(locals())
        df1, df2 = ops.convert_to_tensor(df1), ops.convert_to_tensor(df2)
        odds = tfb.Chain([tfb.Exp(), tfb.Invert(tfb.Sigmoid())])  # u / (1 - u)
        super().__init__(
            tfd.Beta(df1 / 2, df2 / 2, validate_args, allow_nan_stats),
            tfb.Chain([tfb.Scale(df2 / df1), odds]),
            validate_args=validate_args,
            parameters=parameters,
            name=name,
        )

    def _default_event_space_bijector(self):
        return tfb.Exp()

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"df1": _parameter(), "df2": _parameter()}


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
        df,
        loc,
        scale_tril,
        validate_args=False,
        allow_nan_stats=True,
        name="MultivariateStudentT",
    ):
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
    def _parameter_properties(cls, dtype, num_classes=None):
        return {
            "df": _parameter(shape_fn=lambda shape: shape[:-1]),
            "loc": _parameter(1, bijector=tfb.Identity),
            "scale_tril": _parameter(
                2, lambda shape: [*shape, shape[-1]], lambda: tfb.FillScaleTriL()
            ),
        }


class Poisson(tfd.Poisson):
    r"""TFP's Poisson distribution, with a density that keeps its digits for large counts.

    TFP subtracts $x \log λ$, λ and $\log x!$, at a million numbers of size 10⁷ whose difference
    may be 10. With $r = \log λ - \log x$ and Stirling's series for $\log x!$,

    $$\log p(x) = -x (e^r - 1 - r) - ½ \log(2 π x) - \frac{1}{12 x} + \frac{1}{360 x^3}$$

    The log rate is clipped to [-40, 40], so that no density overflows.

    Reference: Loader (2000), Fast and Accurate Computation of Binomial Probabilities, sec. 4.

    Example:
        >>> import math
        >>> float(Poisson(log_rate=math.log(1e6)).log_prob(1e6))
        -7.826
    """

    def __init__(self, rate=None, log_rate=None, **kwargs):
        if log_rate is not None:
            log_rate = ops.convert_to_tensor(log_rate)
            log_rate = ops.clip(log_rate, -LARGEST_LOG_RATE, LARGEST_LOG_RATE)
        super().__init__(rate, log_rate, **kwargs)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return super()._parameter_properties(dtype, num_classes)

    def _log_prob(self, x):
        x = ops.cast(x, self.dtype)
        small = super()._log_prob(ops.minimum(x, LARGE_COUNT))
        n = ops.maximum(x, LARGE_COUNT)
        r = self.log_rate_parameter() - ops.log(n)
        stirling = 0.5 * ops.log(2 * math.pi * n) + 1 / (12 * n) - 1 / (360 * n**3)
        return ops.where(x < LARGE_COUNT, small, -n * (ops.expm1(r) - r) - stirling)


class NegativeBinomial(tfd.NegativeBinomial):
    """TFP's negative binomial distribution, with a `total_count` that may be any positive number.

    TFP's validation of arguments, which finds impossible counts, else refuses real ones.

    Example:
        >>> float(NegativeBinomial(0.5, 0.0, validate_args=True).prob(0.0))  # ½ to the ½
        0.7071
    """

    def __init__(self, total_count, logits=None, probs=None, **kwargs):
        kwargs = {"require_integer_total_count": False, **kwargs}
        super().__init__(total_count, logits, probs, **kwargs)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return super()._parameter_properties(dtype, num_classes)


class ZeroInflatedNegativeBinomial(tfd.Inflated):
    r"""Negative binomial counts, of which some are zero for another reason.

    $$p(x) = π [x = 0] + (1 - π) NB(x; r, l), \qquad \log\frac{π}{1 - π} = l_0$$

    TFP's class of this name takes half of $l_0$, and cannot be copied.

    Args:
        total_count: r > 0, a real number. The mean of NB is $r e^l$.
        logits: l.
        inflated_logits: $l_0$.

    Reference: Greene (1994), Accounting for Excess Zeros and Sample Selection in Poisson and
    Negative Binomial Regression Models, sec. 2.

    Example:
        >>> float(ZeroInflatedNegativeBinomial(1.0, 0.0, 0.0).prob(0.0))  # ½ + ½ ½
        0.75
    """

    def __init__(
        self,
        total_count,
        logits,
        inflated_logits,
        validate_args=False,
        allow_nan_stats=True,
        name="ZeroInflatedNegativeBinomial",
    ):
        parameters = dict(locals())
        counts = NegativeBinomial(
            total_count, logits, validate_args=validate_args, allow_nan_stats=allow_nan_stats
        )
        super().__init__(
            counts,
            inflated_loc_logits=0.5 * ops.convert_to_tensor(inflated_logits),
            inflated_loc=0.0,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            name=name,
        )
        self._parameters = parameters

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        counts = NegativeBinomial.parameter_properties(dtype, num_classes)
        return {
            **{name: counts[name] for name in ("total_count", "logits")},
            "inflated_logits": _parameter(bijector=tfb.Identity),
        }
