"""Groups of batches for one call of a program."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def of_one_shape(steps: Sequence[Any]) -> list[list[Any]]:
    """Splits a list of steps where the shapes of their batches change."""

    return [list(group) for _, group in itertools.groupby(steps, _shapes)]


def _shapes(batches: Any) -> Any:
    """The shapes of all leaves."""
    # Most batches are lists, tuples and arrays; this takes a quarter of Keras' time for them.
    if isinstance(batches, list | tuple):
        return [_shapes(batch) for batch in batches]
    if isinstance(batches, np.ndarray):
        return batches.shape
    return [np.shape(leaf) for leaf in keras.tree.flatten(batches)]


def padded(group: list[Any], length: int) -> list[Any]:
    """Pads a group with its last step, so that a shorter group uses the same program."""
    return group + group[-1:] * (length - len(group))
