"""TensorFlow: eager variables, gradients by tape, compilation by `tf.function`."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_aevb._backend.built import check_built
from keras_aevb._backend.lazy_module import check_installed, lazy_module


def _tfp() -> ModuleType:
    try:
        with tf.init_scope():  # its constants must not belong to a program that is being compiled
            import tensorflow_probability as tfp

            tfp.distributions  # noqa: B018  TFP loads lazily; raises here without tf-keras
    except (ImportError, AttributeError) as error:
        raise _not_loaded(error) from error
    return tfp


def _not_loaded(cause: object) -> ImportError:
    return ImportError(
        "TensorFlow Probability could not be loaded for the tensorflow backend, which needs "
        "compatible versions of tensorflow, tensorflow-probability and tf-keras. "
        "Install them with: pip install 'keras-aevb[tensorflow]'. "
        f"The cause was: {cause}"
    )


check_installed(["tensorflow_probability", "tf_keras"], _not_loaded)


tfp = lazy_module("tensorflow_probability", _tfp)
tfd = lazy_module("tensorflow_probability.distributions", lambda: tfp.distributions)
tfb = lazy_module("tensorflow_probability.bijectors", lambda: tfp.bijectors)
linalg = tf.linalg

mean = ops.mean
tanh = ops.tanh
variance = ops.var


def mean_metric(name: str, dtype: str) -> keras.metrics.Mean:
    """A `Mean` in float64, which takes fewer operations than a compensated sum in float32."""
    return keras.metrics.Mean(name, "float64")


def next_seed(generator: keras.random.SeedGenerator) -> tf.Tensor:
    """Keras' seed is int64; TFP needs int32."""
    seed = tf.cast(generator.next(), tf.int32)
    if num_replicas() == 1:
        return seed
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return fold_in(seed, replica)


def fixed_seed(seed: int, index: int) -> tf.Tensor:
    signed = seed - 2**32 if seed >= 2**31 else seed
    return tf.constant([signed, index], tf.int32)


def seed_of(number: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.cast(number, tf.int32), 0])


def fold_in(seed: tf.Tensor, i: tf.Tensor | int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, i)


def step(method: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Returns the method unchanged: TensorFlow's trainer calls `step(self, data)`."""
    return method


def minimize(model: keras.Model, loss: Callable[[], Any]) -> None:
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        scaled_loss = model.optimizer.scale_loss(loss())
    check_built(model, variables)
    gradients = tape.gradient(scaled_loss, variables)
    # Read every variable before its update, including those behind a stop_gradient in the loss,
    # such as a detached encoder's. TensorFlow's graph optimizer does not ensure this order.
    with tf.control_dependencies([scaled_loss]):
        model.optimizer.apply(gradients, variables)


def gradients(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    others: Sequence[keras.Variable] = (),
) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        result = function()
    return tape.gradient(result, [v.value for v in variables], unconnected_gradients="zero")


def with_derivatives(function: Callable[..., Any], *derivatives: Callable[..., Any]) -> Any:
    def differentiable(*arguments: tf.Tensor) -> Any:
        def gradient(upstream: tf.Tensor) -> list[tf.Tensor]:
            return [upstream * derivative(*arguments) for derivative in derivatives]

        return function(*arguments), gradient

    given = tf.custom_gradient(differentiable)
    return lambda *arguments: given(*map(tf.convert_to_tensor, arguments))


def full_precision() -> contextlib.AbstractContextManager[Any]:
    """Does nothing: TensorFlow has a single setting for the process, which the user controls.

    It is `tf.config.experimental.enable_tensor_float_32_execution`.
    """
    return contextlib.nullcontext()


def device_bytes() -> int | None:
    return None  # TensorFlow does not report it


def has_replicas(model: keras.Model) -> bool:
    with model.distribute_strategy.scope():
        return tf.distribute.has_strategy()


def is_first_process(model: keras.Model) -> bool:
    cluster = model.distribute_strategy.cluster_resolver
    return cluster is None or not cluster.task_id


def num_replicas() -> int:
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(value: Any) -> Any:
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def over_examples(function: Callable[..., Any], seed: tf.Tensor | None, *arrays: Any) -> Any:
    """`function(seed, *arrays)`: TFP on TensorFlow supports batches of unknown size."""
    return function(seed, *arrays)


def compiled(model: keras.Model, function: Callable[..., Any]) -> Callable[..., Any]:
    if model.run_eagerly:
        return function
    return program(function, reduce_retracing=True, jit_compile=model.jit_compile)


def program(function: Callable[..., Any], **settings: Any) -> Any:
    """A `tf.function` whose retraces are counted separately.

    TensorFlow counts retraces by code object, which the programs of all models share. A partial
    function has none.
    """
    return tf.function(functools.partial(function), **settings)


__all__ = [
    "compiled",
    "device_bytes",
    "fixed_seed",
    "fold_in",
    "full_precision",
    "gradients",
    "has_replicas",
    "is_first_process",
    "linalg",
    "mean",
    "mean_metric",
    "minimize",
    "next_seed",
    "num_replicas",
    "over_examples",
    "seed_of",
    "step",
    "sum_over_replicas",
    "tanh",
    "tfb",
    "tfd",
    "tfp",
    "variance",
    "with_derivatives",
]
