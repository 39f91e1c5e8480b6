"""Groups of batches for one call of a program."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aevb.typing import Shape


def of_one_shape(steps: Sequence[Any]) -> list[list[Any]]:
    """Splits a list of steps where the shapes of their batches change."""

    def shapes(step: Any) -> list[Shape]:
        return [np.shape(leaf) for leaf in keras.tree.flatten(step)]

    return [list(group) for _, group in itertools.groupby(steps, shapes)]


def filled(group: list[Any], length: int) -> list[Any]:
    """Pads a group with its last step, so that a shorter group uses the same program."""
    return group + group[-1:] * (length - len(group))
