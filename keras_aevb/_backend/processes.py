"""Checks that all processes that train a model together have the same batches.

Every process makes the same global batches, and its devices take their share of the rows. A batch
then does not depend on the number of processes, and no process waits for examples from another.
"""

import zlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np


def digest(*parts: Any) -> int:
    """A checksum of structures of arrays and numbers."""
    leaves = [np.asarray(leaf) for leaf in keras.tree.flatten(parts) if leaf is not None]
    sums = [(zlib.crc32(leaf.tobytes()), *leaf.shape) for leaf in leaves]
    return zlib.crc32(repr(sums).encode())


def check_same(digests: Iterable[Any]) -> None:
    """Raises a `ValueError` unless the processes have equal digests.

    Args:
        digests: one for each process, or replica, of its next batches and number of past steps.
    """
    digests = [int(each) for each in digests]
    if len(set(digests)) > 1:
        raise ValueError(
            "Expected the same batches and the same number of past steps in every process, because "
            "each takes its part of every batch. Received: batches or steps that differ between "
            "processes. Possible causes: a sharded data set, models with different "
            "seeds, or backups of different epochs"
        )
