"""TensorFlow: many steps in one program, which reads and assigns the variables themselves."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_aevb._backend.groups import of_one_shape, padded
from keras_aevb._backend.interruption import delayed_interrupt
from keras_aevb._backend.keras_private import all_layers, check_optimizer
from keras_aevb._backend.processes import check_same, digest
from keras_aevb._backend.tensorflow import program, sum_over_replicas


class Program:
    """Steps of one or more models, each with its own program.

    Args:
        models: list of R models.
        kind: `"train"` or `"test"`.
    """

    def __init__(self, models: Sequence[keras.Model], kind: Literal["train", "test"]) -> None:
        for model in models if kind == "train" else ():
            check_optimizer(model)
        self._programs = [_ProgramOfOneModel(model, kind) for model in models]
        self._unchecked = [model for model in models if _has_several_processes(model)]
        self._training = kind == "train"

    def __call__(self, arrays: Any, steps: Sequence[Sequence[Any]]) -> Any:
        """Runs the steps.

        Args:
            arrays: arrays that the batches index, or `None` for whole batches.
            steps: list of at most `steps_per_execution` steps, each a list of R batches.

        Returns:
            List of R dicts of logs after the last step.
        """
        for model in self._unchecked:
            done = [model.optimizer.iterations] if self._training else []
            check_same(_digests(model.distribute_strategy, digest(arrays, steps, done)))
        self._unchecked = []
        with delayed_interrupt():
            return [run(arrays, list(batches)) for run, batches in zip(self._programs, zip(*steps))]


def _has_several_processes(model: keras.Model) -> bool:
    strategy = model.distribute_strategy
    return strategy.cluster_resolver is not None and strategy.num_replicas_in_sync > 1


def _digests(strategy: tf.distribute.Strategy, own: int) -> np.ndarray:
    """The digests of all replicas."""

    def gathered() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        i, n = context.replica_id_in_sync_group, context.num_replicas_in_sync
        return sum_over_replicas(
            tf.one_hot(i, n, tf.constant(own, tf.int64), tf.zeros((), tf.int64))
        )

    results = tf.function(lambda: strategy.run(gathered))()
    return strategy.experimental_local_results(results)[0].numpy()


class _ProgramOfOneModel:
    def __init__(self, model: keras.Model, kind: Literal["train", "test"]) -> None:
        self.step = model.train_step if kind == "train" else model.test_step
        self.strategy = model.distribute_strategy
        self.metrics_result = model.get_metrics_result
        self.training = kind == "train"
        self.eager = model.run_eagerly
        self.jit_compile = model.jit_compile
        self.steps_per_execution = model.steps_per_execution
        # Like Keras, without AutoGraph.
        self._run = program(self._steps, jit_compile=model.jit_compile, autograph=False)
        self.in_a_loop: bool | None = None  # set by the first call
        # An empty batch has a mean of NaN, which would stay in the layers' moving averages.
        self.normalizes_batches = (
            self.training
            and self.strategy.num_replicas_in_sync > 1
            and any(
                isinstance(layer, keras.layers.BatchNormalization) for layer in all_layers(model)
            )
        )

    def __call__(self, arrays: Any, batches: Any) -> Any:
        if self.normalizes_batches:
            batches = [self._checked(batch) for batch in batches]
        if self.eager:
            for batch in batches:
                self._one_step(arrays, tf.nest.map_structure(tf.constant, batch))
            return self.metrics_result()
        for group in of_one_shape(batches):
            if self.in_a_loop is None:
                self.in_a_loop = self._is_fast_in_a_loop(arrays, group)
            size = self.steps_per_execution if self.in_a_loop else 1
            for part in (group[i : i + size] for i in range(0, len(group), size)):
                n = tf.constant(len(part))
                logs = self._run(arrays, _stacked(part, size), n, self.in_a_loop)
        return logs

    def _checked(self, batch: Any) -> Any:
        """Returns the batch; raises a `ValueError` if a replica would have no example of it."""
        n, num_replicas = len(tf.nest.flatten(batch)[0]), self.strategy.num_replicas_in_sync
        if n < num_replicas:
            raise ValueError(
                "BatchNormalization has no mean on a replica without examples. Expected at least "
                f"one example for each of the {num_replicas} replicas in every batch. Received: a "
                f"batch of {n}. Choose another `batch_size`, or leave out the last examples"
            )
        return batch

    def _is_fast_in_a_loop(self, arrays: Any, group: list[Any]) -> bool:
        """Whether a loop does not slow the step down.

        On a CPU, XLA's fast kernels for the gradient of a convolution do not work inside loops:
        https://github.com/jax-ml/jax/issues/12868
        """
        if not (self.training and self.jit_compile) or tf.config.list_logical_devices("GPU"):
            return True
        batches = _stacked(group, self.steps_per_execution)
        n = tf.constant(len(group))
        graph = self._run.get_concrete_function(arrays, batches, n, True).graph.as_graph_def()
        nodes = itertools.chain(graph.node, *(f.node_def for f in graph.library.function))
        return not any("Conv" in node.op and "Backprop" in node.op for node in nodes)

    def _steps(self, arrays: Any, batches: Any, n: tf.Tensor, in_a_loop: bool) -> Any:
        """`n` steps, one if not in a loop; the leaves of `batches` have shape `[≥ n, B, ...]`."""

        def step(i: Any) -> Any:
            self._one_step(arrays, tf.nest.map_structure(lambda leaf: leaf[i], batches))
            return i + 1

        if in_a_loop:
            tf.while_loop(lambda i: i < n, step, [0])
        else:
            step(0)
        return self.metrics_result()

    def _one_step(self, arrays: Any, batch: Any) -> None:
        self.strategy.run(lambda: self.step(_rows_of(arrays, _replica_rows(batch))))


def _stacked(steps: list[Any], size: int) -> Any:
    """The batches of at most `size` steps, with leaves of shape `[size, B, ...]`."""
    return tf.nest.map_structure(_stacked_leaves, *padded(steps, size))


def _stacked_leaves(*leaves: Any) -> tf.Tensor:
    if all(isinstance(leaf, np.ndarray) for leaf in leaves):
        return tf.constant(np.stack(leaves))  # an eighth of the time of `tf.stack`
    return tf.stack(leaves)


def _rows_of(arrays: Any, batch: Any) -> Any:
    if arrays is None:
        return batch
    return tuple(tf.gather(array, batch[0]) for array in arrays)


def _replica_rows(batch: Any) -> Any:
    """This replica's part of a batch."""
    context = tf.distribute.get_replica_context()
    i, num_replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
    if num_replicas == 1:
        return batch

    def rows(leaf: tf.Tensor) -> tf.Tensor:
        n = tf.shape(leaf)[0]
        return leaf[n * i // num_replicas : n * (i + 1) // num_replicas]

    return tf.nest.map_structure(rows, batch)


def representable(array: Any) -> Any:
    """The array itself: TensorFlow has every integer type of NumPy."""
    return array


class PredictProgram:
    """A model's outputs for a batch.

    Args:
        model: Keras model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.step = model.predict_step
        self.strategy = model.distribute_strategy
        # If other processes have replicas too, each process computes all outputs alone.
        is_only_process = self.strategy.cluster_resolver is None
        several = self.strategy.num_replicas_in_sync > 1
        self._run = self._on_replicas if several and is_only_process else self.step
        if not model.run_eagerly:
            self._run = program(self._run, jit_compile=model.jit_compile, reduce_retracing=True)

    def _on_replicas(self, batch: Any) -> Any:
        outputs = self.strategy.run(lambda: self.step(_replica_rows(batch)))
        parts = self.strategy.experimental_local_results(outputs)
        return tf.nest.map_structure(lambda *leaves: tf.concat(leaves, 0), *parts)

    def __call__(self, batch: Any) -> Any:
        """Returns a structure of arrays."""
        with delayed_interrupt():
            return self._run(batch)


__all__ = ["PredictProgram", "Program", "representable"]
