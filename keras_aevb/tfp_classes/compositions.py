"""Families that TFP lacks, composed of TFP's classes.

Other families are special cases of a TFP class: Rayleigh is `"Weibull"` with `concentration=2`,
Erlang `"Gamma"` with an integer `concentration`, and χ² `"Chi2"`.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_aevb._backend import linalg, tfb, tfd, tfp
from keras_aevb.typing import Tensor


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
        return {"low": parameter(), "high": parameter(bijector=None)}  # `Family` ensures low < high


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
            tfd.SigmoidBeta(df1 / 2, df2 / 2, validate_args, allow_nan_stats),  # log(u / (1 - u))
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
