"""Logistic variables, rounded to whole numbers in a range."""

from typing import Any

import numpy as np
from keras import ops

from keras_aevb._backend import tfd, tfp
from keras_aevb.typing import Tensor


class DiscretizedLogistic(tfd.Distribution):
    """A logistic variable, rounded to a whole number and clipped to [low, high].

    Args:
        loc, scale: parameters of the logistic variable, on a scale where `low` is -1 and `high` 1.
        low, high: integers.
    """

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        low: int,
        high: int,
        validate_args: bool = False,
        name: str = "DiscretizedLogistic",
    ) -> None:
        parameters = dict(locals())
        self.loc, self.scale = ops.convert_to_tensor(loc), ops.convert_to_tensor(scale)
        self.low, self.high = low, high
        super().__init__(
            dtype=self.loc.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: int | None = None) -> dict[str, Any]:
        return {name: tfp.util.ParameterProperties() for name in ("loc", "scale")}

    def _event_shape(self) -> Any:
        return ()

    def _event_shape_tensor(self) -> np.ndarray:
        return np.array([], "int32")

    def _standardized(self, x: Tensor) -> Tensor:
        """(x - μ) / s for x on the scale from `low` to `high`."""
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return ((x - centre) / half - self.loc) / self.scale

    def _log_prob(self, x: Tensor) -> Tensor:
        r"""log of σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b)), with b - a the width of a bin.

        This form does not subtract nearly equal numbers.
        """
        x = ops.cast(x, self.dtype)
        below_upper = ops.log_sigmoid(self._standardized(x + 0.5))
        above_lower = ops.log_sigmoid(-self._standardized(x - 0.5))
        width = 2.0 / ((self.high - self.low) * self.scale)
        inside = below_upper + above_lower + ops.log(-ops.expm1(-width))
        return ops.where(x <= self.low, below_upper, ops.where(x >= self.high, above_lower, inside))

    def _sample_n(self, n: Any, seed: Any) -> Tensor:
        logistic = tfd.Logistic(self.loc, self.scale).sample(n, seed=seed)
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        return ops.clip(ops.round(centre + half * logistic), self.low, self.high)

    def _mean(self) -> Tensor:
        """low + Σ P(x ≥ i) over the whole numbers i above `low`, summed in a loop."""
        return ops.fori_loop(
            self.low + 1,
            self.high + 1,
            lambda i, total: (
                total + ops.sigmoid(-self._standardized(ops.cast(i, self.dtype) - 0.5))
            ),
            ops.zeros_like(self.loc * self.scale) + self.low,
        )
