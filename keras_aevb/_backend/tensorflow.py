"""TensorFlow: eager variables, gradients by tape, compilation by `tf.function`."""

import contextlib

import tensorflow as tf

from keras_aevb._backend.lazy_module import check_installed, lazy_module


def _tfp():
    try:
        with tf.init_scope():  # its constants must not belong to a program that is being compiled
            import tensorflow_probability as tfp

            tfp.distributions  # noqa: B018  TFP loads lazily; raises here without tf-keras
    except (ImportError, AttributeError) as error:
        raise _not_loaded(error) from error
    return tfp


def _not_loaded(cause):
    return ImportError(
        "TensorFlow Probability could not be loaded for the tensorflow backend, which needs "
        "tensorflow, tensorflow-probability and tf-keras in versions made for each other. "
        "Install them with: pip install 'keras-aevb[tensorflow]'. "
        f"The cause was: {cause}"
    )


check_installed(["tensorflow_probability", "tf_keras"], _not_loaded)


tfp = lazy_module("tensorflow_probability", _tfp)
tfd = lazy_module("tensorflow_probability.distributions", lambda: tfp.distributions)
tfb = lazy_module("tensorflow_probability.bijectors", lambda: tfp.bijectors)
linalg = tf.linalg


def next_seed(generator):
    """Keras' seed is int64; TFP needs int32."""
    seed = tf.cast(generator.next(), tf.int32)
    if num_replicas() == 1:
        return seed
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return fold_in(seed, replica)


def fixed_seed(seed, index):
    return tf.constant([seed & 0x7FFFFFFF, index], tf.int32)


def seed_of(number):
    return tf.stack([tf.cast(number, tf.int32), 0])


def fold_in(seed, i):
    return tf.random.experimental.stateless_fold_in(seed, i)


def step(method):
    """Returns the method unchanged: TensorFlow's trainer calls `step(self, data)`."""
    return method


def minimize(model, loss):
    with tf.GradientTape() as tape:
        scaled_loss = model.optimizer.scale_loss(loss())
    variables = model.trainable_variables
    gradients = tape.gradient(scaled_loss, variables)
    # Read every variable before its update, also those that the loss does not differentiate, such
    # as a detached encoder's. TensorFlow's graph optimizer does not ensure this order.
    with tf.control_dependencies([scaled_loss]):
        model.optimizer.apply(gradients, variables)


def gradients(function, variables, others=()):
    with tf.GradientTape() as tape:
        result = function()
    return tape.gradient(result, [v.value for v in variables], unconnected_gradients="zero")


def full_precision():
    """Does nothing: TensorFlow has one setting for the whole process, and leaves it to the user.

    It is `tf.config.experimental.enable_tensor_float_32_execution`.
    """
    return contextlib.nullcontext()


def device_bytes():
    return None  # TensorFlow does not report it


def has_replicas(model):
    with model.distribute_strategy.scope():
        return tf.distribute.has_strategy()


def is_first_process(model):
    cluster = model.distribute_strategy.cluster_resolver
    return cluster is None or not cluster.task_id


def num_replicas():
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(value):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def over_examples(function, seed, *arrays):
    """`function(seed, *arrays)`: TFP on TensorFlow supports batches of unknown size."""
    return function(seed, *arrays)


def compiled(model, function):
    if model.run_eagerly:
        return function
    return tf.function(function, reduce_retracing=True, jit_compile=model.jit_compile)
