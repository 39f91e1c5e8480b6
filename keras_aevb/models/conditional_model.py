"""Models whose networks and prior may depend on a condition y."""

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb.batches import RowBatches
from keras_aevb.condition import MISSING, Condition, conditioned_on, current_features
from keras_aevb.models.training_loop import TrainingLoop
from keras_aevb.training import inputs
from keras_aevb.typing import ConditionLike, Tensor


class ConditionalModel(TrainingLoop):
    """A model with a `condition`, which is `None` or a `Condition`."""

    condition: Condition | None

    def given(
        self, condition: ConditionLike | None, training: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        """A context in which the model computes p(x, z|y) and q(z|x, y).

        Args:
            condition: y, of shape `[B, *condition.shape]`, or `None` to change nothing.
            training: whether the condition's network runs in training mode.

        Raises:
            ValueError: if the model has no condition, or an array y has the wrong shape or values.
        """
        if condition is None:
            return contextlib.nullcontext()
        if self.condition is None:
            raise ValueError(
                f"Expected no condition: the model was made without `condition=`. "
                f"Received: {type(condition)}"
            )
        y = self.condition.packed(condition)
        if not ops.is_tensor(y):
            is_single = np.shape(y) == self.condition.shape
            y = self.condition.checked(y, 1 if is_single else len(np.atleast_1d(y)))
        return conditioned_on(self.condition(y, training=training))

    def with_features(
        self, value: Tensor, batch_shape: Sequence[Any] | None = None
    ) -> Tensor | list[Tensor]:
        """The input of a network: a value, or a list of the value and the features of y.

        Args:
            value: tensor of shape `[B, ...]`, z or x.
            batch_shape: batch dimensions whose product is B. Default: `[B]`.
        """
        if self.condition is None:
            return value
        features = self._features()
        batch_shape = ops.shape(value)[:1] if batch_shape is None else batch_shape
        if batch_shape:
            if isinstance(batch_shape[-1], int) and features.shape[0] not in (1, batch_shape[-1]):
                raise ValueError(
                    f"Expected one condition, or one for each of {batch_shape[-1]} examples. "
                    f"Received: {features.shape[0]}"
                )
            features = ops.broadcast_to(features, (*batch_shape, features.shape[-1]))
            features = ops.reshape(features, (-1, features.shape[-1]))
        return [value, features]

    def _features(self) -> Tensor:
        features = current_features()
        if features is None:
            raise ValueError(MISSING)
        return features

    def check_class_weight(self, class_weight: Any) -> None:
        if class_weight is not None and self.condition is not None and self.condition.shape:
            raise ValueError(
                "`class_weight` needs one class for each example. Expected a condition of this "
                "kind, such as `Condition(num_classes=…)`, or `sample_weight`. Received: a "
                f"{type(self.condition).__name__} of shape {self.condition.shape}"
            )

    def unpacked(self, data: Any) -> tuple[Any, Any, Any]:
        if self.condition is None:
            return super().unpacked(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, dict):
            x, y = self.condition.from_named_inputs(x, y)
        x = inputs.as_indexable(x, self.likelihood.density_dtype)
        return x, self.condition.packed(y), sample_weight

    def predict_step(self, *state_and_data: Any) -> Any:
        *state, data = state_and_data
        if self.condition is not None:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            data = ({"x": x, "condition": y},)
        return super().predict_step(*state, data)

    def labels(self, y: Any, n: int) -> np.ndarray:
        return super().labels(y, n) if self.condition is None else self.condition.checked(y, n)

    def check_batch(self, x: Any, y: Any, sample_weight: Any, training: bool = True) -> None:
        super().check_batch(x, y, sample_weight, training)
        if self.condition is not None:
            self.condition.checked(y, len(x))

    def check_rows(self, batches: RowBatches, training: bool = True) -> None:
        if self.condition is not None and batches.yields_row_indices:
            raise ValueError(
                "Expected `RandomMinibatches(…, y=…)` for a model with a condition. Received: one "
                "without y, which yields row indices in its place"
            )
        super().check_rows(batches, training)

    def _loss(self, data: Any, training: bool) -> Tensor:
        _, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with self.given(None if self.condition is None else y, training):
            return super()._loss(data, training)

    def checked_conditions(self, condition: ConditionLike | None, n: int) -> list[np.ndarray]:
        """A list with the validated condition of n examples; empty without a condition."""
        if self.condition is None:
            self.given(condition)  # raises if there is one
            return []
        return [self.condition.checked(condition, n)]
