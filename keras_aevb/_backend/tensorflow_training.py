"""TensorFlow: `fit` with many steps in one XLA program; several models one after another."""

import itertools

import keras
import tensorflow as tf

from keras_aevb._backend import resident


class Model(resident.Model):
    """A Keras model with the `fit` that is fastest on TensorFlow, if `jit_compile` is set."""

    def _in_one_program(self, train_function):
        with self.distribute_strategy.scope():
            distributed = tf.distribute.has_strategy()
        return train_function if distributed else TrainFunction(self, train_function)

    @staticmethod
    def _device_bytes():
        return None  # TensorFlow does not tell

    def _handed_over(self, rows):
        """The batches' numbers alone.

        Keras reads a `PyDataset` through a generator in Python, which takes as long as a third of
        a step of the paper's model.
        """
        return tf.data.Dataset.range(len(rows))


class TrainFunction(resident.TrainFunction):
    """Steps on resident arrays in a loop that XLA compiles; other batches are left to Keras.

    Args:
        model: `Model`.
        train_function: Keras' own.
    """

    def __init__(self, model, train_function):
        self.model = model
        self.steps_per_execution = model.steps_per_execution
        self.train_function = train_function
        # Without AutoGraph, as Keras calls steps.
        self._run = tf.function(self._steps, jit_compile=True, autograph=False)

    def __call__(self, iterator):
        if self.arrays is None:
            return self.train_function(iterator)
        numbers = [i.numpy() for i in itertools.islice(iterator, self.steps_per_execution)]
        if not numbers:
            raise StopIteration
        if numbers[0] == 0:
            self.rows.on_epoch_begin()
        for group in resident.of_one_shape([self.rows[i][0] for i in numbers]):
            # A shorter group is filled up, so that it needs no program of its own.
            filled = group + group[-1:] * (self.steps_per_execution - len(group))
            logs = self._run(self.arrays, tf.stack(filled), tf.constant(len(group)))
        if numbers[-1] == len(self.rows) - 1:
            self.rows.on_epoch_end()
        return logs

    def _steps(self, arrays, rows, n):
        """`n` steps; `rows` has shape `[steps_per_execution, B]`."""

        def step(i):
            return self.model.train_step(tuple(tf.gather(array, rows[i]) for array in arrays))

        # A loop starts with logs of the right shapes.
        traced = tf.function(step, autograph=False).get_concrete_function(tf.constant(0))
        logs = {k: tf.zeros(v.shape, v.dtype) for k, v in traced.structured_outputs.items()}
        return tf.while_loop(lambda i, _: i < n, lambda i, _: (i + 1, step(i)), (0, logs))[1]


class ReplicaTrainer:
    """Trains models one after another: on TensorFlow, several share no program."""

    def __init__(self, models):
        self.models = models

    def fit(self, streams, epochs, report):
        """As on JAX."""
        histories = []
        for i, (model, stream) in enumerate(zip(self.models, streams)):
            callback = _Report(report, i * epochs * len(stream), len(stream))
            history = model.fit(
                stream, epochs=epochs, verbose=0, shuffle=False, callbacks=[callback]
            )
            histories.append(history.history)
        return histories


class _Report(keras.callbacks.Callback):
    def __init__(self, report, done, steps_per_epoch):
        super().__init__()
        self.report = report
        self.done = done
        self.steps_per_epoch = steps_per_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.before_epoch = self.done + epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        # With several steps per execution, Keras counts the last ones as if they were all made.
        self.report(self.before_epoch + min(batch + 1, self.steps_per_epoch), logs)
