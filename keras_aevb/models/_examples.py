"""What comes in as x: checks of its values, and batches of one size."""

import itertools
import types

import keras
import numpy as np


def as_array(x):
    """Data as a NumPy array in Keras' float type, or a `ValueError` that says what came."""
    try:
        return np.asarray(x, keras.config.floatx())
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected an array of numbers as x. Received: {type(x)}") from error


def padded_batches(x, batch_size):
    """Pairs (batch, length): batches of one shape, the last one filled up with its last row."""
    batch_size = min(batch_size, len(x))
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        padding = [(0, batch_size - len(batch))] + [(0, 0)] * (x.ndim - 1)
        yield np.pad(batch, padding, mode="edge"), len(batch)


def checked(x, likelihood):
    """`x` after `likelihood.check`: arrays whole, a stream of batches by its first one.

    Returns:
        What to use in place of `x`: a generator comes back as a new one that starts at the
        beginning.
    """
    if x is None or isinstance(x, (str, dict)):
        return x
    if hasattr(x, "shape"):
        likelihood.check(as_array(x))
        return x
    if isinstance(x, types.GeneratorType):
        first = next(x)
        check_batch(first, likelihood)
        return (batch for batch in itertools.chain([first], x))
    check_batch(x[0] if isinstance(x, keras.utils.PyDataset) else next(iter(x)), likelihood)
    return x


def check_batch(batch, likelihood):
    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    likelihood.check(as_array(x))


def checked_validation(data, likelihood):
    """What `fit` accepts as `validation_data`, (x, y), (x, y, weights) or a stream, checked."""
    if not isinstance(data, tuple | list):
        return checked(data, likelihood)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return checked(x, likelihood), labels(x, y, sample_weight), sample_weight


def labels(x, y, sample_weight):
    """`y`, or labels that nobody reads: Keras drops the weights of arrays without labels."""
    if y is None and sample_weight is not None and hasattr(x, "shape"):
        return np.zeros(len(x))
    return y
