"""Epochs of batches, in groups for programs that run several steps per call."""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeAlias, TypeGuard

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend
from keras_aevb._backend.keras_private import EpochIterator
from keras_aevb.batches import RowBatches
from keras_aevb.typing import ArrayLike, Stream, Tensor

# The largest device-resident data: a share of an accelerator's memory, or bytes if that is unknown.
DEVICE_SHARE = 0.25
HOST_BYTES = 2**31

Arrays: TypeAlias = tuple[ArrayLike, ...]
Batch: TypeAlias = tuple[Any, ...]  # (row indices,), or (x,), (x, y) or (x, y, sample_weight)
Group: TypeAlias = tuple[int, list[Batch]]  # of steps, with the number of the first


class RowEpochs:
    """Epochs of a `RowBatches`.

    If `steps` differs from the stream's length, an epoch continues where the one before it stopped,
    so each pass over the stream takes every batch once.

    Args:
        stream: `RowBatches`.
        steps_per_execution: steps in a group.
        steps: steps in an epoch. Default: the stream's length.
        arrays: the stream's arrays on the device; batches are then row indices.
    """

    def __init__(
        self,
        stream: RowBatches,
        steps_per_execution: int,
        steps: int | None = None,
        arrays: Arrays | None = None,
    ) -> None:
        self.stream = stream
        self.steps_per_execution = steps_per_execution
        self.num_batches = steps or len(stream)
        self.arrays = arrays
        if not len(stream):
            raise ValueError("Expected a stream of at least one batch. Received: length 0")

    def epoch(self, number: int) -> Generator[Group, None, None]:
        """Yields the first step of each group and its batches, each `(row indices,)` or whole."""
        for first in range(0, self.num_batches, self.steps_per_execution):
            last = min(first + self.steps_per_execution, self.num_batches)
            steps = range(number * self.num_batches + first, number * self.num_batches + last)
            batches = [self._batch(step) for step in steps]
            if self.arrays is not None:
                self._check([rows for (rows,) in batches], steps[0], np.shape(self.arrays[0])[0])
            yield first, batches

    def _batch(self, step: int) -> Batch:
        """The batch of a step, counted from the beginning of training."""
        number, i = divmod(step, len(self.stream))
        if i == 0 or step % self.num_batches == 0:
            self.stream.epoch = number
            self.stream.on_epoch_begin()
        rows = np.array(self.stream.rows(i), "int32")  # a copy: a hook may shuffle in place
        if i == len(self.stream) - 1:
            self.stream.on_epoch_end()
        if self.arrays is not None:
            return (rows,)  # `epoch` checks a group of batches at once
        self._check([rows], step, self.stream.num_rows)
        return self.stream.take(rows)

    def _check(self, batches: Sequence[np.ndarray], first: int, n: int) -> None:
        """Raises an `IndexError` unless all row indices are from 0 to n - 1.

        Accelerators raise no error for others, and NumPy none for negative ones.
        """

        def exist(rows: np.ndarray) -> bool:
            return rows.min(initial=0) >= 0 and rows.max(initial=0) < n

        if not exist(np.concatenate(batches, axis=None)):
            step, rows = next(
                (step, rows) for step, rows in enumerate(batches, first) if not exist(rows)
            )
            raise IndexError(
                f"Expected row indices from 0 to {n - 1}. Received: {rows}, "
                f"{place(step % len(self.stream))}"
            )


