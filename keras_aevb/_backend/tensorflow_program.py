"""TensorFlow: many steps in one program, which reads and assigns the variables themselves."""

import tensorflow as tf

from keras_aevb._backend.groups import filled, of_one_shape
from keras_aevb._backend.interruption import delayed_interrupt


class Program:
    """Steps of one or more models, each with a program of its own.

    Args:
        models: list of R models.
        kind: `"train"` or `"test"`.
    """

    def __init__(self, models, kind):
        self._programs = [_ProgramOfOneModel(model, kind) for model in models]

    def __call__(self, arrays, steps):
        """Makes the steps.

        Args:
            arrays: what the batches are rows of, or `None` where the batches are whole.
            steps: for each of at most `steps_per_execution` steps a list of R batches.

        Returns:
            List of R dicts of logs after the last step.
        """
        with delayed_interrupt():
            return [run(arrays, list(batches)) for run, batches in zip(self._programs, zip(*steps))]


class _ProgramOfOneModel:
    def __init__(self, model, kind):
        self.step = model.train_step if kind == "train" else model.test_step
        self.metrics_result = model.get_metrics_result
        self.eager = model.run_eagerly
        self.steps_per_execution = model.steps_per_execution
        # Without AutoGraph, as Keras calls steps.
        self._run = tf.function(self._steps, jit_compile=model.jit_compile, autograph=False)

    def __call__(self, arrays, batches):
        if self.eager:
            for batch in batches:
                logs = self.step(_rows_of(arrays, tf.nest.map_structure(tf.constant, batch)))
            return logs
        for group in of_one_shape(batches):
            stacked = tf.nest.map_structure(
                lambda *leaves: tf.stack(leaves), *filled(group, self.steps_per_execution)
            )
            logs = self._run(arrays, stacked, tf.constant(len(group)))
        return logs

    def _steps(self, arrays, batches, n):
        """`n` steps; the leaves of `batches` have shape `[steps_per_execution, B, ...]`."""

        def step(i):
            batch = tf.nest.map_structure(lambda leaf: leaf[i], batches)
            return self.step(_rows_of(arrays, batch))

        # A loop starts with logs of the right names, shapes and types: those before the first step.
        logs = self.metrics_result()
        return tf.while_loop(lambda i, _: i < n, lambda i, _: (i + 1, step(i)), (0, logs))[1]


def _rows_of(arrays, batch):
    if arrays is None:
        return batch
    return tuple(tf.gather(array, batch[0]) for array in arrays)


class PredictProgram:
    """A model's outputs for a batch.

    Args:
        model: Keras model.
    """

    def __init__(self, model):
        self._run = model.predict_step
        if not model.run_eagerly:
            self._run = tf.function(
                model.predict_step, jit_compile=model.jit_compile, reduce_retracing=True
            )

    def __call__(self, batch):
        """Returns a structure of arrays."""
        with delayed_interrupt():
            return self._run(batch)
