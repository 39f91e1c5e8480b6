"""Models as files that run without Keras: endpoints, and the formats of Keras' `export`."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import keras

from keras_aevb._backend.keras_private import endpoint_function


class Endpoint(NamedTuple):
    """A function of tensors that a file offers.

    Attributes:
        function: of tensors with the names of `inputs`, to a tensor or a dict of tensors.
        inputs: dict from names to `keras.InputSpec`.
    """

    function: Callable
    inputs: dict


def batch_of(shape, dtype):
    """The spec of a batch of any size."""
    return keras.InputSpec(shape=(None, *shape), dtype=dtype)


def scalar():
    return keras.InputSpec(shape=(), dtype="int32")


def export_saved_model(model, filepath, endpoints, verbose):
    """Writes a SavedModel of TensorFlow.

    Args:
        model: Keras model.
        filepath: folder.
        endpoints: dict from names to `Endpoint`s.
        verbose: whether to print what was written.
    """
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, endpoint in endpoints.items():
        specs = [tf.TensorSpec(s.shape, s.dtype, name=n) for n, s in endpoint.inputs.items()]
        if "n" in endpoint.inputs:
            archive.add_endpoint(name, _counted(archive, name, endpoint, specs))
        else:
            archive.add_endpoint(name, _named(endpoint), specs)
    archive.write_out(filepath, verbose=verbose)


def _counted(archive, name, endpoint, specs):
    """A `tf.function` of n and a seed: on JAX n must be the size of an array."""
    import tensorflow as tf

    rows = tf.TensorSpec([None], "int32", name="n")
    of_rows = endpoint_function(archive, name, _named(endpoint), [rows, *specs[1:]])
    function = tf.function(lambda n, seed: of_rows(tf.range(n), seed), specs)
    function.get_concrete_function()
    return function


def _named(endpoint):
    """The function with the parameters that are given, by which exporters know their number."""

    def function(*tensors):
        return endpoint.function(**dict(zip(endpoint.inputs, tensors)))

    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in endpoint.inputs]
    )
    return function


def as_functional(model, endpoint):
    """An endpoint as a functional Keras model, which each of Keras' formats takes."""
    inputs = {
        name: keras.Input(batch_shape=spec.shape, dtype=spec.dtype, name=name)
        for name, spec in endpoint.inputs.items()
    }
    layer = _EndpointLayer(model, endpoint)
    tensors = list(inputs.values())
    return keras.Model(tensors[0] if len(tensors) == 1 else tensors, layer(*tensors))


class _EndpointLayer(keras.layers.Layer):
    def __init__(self, model, endpoint):
        super().__init__(dtype=model.likelihood.density_dtype)
        self.model = model
        self.endpoint = endpoint
        self.built = True

    def call(self, *tensors):
        return self.endpoint.function(**dict(zip(self.endpoint.inputs, tensors)))
