"""The condition y of a model p(x, z|y): labels, covariates, another array, or several of them."""

import contextlib
import contextvars
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import arguments
from keras_aevb.distributions.base import as_event_shape
from keras_aevb.distributions.precision import at_least_float32, warn_if_tokens_are_rounded
from keras_aevb.training import inputs
from keras_aevb.typing import Config, LayerArguments, ShapeLike, Tensor

MISSING = (
    "The model needs a condition y for each example. Expected it as y in `fit(x, y)`, "
    "`evaluate(x, y)` and `validation_data=(x, y)`, in a dict in "
    "`predict({'x': x, 'condition': y})`, and as `condition=` in other methods. Received: none"
)

# The features of the current y, of shape `[B, F]`. A context variable, because several threads may
# trace replicas of one model.
_features: contextvars.ContextVar[Tensor | None] = contextvars.ContextVar(
    "features of the condition", default=None
)


@contextlib.contextmanager
def conditioned_on(features: Tensor | None) -> Iterator[None]:
    """A context in which encoder, decoder and prior receive these features."""
    token = _features.set(features)
    try:
        yield
    finally:
        _features.reset(token)


def current_features() -> Tensor | None:
    """The features set by `conditioned_on`, or `None`."""
    return _features.get()


@keras.saving.register_keras_serializable(package="keras_aevb")
class Condition(keras.layers.Layer):
    """The condition y of a model p(x, z|y) = p(z|y) p(x|z, y), with q(z|x, y).

    The encoder receives `[x, features of y]`, and the decoder `[z, features of y]`;
    `keras_aevb.networks.Joined` adapts a network of vectors to such a pair. The prior receives the
    features of y if it is a `ConditionalDistribution`.

    Args:
        shape: shape of one y, an integer or a tuple. Default: y is a number, or a class label.
        num_classes: number of classes; y is a class from 0 to `num_classes` - 1, and is one-hot
            encoded.
        network: Keras layer from y to features. It receives y of shape `[B, *shape]`, `[B, 1]` for
            a number, or one-hot encoded.
            Default: none; y itself is the features.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        y: array of shape `[B, *shape]`.

    Returns:
        Features of shape `[B, F]`.

    Raises:
        ValueError: if `shape` is not positive, `num_classes` is below 2, both are given, or
            `network` is not a Keras layer.

    Reference: Sohn, Lee & Yan (2015), eqs. 3 and 4; Kingma et al. (2014), arXiv:1406.5298.

    Example:
        >>> digits = Condition(num_classes=10)
        >>> tuple(digits(np.array([3, 1])).shape)
        (2, 10)
        >>> covariates = Condition(5, network=keras.layers.Dense(16, "relu"))
        >>> tuple(covariates(np.zeros((2, 5))).shape)
        (2, 16)
    """

    def __init__(
        self,
        shape: ShapeLike = (),
        num_classes: int | None = None,
        network: keras.Layer | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # half precision would round labels: bfloat16 above 256
        self.shape = as_event_shape(shape) if np.size(shape) else ()
        self.num_classes = num_classes
        if num_classes is not None:
            arguments.integer("num_classes", num_classes, at_least=2)
            if self.shape:
                raise ValueError(
                    f"Expected either `shape` or `num_classes`. Received both: {shape=}, "
                    f"{num_classes=}"
                )
        if network is not None and not isinstance(network, keras.layers.Layer):
            raise ValueError(f"Expected `network` to be a Keras layer. Received: {network!r}")
        if network is not None:
            warn_if_tokens_are_rounded("network", network)
        self.network = network

    def call(self, y: Any, training: bool = False) -> Tensor:
        if self.num_classes is not None:
            labels = ops.cast(ops.reshape(y, (-1,)), "int32")
            y = ops.one_hot(labels, self.num_classes, dtype=self.compute_dtype)
        else:
            y = ops.cast(y, self.data_dtype)
            y = ops.reshape(y, (-1, *(self.shape or (1,))))
        if self.network is not None:
            y = self.network(y, training=training)
        y = ops.reshape(y, (-1, int(np.prod(y.shape[1:]))))
        return ops.cast(y, self.compute_dtype)

    @property
    def data_dtype(self) -> str:
        """The precision of y: the layer's, but at least float32, which holds labels up to 2²⁴."""
        return at_least_float32(self.compute_dtype)

    def checked(self, y: Any, n: int) -> np.ndarray:
        """Validates y and returns it as an array.

        Raises:
            ValueError: if it is not one finite y, or class, for each of n examples. If n = 1, y
                may lack the axis of examples.
        """
        if y is None:
            raise ValueError(MISSING)
        y = inputs.as_array(y, "the condition", self.data_dtype)
        if n == 1 and y.shape == self.shape:
            y = y[None]
        if y.shape not in {(n, *self.shape), (n, *(self.shape or (1,)))}:
            raise ValueError(
                f"Expected a condition of shape {(n, *self.shape)}, one y for each example. "
                f"Received: shape {y.shape}"
            )
        if not np.isfinite(y).all():
            raise ValueError(
                f"Expected a finite condition. Received: {np.isnan(y).sum()} NaN and "
                f"{np.isinf(y).sum()} infinite values"
            )
        if self.num_classes is not None and not np.isin(y, np.arange(self.num_classes)).all():
            raise ValueError(
                f"Expected classes from 0 to {self.num_classes - 1} as condition. "
                f"Received: values from {y.min()} to {y.max()}"
            )
        return y

    def from_named_inputs(self, values: Mapping[str, Any], y: Any = None) -> tuple[Any, Any]:
        """Extracts x and y from a dict of named inputs, `x` and `condition`.

        Raises:
            ValueError: if the names differ, or y is given too.
        """
        names = self._names(values)
        if set(values) != {"x", *names} or y is not None:
            raise ValueError(
                f"Expected a dict with 'x' and {', '.join(map(repr, names))}, and no other y. "
                f"Received: {sorted(values)}" + ("" if y is None else f" and y, a {type(y)}")
            )
        return values["x"], self._of(values)

    def _names(self, values: Mapping[str, Any]) -> list[str]:
        return ["condition"]

    def _of(self, values: Mapping[str, Any]) -> Any:
        return values["condition"]

    def packed(self, y: Any) -> Any:
        """y as one array, the form that models use internally."""
        return y

    def columns(self, y: Any) -> Tensor:
        """y as one tensor, like `packed`, but for tensors and without validation."""
        return y

    def example(self) -> np.ndarray:
        """A valid y for one example."""
        return np.zeros((1, *self.shape), self.data_dtype)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "shape": self.shape,
            "num_classes": self.num_classes,
            "network": keras.saving.serialize_keras_object(self.network),
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})


