"""JAX: `fit` of one model and of several, on data that stays on the device.

Where batches are rows of arrays that fit there, only the rows' numbers are handed over.
"""

import itertools

import jax
import keras
import numpy as np
from jax import numpy as jnp

from keras_aevb._backend.jax_program import Program
from keras_aevb.batches import EpochMinibatches, RowBatches

# The share of an accelerator's memory, or the bytes of a computer's, that data may take.
DEVICE_SHARE = 0.25
HOST_BYTES = 2**31


class Model(keras.Model):
    """A Keras model whose `fit` makes `steps_per_execution` steps in one program.

    Keras' own loop calls a program for each step, and copies each batch to the device.
    """

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        distributed = keras.distribution.distribution() is not None
        if not self.run_eagerly and self.jit_compile and not distributed:
            self.train_function = TrainFunction(self)

    def fit(self, x=None, **kwargs):
        self.make_train_function()
        if not isinstance(self.train_function, TrainFunction):
            return super().fit(x, **kwargs)
        stream = x if _by_rows(x) else _as_stream({"x": x, **kwargs})
        # Class weights are Keras' to look up, in labels that row numbers do not have.
        if stream is None or kwargs.get("class_weight") or not _fits(stream.arrays):
            return super().fit(x, **kwargs)
        if stream is not x:
            validation = kwargs.get("validation_batch_size") or kwargs.get("batch_size")
            kwargs.update(y=None, sample_weight=None, batch_size=None, shuffle=False)
            kwargs["validation_batch_size"] = validation
        self.train_function.arrays = _on_device(stream.arrays)
        try:
            return super().fit(_RowNumbers(stream), **kwargs)
        finally:
            self.train_function.arrays = None


class TrainFunction:
    """What Keras' loop calls in place of its own: the next steps of a model.

    Args:
        model: `Model`.
    """

    def __init__(self, model):
        self.model = model
        self.program = Program([model])
        self.arrays = None

    def __call__(self, state, iterator):
        batches = list(itertools.islice(iterator, self.model.steps_per_execution))
        if not batches:
            raise StopIteration
        (logs,), (state,) = self.program([state], self.arrays, [[batch] for batch in batches])
        return logs, state


class ReplicaTrainer:
    """Trains models that are alike but for the values of their variables, in one program.

    Args:
        models: list of R `Model`.

    Raises:
        ValueError: if they are compiled to run eagerly.
    """

    def __init__(self, models):
        if models[0].run_eagerly or not models[0].jit_compile:
            raise ValueError(
                "Expected models that are compiled into programs. Received: "
                f"run_eagerly={models[0].run_eagerly}, jit_compile={models[0].jit_compile}"
            )
        self.models = models
        self.program = Program(models)

    def fit(self, streams, epochs, report):
        """Trains each model on its stream.

        Args:
            streams: list of R `PyDataset`, of one length, whose batches are of one shape.
            epochs: passes over the streams.
            report: function of the steps made so far, of all models together, and of one model's
                logs.

        Returns:
            List of R dicts from the names of the logs to lists of their values after each epoch.
        """
        shared = _shared_arrays(streams)
        arrays = None
        if shared is not None and _fits(shared):
            arrays = _on_device(shared)
            streams = [_RowNumbers(stream) for stream in streams]
        histories = [{} for _ in self.models]
        done = 0
        for _ in range(epochs):
            for model, stream in zip(self.models, streams):
                model.reset_metrics()
                stream.on_epoch_begin()
            states = [_state(model) for model in self.models]
            batches = ([stream[i] for stream in streams] for i in range(len(streams[0])))
            try:
                while group := list(itertools.islice(batches, self.program.steps_per_execution)):
                    logs, states = self.program(states, arrays, group)
                    done += len(group) * len(self.models)
                    report(done, logs[0])
            finally:
                for model, state in zip(self.models, states):
                    _assign(model, state)
            for history, model_logs, stream in zip(histories, logs, streams):
                stream.on_epoch_end()
                for name, value in model_logs.items():
                    history.setdefault(name, []).append(float(value))
        for model in self.models:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        return histories


class _RowNumbers(keras.utils.PyDataset):
    """The rows' numbers of a `RowBatches` in place of its batches."""

    def __init__(self, stream):
        super().__init__(stream.workers, stream.use_multiprocessing, stream.max_queue_size)
        self.stream = stream

    def __len__(self):
        return len(self.stream)

    def __getitem__(self, i):
        return (np.asarray(self.stream.rows(i), "int32"),)

    def on_epoch_begin(self):
        self.stream.on_epoch_begin()

    def on_epoch_end(self):
        self.stream.on_epoch_end()


def _as_stream(arguments):
    """The batches that Keras would make of the arguments of `fit`, or `None` if not of rows."""
    given = (arguments.get(name) for name in ("x", "y", "sample_weight"))
    arrays = [a for a in given if a is not None]
    left_to_keras = ("validation_split", "steps_per_epoch")
    if (
        not arrays
        or not all(isinstance(array, np.ndarray | jax.Array) for array in arrays)
        or any(arguments.get(name) for name in left_to_keras)
        or arguments.get("shuffle", True) not in (True, False)
    ):
        return None
    return EpochMinibatches(
        arrays, arguments.get("batch_size") or 32, arguments.get("shuffle", True)
    )


def _by_rows(stream):
    """Whether batches are rows of the stream's arrays as they are."""
    return isinstance(stream, RowBatches) and type(stream).__getitem__ is RowBatches.__getitem__


def _shared_arrays(streams):
    """The arrays that all streams take their rows from, or `None`."""
    if not all(map(_by_rows, streams)):
        return None
    first = streams[0].arrays
    same = all(map(lambda *group: all(a is group[0] for a in group), *(s.arrays for s in streams)))
    return first if same else None


def _fits(arrays):
    """Whether arrays may be held on the device."""
    needed = sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))
    statistics = jax.local_devices()[0].memory_stats()
    return needed <= (DEVICE_SHARE * statistics["bytes_limit"] if statistics else HOST_BYTES)


def _on_device(arrays):
    return tuple(jnp.asarray(array) for array in arrays)


def _groups(model):
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _state(model):
    return tuple([v.value for v in group] for group in _groups(model))


def _assign(model, state):
    for variables, values in zip(_groups(model), state):
        for variable, value in zip(variables, values):
            variable.assign(value)
