"""What users pass as data: conversion to arrays, and checks of values."""

import keras
import numpy as np
from keras import ops

# Kinds of NumPy types that are numbers: booleans, integers and floating-point numbers.
REAL = "biuf"
# Of a large array, what is converted and checked together.
PART_BYTES = 2**26


def is_array(x):
    """Whether x is one array of all examples, and not a stream of batches."""
    # A scalar of NumPy has no length: an array of the wrong shape, not a stream.
    return isinstance(x, np.generic) or (hasattr(x, "shape") and hasattr(x, "__len__"))


def is_stream(x):
    """Whether x is something to take batches from, and not the examples themselves."""
    values = str | bytes | dict | list | tuple | set | frozenset | keras.layers.Layer
    return (
        not isinstance(x, values)
        and not hasattr(x, "shape")
        and (hasattr(x, "__iter__") or hasattr(x, "__getitem__"))
    )


def as_array(x, name="x"):
    """Data as a NumPy array in Keras' float type.

    Raises:
        ValueError: if x is not an array of real numbers.
    """
    try:
        array = np.asarray(x)
        if array.dtype.name == "bfloat16":  # a type of its own, which NumPy does not know
            array = array.astype("float32")
        kind = array.dtype.kind
    except (TypeError, ValueError):  # lists of unequal lengths, tensors that are not dense
        kind = None
    if kind is None or kind not in REAL:
        values = "" if kind in (None, "U", "O") else f" of {array.dtype}"
        raise ValueError(
            f"Expected an array of real numbers as {name}. Received: {type(x)}{values}"
        )
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
        return array.astype(keras.config.floatx(), copy=False)


def parts(x):
    """An array in Keras' float type, part by part where it is large: it may lie on disk."""
    if not isinstance(x, np.ndarray) or not x.ndim or x.nbytes <= PART_BYTES:
        yield as_array(x)
        return
    rows = max(1, PART_BYTES * len(x) // x.nbytes)
    for start in range(0, len(x), rows):
        yield as_array(x[start : start + rows])


def check_in_parts(x, check):
    """Checks an array with a function that raises a `ValueError`; returns its length."""
    n = 0
    for part in parts(x):
        check(part)
        n += len(part)
    return n


def check_stream(x, name="x"):
    """Raises a `ValueError` if x is neither an array nor anything to take batches from."""
    if not is_stream(x):
        raise ValueError(
            f"Expected an array, or a generator, `PyDataset`, `tf.data.Dataset` or `DataLoader` of "
            f"batches, as {name}. Received: {type(x)}"
        )


def as_resident(x, name="x"):
    """An array that a program can take rows of: NumPy, or a tensor of the backend as it is."""
    return x if ops.is_tensor(x) or isinstance(x, np.ndarray) else as_array(x, name)


def check_sample_weight(sample_weight, n):
    """Raises a `ValueError` unless there is one finite weight for each of n examples."""
    if sample_weight is None:
        return
    weights = as_array(sample_weight, "sample_weight")
    if weights.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"Expected `sample_weight` of shape ({n},), one for each example. "
            f"Received: shape {weights.shape}"
        )
    if not np.isfinite(weights).all():
        raise ValueError(
            f"Expected finite sample weights. Received: {np.isnan(weights).sum()} NaN and "
            f"{np.isinf(weights).sum()} infinite values"
        )


def class_weights(y, class_weight, sample_weight):
    """The sample weights that `class_weight`, a dict from label to weight, gives to labels y.

    Raises:
        ValueError: if sample weights are given too, `class_weight` is not a dict of numbers, or y
            is not one class for each example.
    """
    if sample_weight is not None:
        raise ValueError(
            "Expected either `class_weight` or `sample_weight`. Received both: "
            f"class_weight={class_weight}"
        )
    if y is None:
        raise ValueError(
            f"`class_weight` needs labels. Expected y. Received: y=None, {class_weight=}"
        )
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"Expected `class_weight` to be a dict from label to weight. Received: {class_weight!r}"
        )
    as_array(list(class_weight.values()), "class_weight")
    labels = as_array(y, "y")
    one_hot = labels.ndim == 2 and labels.shape[1] > 1
    if not one_hot and labels.shape not in ((labels.size,), (labels.size, 1)):
        raise ValueError(
            "`class_weight` needs labels. Expected y of shape (N,), (N, 1) or (N, classes). "
            f"Received: shape {labels.shape}"
        )
    labels = (np.argmax(labels, -1) if one_hot else labels.ravel()).astype("int64")
    return np.array([class_weight.get(int(label), 1.0) for label in labels], "float32")


def split(x, labels, sample_weight, share):
    """The first rows of checked arrays, and the last ones as validation data.

    Args:
        x, labels, sample_weight: arrays of one length N; the last may be `None`.
        share: of the rows that are held out, the last ceil(N · share).

    Returns:
        Two tuples (x, labels, sample weights).

    Raises:
        ValueError: if one of the two parts would be empty, or x is a stream.
    """
    if not is_array(x):
        raise ValueError(
            "`validation_split` needs arrays. Expected an array as x, or `validation_data`. "
            f"Received: {type(x)}"
        )
    n = len(x)
    cut = int(np.floor(n * (1 - share)))
    if not 0 < cut < n:
        raise ValueError(
            "Expected `validation_split` to leave examples on both sides. "
            f"Received: validation_split={share} of {n} examples"
        )
    arrays = (x, labels, sample_weight)
    return (
        tuple(None if a is None else a[:cut] for a in arrays),
        tuple(None if a is None else a[cut:] for a in arrays),
    )


def padded_batches(arrays, batch_size):
    """Pairs (batches of rows of all arrays, length); the last is filled up with the last row."""
    return regrouped([arrays], batch_size)


def regrouped(parts, batch_size):
    """The rows of all parts, in their order, in batches of one size.

    Args:
        parts: iterable of lists of arrays of one length.
        batch_size: of every batch; where there are fewer rows in all, their number.

    Yields:
        Pairs (batches of rows of all arrays, length); the last is filled up with the last row.
    """
    waiting, num_waiting, size = [], 0, None
    for arrays in parts:
        waiting.append(arrays)
        num_waiting += len(arrays[0])
        if num_waiting < batch_size:
            continue
        arrays = _joined(waiting)
        whole = num_waiting - num_waiting % batch_size
        for start in range(0, whole, batch_size):
            size = batch_size
            yield [array[start : start + size] for array in arrays], size
        waiting, num_waiting = [[array[whole:] for array in arrays]], num_waiting - whole
    if num_waiting:
        rows = np.arange(size or num_waiting).clip(max=num_waiting - 1)
        yield [array[rows] for array in _joined(waiting)], num_waiting


def _joined(parts):
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts)]
