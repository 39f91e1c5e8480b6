"""Groups of batches that one call of a program takes."""

import itertools

import keras
import numpy as np


def of_one_shape(steps):
    """Splits a list of steps where the shapes of their batches change."""

    def shapes(step):
        return [np.shape(leaf) for leaf in keras.tree.flatten(step)]

    return [list(group) for _, group in itertools.groupby(steps, shapes)]


def filled(group, length):
    """A group with its last step repeated, so that a shorter group needs no program of its own."""
    return group + group[-1:] * (length - len(group))
