"""The mean over an epoch of any length, in float32."""

from typing import Any

import keras
from keras import ops


class CompensatedMean(keras.metrics.Mean):
    r"""Keras' `Mean` with compensated sums, whose rounding errors do not accumulate.

    In float32, Keras' own mean is wrong by tenths of a nat after 10⁵ batches, by nats after 10⁶: a
    batch is then so small beside the total that rounding it has a systematic error. Each sum s
    has its rounding error e beside it (Kahan 1965):

    $$y = v - e, \qquad t = s + y, \qquad e = (t - s) - y, \qquad s = t$$
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total_error = self.add_variable((), "zeros", self.dtype, name="total_error")
        self.count_error = self.add_variable((), "zeros", self.dtype, name="count_error")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds values of shape `[B]`, or one value with the number of its examples as weight."""
        values = ops.cast(values, self.dtype)
        weights = ops.ones_like(values) if sample_weight is None else sample_weight
        weights = ops.cast(weights, self.dtype)
        _add(self.total, self.total_error, ops.sum(values * weights))
        _add(self.count, self.count_error, ops.sum(weights))

    def reset_state(self) -> None:
        for variable in self.variables:
            variable.assign(0)

    def result(self) -> Any:
        return ops.divide_no_nan(self.total - self.total_error, self.count - self.count_error)


def _add(total: keras.Variable, error: keras.Variable, value: Any) -> None:
    value = value - error
    new = total + value
    error.assign((new - total) - value)
    total.assign(new)
