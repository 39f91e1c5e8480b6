"""`fit` on data that stays on the device.

Where batches are rows of arrays that fit there, only the rows' numbers are handed over.
"""

import itertools
import math

import keras
import numpy as np
from keras import ops

from keras_aevb.batches import EpochMinibatches, RowBatches

# The share of an accelerator's memory, or the bytes of a computer's, that data may take.
DEVICE_SHARE = 0.25
HOST_BYTES = 2**31


class TrainFunction:
    """What Keras' loop calls in place of its own: the next steps of a model, in one program.

    Attributes:
        arrays: what the batches are rows of, or `None` where the batches are handed over whole.
        rows: their `RowNumbers`, or `None`.
    """

    arrays = None
    rows = None


class Model(keras.Model):
    """A Keras model whose `fit` makes `steps_per_execution` steps in one program.

    Keras' own loop calls a program for each step, and copies each batch to the device.
    """

    def _in_one_program(self, train_function):
        """A `TrainFunction` in place of Keras' own, or Keras' own where models are distributed."""
        raise NotImplementedError

    @staticmethod
    def _device_bytes():
        """Memory of the accelerator, or `None` where the processor computes or it is not known."""
        raise NotImplementedError

    def _handed_over(self, rows):
        """What Keras' loop iterates over, and the `TrainFunction` gets, in place of the batches."""
        return rows

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        if not self.run_eagerly and self.jit_compile:
            self.train_function = self._in_one_program(self.train_function)

    def fit(self, x=None, **kwargs):
        self.make_train_function()
        if not isinstance(self.train_function, TrainFunction):
            return super().fit(x, **kwargs)
        if kwargs.get("validation_data") is not None:
            kwargs["validation_split"] = 0.0  # Keras takes the data
        if kwargs.get("validation_split"):
            x, kwargs = _split(x, **kwargs)
        stream = x if by_rows(x) else _as_stream({"x": x, **kwargs})
        # Class weights are Keras' to look up, in labels that row numbers do not have.
        if stream is None or kwargs.get("class_weight") or not self.fits(stream.arrays):
            return super().fit(x, **kwargs)
        if stream is not x:
            validation = kwargs.get("validation_batch_size") or kwargs.get("batch_size")
            kwargs.update(y=None, sample_weight=None, batch_size=None, shuffle=False)
            kwargs["validation_batch_size"] = validation
        function = self.train_function
        function.arrays, function.rows = on_device(stream.arrays), RowNumbers(stream)
        try:
            return super().fit(self._handed_over(function.rows), **kwargs)
        finally:
            function.arrays = function.rows = None

    def fits(self, arrays):
        """Whether arrays may be held on the device."""
        needed = sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))
        memory = self._device_bytes()
        return needed <= (HOST_BYTES if memory is None else DEVICE_SHARE * memory)


class RowNumbers(keras.utils.PyDataset):
    """The rows' numbers of a `RowBatches` in place of its batches."""

    def __init__(self, stream):
        super().__init__(stream.workers, stream.use_multiprocessing, stream.max_queue_size)
        self.stream = stream

    def __len__(self):
        return len(self.stream)

    def __getitem__(self, i):
        rows, n = np.asarray(self.stream.rows(i), "int32"), self.stream.num_rows
        # Devices take some row or other where there is none.
        if rows.min(initial=0) < 0 or rows.max(initial=0) >= n:
            raise IndexError(f"Expected numbers of rows from 0 to {n - 1}. Received: {rows}")
        return (rows,)

    def on_epoch_begin(self):
        self.stream.on_epoch_begin()

    def on_epoch_end(self):
        self.stream.on_epoch_end()


def by_rows(stream):
    """Whether batches are rows of the stream's arrays as they are."""
    return isinstance(stream, RowBatches) and type(stream).__getitem__ is RowBatches.__getitem__


def on_device(arrays):
    """Tensors; floating-point numbers as Keras' `floatx`, as Keras makes them of arrays."""
    return tuple(map(_tensor, arrays))


def of_one_shape(batches):
    """Splits a list of steps where the shapes of their batches change."""

    def shapes(step):
        return [np.shape(leaf) for leaf in keras.tree.flatten(step)]

    return [list(group) for _, group in itertools.groupby(batches, shapes)]


def _tensor(array):
    floating = isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating)
    return ops.convert_to_tensor(array, keras.config.floatx() if floating else None)


def _split(x, **kwargs):
    """The arguments of `fit` with the last rows of arrays as `validation_data`, as Keras has it."""
    data = x, kwargs.get("y"), kwargs.get("sample_weight")
    size = 0 if x is None or not _are_arrays(data) else len(x)
    cut = math.floor(size * (1 - kwargs["validation_split"]))
    if not 0 < cut < size:
        return x, kwargs  # Keras says what is wrong
    (x, y, sample_weight), held_out = (
        tuple(None if a is None else a[rows] for a in data)
        for rows in (slice(cut), slice(cut, None))
    )
    changed = {"y": y, "sample_weight": sample_weight, "validation_data": held_out}
    return x, {**kwargs, **changed, "validation_split": 0.0}


def _are_arrays(data):
    arrays = [a for a in data if a is not None]
    return bool(arrays) and all(isinstance(a, np.ndarray) or ops.is_tensor(a) for a in arrays)


def _as_stream(arguments):
    """The batches that Keras would make of the arguments of `fit`, or `None` if not of rows."""
    data = [arguments.get(name) for name in ("x", "y", "sample_weight")]
    if (
        not _are_arrays(data)
        or arguments.get("validation_split")
        or arguments.get("steps_per_epoch")
        or arguments.get("shuffle", True) not in (True, False)
    ):
        return None
    arrays = [a for a in data if a is not None]
    return EpochMinibatches(
        arrays, arguments.get("batch_size") or 32, arguments.get("shuffle", True)
    )