class StreamEpochs:
    """Epochs of any other stream that Keras accepts; every batch is validated.

    Args:
        stream: a generator or another iterator, `PyDataset`, `tf.data.Dataset` or `DataLoader`.
        steps_per_execution: steps in a group.
        unpack: function from a batch to its x, y and sample weights.
        check: function of these that raises a `ValueError` if they are invalid.
        **settings: arguments of Keras' `EpochIterator`.
    """

    arrays = None

    def __init__(
        self,
        stream: Stream,
        steps_per_execution: int,
        unpack: Callable[[Any], tuple[Any, Any, Any]],
        check: Callable[..., None],
        **settings: Any,
    ) -> None:
        self.stream = stream
        self.unpack = unpack
        self.check = check
        self.takes_all = False  # whether an epoch exhausts the iterator
        self.used_up = False
        if isinstance(stream, Iterator):
            self.takes_all = settings.get("steps_per_epoch") is None
            stream = _not_empty(stream)
        self.iterator = EpochIterator(stream, steps_per_execution=steps_per_execution, **settings)
        self.iterator.reset()

    @property
    def num_batches(self) -> int | None:
        """Batches in an epoch, or `None` if unknown."""
        return self.iterator.num_batches

    def epoch(self, number: int) -> Generator[Group, None, None]:
        """Yields the first step of each group and its batches, each `(x, y, sample_weight)`.

        Raises:
            ValueError: if a batch is invalid, or there is none.
        """
        if isinstance(self.stream, RowBatches):
            self.stream.epoch = number
        if self.used_up:  # Keras would repeat the first batch
            raise no_batches(f"in epoch {number + 1}")
        num_batches = 0
        for first, _, batches in self.iterator:
            checked = []
            for i, batch in enumerate(batches):
                try:
                    data = self.unpack(batch)
                    self.check(*data)
                except ValueError as error:
                    raise ValueError(f"{error}, {place(first + i)}") from error
                checked.append(with_given_parts(*data))
            try:
                yield first, checked
            except GeneratorExit:  # stopped early
                self.iterator.reset()
                raise
            num_batches += len(batches)
        if not num_batches:
            raise no_batches(f"in epoch {number + 1}")
        self.used_up = self.takes_all


Epochs: TypeAlias = RowEpochs | StreamEpochs


def _not_empty(generator: Iterator[Any]) -> Iterator[Any]:
    """The same generator; raises a `ValueError` if it has no batch."""
    try:
        first = next(generator)
    except StopIteration:
        raise no_batches("before the first epoch") from None
    return (batch for batch in itertools.chain([first], generator))


def place(i: int) -> str:
    """Where an error is; i is a batch's index in its epoch, as in `stream[i]`."""
    return f"in batch {i} of the stream (the first is 0)"


def no_batches(when: str) -> ValueError:
    """The error for a stream without batches."""
    return ValueError(
        f"Expected a stream with at least one batch in every epoch. Received: none {when}. A "
        "generator is exhausted after one pass; a data set that drops its last batch is empty if "
        "the batch size exceeds the number of examples"
    )


def with_given_parts(x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
    """The batch (x,), (x, y) or (x, y, sample_weight); a missing y before weights is zeros."""
    if sample_weight is not None:
        return x, np.zeros(len(x)) if y is None else y, sample_weight
    return (x,) if y is None else (x, y)


def on_device(arrays: Arrays, dtype: str) -> Arrays:
    """Arrays as tensors on the device; NumPy floats are converted to `dtype`."""

    def tensor(array: ArrayLike) -> Tensor:
        array = _backend.representable(array)
        floating = isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating)
        return ops.convert_to_tensor(array, dtype if floating else None)

    return tuple(map(tensor, arrays))


def are_rows(stream: Any) -> TypeGuard[RowBatches]:
    """Whether a stream's batches are unchanged rows of its arrays."""
    return isinstance(stream, RowBatches) and type(stream).__getitem__ is RowBatches.__getitem__


def fits_device(stream: RowBatches) -> bool:
    """Whether a stream's arrays may stay on the device."""
    if keras.distribution.distribution() is not None:
        return False
    needed = sum(a.nbytes for a in stream.arrays if isinstance(a, np.ndarray))
    memory = _backend.device_bytes()
    return needed <= (HOST_BYTES if memory is None else DEVICE_SHARE * memory)


@contextlib.contextmanager
def side_by_side(
    sources: Sequence[Epochs], number: int
) -> Iterator[Iterator[tuple[int, list[list[Batch]]]]]:
    """Zips the epochs of R sources: pairs (first step of a group, its steps of R batches each)."""
    epochs = [source.epoch(number) for source in sources]
    try:
        yield (
            (groups[0][0], [list(step) for step in zip(*(batches for _, batches in groups))])
            # `zip_longest` runs each epoch to its end, where a stream's own hook may run.
            for groups in itertools.takewhile(all, itertools.zip_longest(*epochs))
        )
    finally:
        for epoch in epochs:
            epoch.close()
