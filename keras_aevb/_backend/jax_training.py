"""JAX: `fit` of one model and of several, many steps in one program."""

import contextlib
import itertools
import signal
import threading

import jax
import keras

from keras_aevb._backend import resident
from keras_aevb._backend.jax_program import Program


class Model(resident.Model):
    """A Keras model with the `fit` that is fastest on JAX."""

    def _in_one_program(self, train_function):
        distributed = keras.distribution.distribution() is not None
        return train_function if distributed else TrainFunction(self)

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = KeptFunction(self, self.test_function)

    def make_predict_function(self, force=False):
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = KeptFunction(self, self.predict_function)
        return self.predict_function

    def evaluate(self, *args, **kwargs):
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self.jax_state_sync()  # as Keras' own `fit` does

    def predict(self, *args, **kwargs):
        try:
            return super().predict(*args, **kwargs)
        finally:
            self.jax_state_sync()

    @staticmethod
    def _device_bytes():
        statistics = jax.local_devices()[0].memory_stats()
        return statistics["bytes_limit"] if statistics else None


class TrainFunction(resident.TrainFunction):
    """Takes and returns the state of the model's variables, as Keras' JAX trainer keeps it.

    Args:
        model: `Model`.
    """

    def __init__(self, model):
        self.model = model
        self.program = Program([model])

    def __call__(self, state, iterator):
        states = [state]
        try:
            batches = list(itertools.islice(iterator, self.model.steps_per_execution))
            if not batches:
                raise StopIteration
            with _interruption_held_back():
                (logs,) = self.program(states, self.arrays, [[batch] for batch in batches])
                _keep(self.model, states[0])
        except BaseException:  # StopIteration too
            _give_back(self.model, states[0])
            raise
        return logs, states[0]


class KeptFunction:
    """A function that Keras' loops call on the values of the variables, which are not lost by it.

    The loops have taken the values from the variables, and the function uses their memory. So
    Ctrl-C waits until the new values are known, and if it ends early, the variables get them back.

    Args:
        model: `Model`.
        function: Keras' own `test_function` or `predict_function`.
    """

    def __init__(self, model, function):
        self.model = model
        self.function = function

    def __call__(self, state, iterator):
        try:
            with _interruption_held_back():
                results, state = self.function(state, iterator)
                _keep(self.model, state)
        except BaseException:
            _give_back(self.model, state)
            raise
        return results, state


def _keep(model, state):
    """Notes the values where Keras' loops look for them when they end, in whatever way."""
    names = {
        2: ("trainable", "non_trainable"),
        3: ("trainable", "non_trainable", "metrics"),
        4: ("trainable", "non_trainable", "optimizer", "metrics"),
    }[len(state)]
    model._jax_state = {f"{name}_variables": values for name, values in zip(names, state)}


def _give_back(model, state):
    with _interruption_held_back():
        _keep(model, state)
        model.jax_state_sync()


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
        if shared is not None and self.models[0].fits(shared):
            arrays = resident.on_device(shared)
            streams = [resident.RowNumbers(stream) for stream in streams]
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
                    with _interruption_held_back():
                        logs = self.program(states, arrays, group)
                    done += len(group) * len(self.models)
                    report(done, logs[0])
            finally:
                with _interruption_held_back():
                    for model, state in zip(self.models, states):
                        _assign(model, state)
            for history, model_logs, stream in zip(histories, logs, streams):
                stream.on_epoch_end()
                for name, value in model_logs.items():
                    history.setdefault(name, []).append(float(value))
        for model in self.models:
            model.optimizer.finalize_variable_values(model.trainable_variables)
        return histories


@contextlib.contextmanager
def _interruption_held_back():
    """Ctrl-C waits for the end of the block: in between, the memory of the states is in use."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield  # Ctrl-C does not interrupt it, or is not Python's to hold back
        return
    caught = []
    signal.signal(signal.SIGINT, lambda *received: caught.append(received))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if caught:
        signal.raise_signal(signal.SIGINT)


def _shared_arrays(streams):
    """The arrays that all streams take their rows from, or `None`."""
    if not all(map(resident.by_rows, streams)):
        return None
    first = streams[0].arrays
    same = all(map(lambda *group: all(a is group[0] for a in group), *(s.arrays for s in streams)))
    return first if same else None


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