@keras.saving.register_keras_serializable(package="keras_aevb")
class Conditions(Condition):
    """Several conditions, each with a name: y is a dict of arrays.

    Their features are concatenated in the order of `conditions`. The model's methods take the dict
    in place of y, as in `fit(x, {"label": labels, "age": ages})`, or together with x, as in
    `fit({"x": x, "label": labels, "age": ages})`; a stream yields `(x, y)` or `(dict,)`.

    Args:
        conditions: dict from names, other than `x` and `condition`, to `Condition`s.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        y: dict of arrays, or their concatenated columns, `[B, columns]`, as the model packs them.

    Returns:
        Features of shape `[B, F]`.

    Raises:
        ValueError: if `conditions` is not a dict from such names to conditions.

    Reference: Sohn, Lee & Yan (2015), eqs. 3 and 4, for y of several parts.

    Example:
        >>> donors = Conditions({"cell_type": Condition(num_classes=4), "age": Condition()})
        >>> tuple(donors({"cell_type": np.array([3, 1]), "age": np.array([0.2, -1.0])}).shape)
        (2, 5)
    """

    def __init__(self, conditions: dict[str, Condition], **kwargs: Unpack[LayerArguments]) -> None:
        if (
            not isinstance(conditions, dict)
            or not conditions
            or {"x", "condition"} & set(conditions)
            or not all(isinstance(c, Condition) for c in conditions.values())
        ):
            raise ValueError(
                "Expected a dict from names other than 'x' and 'condition' to `Condition`s. "
                f"Received: {conditions!r}"
            )
        super().__init__(sum(math.prod(c.shape) for c in conditions.values()), **kwargs)
        self.conditions = dict(conditions)

    def call(self, y: Any, training: bool = False) -> Tensor:
        if isinstance(y, dict):
            self._check_names(y)
            parts: Iterable[tuple[Condition, Tensor]] = [
                (c, y[name]) for name, c in self.conditions.items()
            ]
        else:
            parts = self._parts(y)
        return ops.concatenate([c(part, training=training) for c, part in parts], axis=1)

    def _parts(self, y: Tensor) -> Iterator[tuple[Condition, Tensor]]:
        """Pairs of a condition and its y, from concatenated columns."""
        start = 0
        for condition in self.conditions.values():
            end = start + math.prod(condition.shape)
            yield condition, ops.reshape(y[:, start:end], (-1, *condition.shape))
            start = end

    def _check_names(self, y: dict[str, Any]) -> None:
        if set(y) != set(self.conditions):
            raise ValueError(
                f"Expected a condition with {sorted(self.conditions)}. Received: {sorted(y)}"
            )

    def packed(self, y: Any) -> Any:
        if not isinstance(y, dict):
            return y
        self._check_names(y)
        parts = {
            name: np.atleast_1d(inputs.as_array(y[name], name, self.data_dtype))
            for name in self.conditions
        }
        lengths = {name: len(part) for name, part in parts.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Expected conditions of one length. Received: lengths {lengths}")
        columns = [
            condition.checked(parts[name], len(parts[name])).reshape(len(parts[name]), -1)
            for name, condition in self.conditions.items()
        ]
        return np.concatenate(columns, axis=1)

    def columns(self, y: Any) -> Tensor:
        if not isinstance(y, dict):
            return y
        self._check_names(y)
        parts = [
            ops.reshape(ops.cast(y[name], self.data_dtype), (-1, math.prod(condition.shape)))
            for name, condition in self.conditions.items()
        ]
        return ops.concatenate(parts, axis=1)

    def checked(self, y: Any, n: int) -> np.ndarray:
        y = super().checked(self.packed(y), n)
        for condition, part in self._parts(y):
            condition.checked(part, n)
        return y

    def _names(self, values: Mapping[str, Any]) -> list[str]:
        return ["condition"] if "condition" in values else list(self.conditions)

    def _of(self, values: Mapping[str, Any]) -> Any:
        if "condition" in values:
            return values["condition"]
        return {name: values[name] for name in self.conditions}

    def get_config(self) -> Config:
        config = keras.layers.Layer.get_config(self)
        return {**config, "conditions": keras.saving.serialize_keras_object(self.conditions)}
