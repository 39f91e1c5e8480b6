"""Schedules that Keras lacks."""

from typing import Any, Self

import keras

from keras_aevb import arguments
from keras_aevb.typing import Config, Schedule


@keras.saving.register_keras_serializable(package="keras_aevb")
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    r"""A schedule that restarts every `period` steps.

    $$β_t = s(t \bmod T)$$

    with a schedule s and the period T.

    Args:
        schedule: `keras.optimizers.schedules.LearningRateSchedule` s of one period.
        period: T ≥ 1, in training steps.

    Raises:
        ValueError: if `schedule` is not a schedule or `period` not a positive integer.

    Reference: Fu, Li, Liu, Gao, Celikyilmaz & Carin (2019), eqs. 6 and 7.

    Example:
        >>> import keras_aevb as kv
        >>> rise = keras.optimizers.schedules.PolynomialDecay(0.0, 50, 1.0)  # 0 to 1 in 50 steps
        >>> schedule = kv.Cyclical(rise, period=100)
        >>> [float(schedule(step)) for step in (0, 25, 50, 99, 100, 125)]
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]
    """

    def __init__(self, schedule: Schedule, period: int) -> None:
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                "Expected `schedule` to be a `keras.optimizers.schedules.LearningRateSchedule`. "
                f"Received: {schedule!r}"
            )
        self.schedule = schedule
        self.period = arguments.integer("period", period)

    def __call__(self, step: Any) -> Any:
        return self.schedule(step % self.period)

    def get_config(self) -> Config:
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "period": self.period}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["period"])
