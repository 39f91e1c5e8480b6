"""Input validation and conversion: arrays, streams, weights, and batches of one size."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeGuard

import keras
import numpy as np
from keras import ops

from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.precision import at_least_float32
from keras_aevb.typing import Tensor

# Kinds of NumPy types that are numbers: booleans, integers and floating-point numbers.
REAL = "biuf"
# Bytes of a large array to convert and check at once.
PART_BYTES = 2**26


def is_array(x: Any) -> bool:
    """Whether x is one array of all examples, and not a stream of batches."""
    # A NumPy scalar has no length, but is an array of the wrong shape, not a stream.
    return isinstance(x, np.generic) or (hasattr(x, "shape") and hasattr(x, "__len__"))


def is_tensor(x: Any) -> TypeGuard[Tensor]:
    """Whether x is an array of the backend."""
    return ops.is_tensor(x)


def is_immutable(x: Any) -> bool:
    """Whether x is a tensor, or a NumPy array that nobody can write to."""
    if isinstance(x, np.ndarray):
        return not x.flags.writeable and x.base is None
    return is_tensor(x) and not hasattr(x, "assign")  # a variable is a tensor on TensorFlow


def is_stream(x: Any) -> bool:
    """Whether x is a stream of batches, and not the examples themselves."""
    values = str | bytes | dict | list | tuple | set | frozenset | keras.layers.Layer
    return (
        not isinstance(x, values)
        and not hasattr(x, "shape")
        and (hasattr(x, "__iter__") or hasattr(x, "__getitem__"))
    )


def as_array(x: Any, name: str = "x", dtype: str | None = None) -> np.ndarray:
    """Converts data to a NumPy array.

    Args:
        x: array, or nested lists of numbers.
        name: name of x in errors.
        dtype: NumPy type. Default: Keras' float type, but at least float32.

    Raises:
        ValueError: if x is not an array of real numbers.
    """
    if np.ma.is_masked(x):
        raise ValueError(
            f"Expected {name} without masked values. Received: {np.ma.getmaskarray(x).sum()} of "
            "them; `x.filled(np.nan)` marks missing values for `Observed`"
        )
    try:
        array = np.asarray(x)
        if array.dtype == object and _other_columns(x) == []:
            array = x.to_numpy("float64", na_value=np.nan)  # nullable numbers
        if array.dtype.name == "bfloat16":  # not a NumPy type
            array = array.astype("float32")
        kind = array.dtype.kind
    except (TypeError, ValueError):  # lists of unequal lengths, tensors that are not dense
        kind = None
    if kind is None or kind not in REAL:
        values = "" if kind in (None, "O") else f" of {array.dtype}"
        if others := _other_columns(x):
            values = f" with other values in the columns {others}"
        elif kind == "U":
            values += "; `np.unique(labels, return_inverse=True)[1]` numbers the classes"
        dense = "; `x.toarray()` is dense" if hasattr(x, "toarray") else ""
        raise ValueError(
            f"Expected an array of real numbers as {name}. Received: {type(x)}{values}{dense}"
        )
    with np.errstate(over="ignore"):  # validation rejects infinity later
        return array.astype(dtype or at_least_float32(keras.config.floatx()), copy=False)


def _other_columns(x: Any) -> list[str] | None:
    """The names of a DataFrame's columns that are not numbers; `None` for other data."""
    dtypes: Any = getattr(x, "dtypes", None)
    if not hasattr(dtypes, "items"):
        return None
    return [str(name) for name, dtype in dtypes.items() if dtype.kind not in REAL]


def parts(x: Any, dtype: str) -> Iterator[np.ndarray]:
    """Yields an array in a NumPy type; a large one, which may be on disk, in parts."""
    if not isinstance(x, np.ndarray) or not x.ndim or x.nbytes <= PART_BYTES:
        yield as_array(x, dtype=dtype)
        return
    rows = max(1, PART_BYTES * len(x) // x.nbytes)
    for start in range(0, len(x), rows):
        yield as_array(x[start : start + rows], dtype=dtype)


def check_in_parts(x: Any, likelihood: ConditionalDistribution) -> int:
    """Checks that an array contains examples of a likelihood; returns its length.

    Raises:
        ValueError: if it does not.
    """
    n = 0
    for part in parts(x, likelihood.density_dtype):
        likelihood.check(part)
        n += len(part)
    return n


def check_stream(x: Any, name: str = "x") -> None:
    """Raises a `ValueError` if x is not a stream of batches."""
    if not is_stream(x):
        raise ValueError(
            f"Expected an array, or a generator, `PyDataset`, `tf.data.Dataset` or `DataLoader` of "
            f"batches, as {name}. Received: {type(x)}"
        )


def as_indexable(x: Any, dtype: str) -> Any:
    """Converts an array for indexing in programs: backend tensors stay, others become NumPy arrays.

    Lists, dicts and streams stay as they are.
    """
    if ops.is_tensor(x) or isinstance(x, np.ndarray) or not is_array(x):
        return x
    return as_array(x, dtype=dtype)


def check_sample_weight(sample_weight: Any, n: int) -> None:
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


def class_weights(y: Any, class_weight: Any, sample_weight: Any) -> np.ndarray:
    """The sample weights of labels y, from `class_weight`, a dict from label to weight.

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
    if one_hot:
        valid = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
    else:
        valid = labels.shape in ((labels.size,), (labels.size, 1)) and (labels % 1 == 0).all()
    if not valid:
        raise ValueError(
            "`class_weight` needs labels. Expected y of shape (N,) or (N, 1) with classes, or "
            f"one-hot rows of shape (N, classes). Received: shape {labels.shape}"
        )
    labels = (np.argmax(labels, -1) if one_hot else labels.ravel()).astype("int64")
    return np.array([class_weight.get(int(label), 1.0) for label in labels])


def split(
    x: Any, labels: Any, sample_weight: Any, share: float
) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Splits off the last rows of validated arrays as validation data.

    Args:
        x, labels, sample_weight: arrays of one length N; the last may be `None`.
        share: share of rows to split off, the last N - floor(N · (1 - share)).

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
    weights = (None, None) if sample_weight is None else (sample_weight[:cut], sample_weight[cut:])
    return (x[:cut], labels[:cut], weights[0]), (x[cut:], labels[cut:], weights[1])


def regrouped(
    parts: Iterable[Sequence[np.ndarray]], batch_size: int
) -> Iterator[tuple[list[np.ndarray], int]]:
    """Regroups the rows of all parts, in order, into batches of one size.

    Args:
        parts: iterable of lists of arrays of one length.
        batch_size: size of every batch, or the total number of rows if that is smaller.

    Yields:
        Pairs (arrays of a batch, number of rows without padding). Copies of the last row pad the
        last batch.
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


def _joined(parts: Sequence[Sequence[np.ndarray]]) -> Sequence[np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts)]


def check_event_shape(name: str, received: Sequence[int], expected: Sequence[int]) -> None:
    """Raises a `ValueError` unless an array has events of this shape."""
    if tuple(received) != tuple(expected):
        raise ValueError(
            f"Expected {name} with event shape {expected}. Received: event shape {received}"
        )
