"""A fingerprint of a model, to detect compiled programs that are out of date.

A compiled program reads the variables at each call, but every other attribute of a layer is a
constant in it. The fingerprint changes with such an attribute: a number, an activation, a layer or
a variable that is replaced, a quantised or LoRA kernel.
"""

import functools
import types
from collections.abc import Hashable
from typing import Any

import keras
import numpy as np

from keras_aevb._backend.keras_private import SET_BY_COMPILE, all_layers

# Attributes that `compile`, `fit` and loading change, and that steps do not read.
TRAINING_ONLY = SET_BY_COMPILE | {
    "_programs",
    "epochs_done",
    "history",
    "optimizer",
    "restored_epoch",
    "seed",
    "stop_evaluating",
    "stop_predicting",
    "stop_training",
}
# Packages whose objects are compared only by identity.
OPAQUE = {"builtins", "jax", "jaxlib", "keras", "numpy", "tensorflow", "tensorflow_probability"}
# Levels of nested attributes to compare in a user's objects.
DEPTH = 4


@functools.cache  # not a constant: the first layer fixes Keras' dtype policy
def _ignored() -> set[str]:
    """The attributes of every Keras layer or model; `_of_layer` reads those that matter."""
    return TRAINING_ONLY.union(*(vars(layer) for layer in (keras.layers.Layer(), keras.Model())))


def fingerprint(model: keras.Model) -> Hashable:
    """A hashable value that changes when the model's computation changes."""
    return tuple(_of_layer(layer) for layer in all_layers(model))


class Identity:
    """Compares objects by identity. It keeps them alive, so that no other object gets their id."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _of_layer(layer: keras.Layer) -> Hashable:
    variables = (*layer.trainable_variables, *layer.non_trainable_variables)
    return (
        Identity(layer),
        layer.trainable,
        layer.dtype_policy.name,
        tuple(map(Identity, variables)),
        tuple((Identity(v.regularizer), Identity(v.constraint)) for v in variables),
        Identity(layer.activity_regularizer),
        tuple(
            (name, _of_value(value, DEPTH))
            for name, value in vars(layer).items()
            if name not in _ignored() and not _is_internal(name, layer)
        ),
    )


def _is_internal(name: str, layer: keras.Layer) -> bool:
    """Whether an attribute is internal to TensorFlow, or to Keras in one of Keras' layers."""
    keras_owns = type(layer).__module__.startswith("keras.")
    return name.startswith("_self_") or (name.startswith("_") and keras_owns)


def _of_value(value: Any, depth: int) -> Hashable:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return type(value), value
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, value.tobytes()
    if depth and isinstance(value, list | tuple | set | frozenset):
        return type(value), tuple(_of_value(item, depth - 1) for item in value)
    if depth and isinstance(value, dict):
        return tuple((str(k), _of_value(item, depth - 1)) for k, item in value.items())
    if depth and _is_plain_object(value):
        return Identity(value), _of_value(vars(value), depth - 1)
    return Identity(value)


def _is_plain_object(value: Any) -> bool:
    """Whether a value is an object of a user's class, whose attributes a step may read."""
    return (
        hasattr(value, "__dict__")
        and not isinstance(value, type | types.ModuleType | types.FunctionType)
        and not isinstance(value, keras.layers.Layer)
        and type(value).__module__.partition(".")[0] not in OPAQUE
    )
