"""Groups of batches for one call of a program."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aevb._backend.keras_private import all_layers
from keras_aevb.typing import Shape

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def of_one_shape(steps: Sequence[Any]) -> list[list[Any]]:
    """Splits a list of steps where the shapes of their batches change."""

    def shapes(step: Any) -> list[Shape]:
        return [np.shape(leaf) for leaf in keras.tree.flatten(step)]

    return [list(group) for _, group in itertools.groupby(steps, shapes)]


def filled(group: list[Any], length: int) -> list[Any]:
    """Pads a group with its last step, so that a shorter group uses the same program."""
    return group + group[-1:] * (length - len(group))


def has_convolutions(model: keras.Model) -> bool:
    """Whether a model has Keras' convolutions.

    Their gradients take XLA up to ten times as long on a CPU inside a loop of a program, where it
    does not bring them into the form of its fast code: https://github.com/jax-ml/jax/issues/12868.
    """
    return any(isinstance(layer, CONVOLUTIONS) for layer in all_layers(model))
