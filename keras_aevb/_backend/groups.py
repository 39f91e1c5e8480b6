"""Groups of batches for one call of a program."""

import itertools

import keras
import numpy as np


def of_one_shape(steps):
    """Splits a list of steps where the shapes of their batches change."""

    def shapes(step):
        return [np.shape(leaf) for leaf in keras.tree.flatten(step)]

    return [list(group) for _, group in itertools.groupby(steps, shapes)]


def filled(group, length):
    """Pads a group with its last step, so that a shorter group uses the same program."""
    return group + group[-1:] * (length - len(group))
