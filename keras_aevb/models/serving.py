"""Exports endpoints of a model in the formats of Keras' `export`."""

import inspect
import pathlib
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, NamedTuple

import keras

from keras_aevb._backend.keras_private import endpoint_function
from keras_aevb.typing import Tensor


class Endpoint(NamedTuple):
    """A function in an exported file.

    Attributes:
        function: maps tensors, named as in `inputs`, to a tensor or a dict of tensors.
        inputs: dict from names to `keras.InputSpec`.
    """

    function: Callable[..., Any]
    inputs: dict[str, keras.InputSpec]


def batch_of(shape: Sequence[int], dtype: str) -> keras.InputSpec:
    """The spec of a batch of any size."""
    return keras.InputSpec(shape=(None, *shape), dtype=dtype)


def scalar() -> keras.InputSpec:
    return keras.InputSpec(shape=(), dtype="int32")


def export_saved_model(
    model: keras.Model,
    filepath: str | PathLike[str],
    endpoints: Mapping[str, Endpoint],
    verbose: bool | None,
) -> None:
    """Writes a TensorFlow SavedModel.

    Args:
        model: Keras model.
        filepath: folder.
        endpoints: dict from names to `Endpoint`s.
        verbose: whether to print a summary.
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


def _counted(
    archive: keras.export.ExportArchive, name: str, endpoint: Endpoint, specs: list[Any]
) -> Any:
    """A `tf.function` of n and a seed; the endpoint receives an array of n rows in place of n."""
    import tensorflow as tf

    rows = tf.TensorSpec([None], "int32", name="n")
    of_rows = endpoint_function(archive, name, _named(endpoint), [rows, *specs[1:]])
    function = tf.function(lambda n, seed: of_rows(tf.range(n), seed), specs)
    function.get_concrete_function()
    return function


def _named(endpoint: Endpoint) -> Callable[..., Any]:
    """The function with named parameters, from which exporters infer the number of inputs."""

    def function(*tensors: Tensor) -> Any:
        return endpoint.function(**dict(zip(endpoint.inputs, tensors)))

    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in endpoint.inputs]
    )
    return function


def export_endpoint(
    model: keras.Model,
    endpoint: Endpoint,
    filepath: str | PathLike[str],
    format: str,
    verbose: bool | None,
    **kwargs: Any,
) -> None:
    """Writes one endpoint in one of Keras' formats, as a functional model."""
    specs = [
        keras.InputSpec(shape=spec.shape, dtype=spec.dtype) for spec in endpoint.inputs.values()
    ]
    for spec, name in zip(specs, endpoint.inputs):
        spec.name = name
    inputs = [keras.Input(batch_shape=s.shape, dtype=s.dtype, name=s.name) for s in specs]
    outputs = _EndpointLayer(model, endpoint)(*inputs)
    alone = len(inputs) == 1
    functional = keras.Model(inputs[0] if alone else inputs, outputs)
    # Without a signature, Keras needs a model that has been called.
    signature = specs if alone else [specs]
    functional.export(filepath, format, verbose, input_signature=signature, **kwargs)
    if format == "onnx":
        _check_onnx(filepath)
        if isinstance(outputs, dict):
            _name_onnx_outputs(filepath, sorted(outputs))  # in the order of Keras


def _name_onnx_outputs(filepath: str | PathLike[str], names: Sequence[str]) -> None:
    """Gives the outputs their names, which tf2onnx keeps and jax2onnx drops."""
    import onnx

    file = onnx.load(filepath, load_external_data=False)
    outputs = file.graph.output
    if [output.name for output in outputs] == names:
        return
    for output, name in zip(outputs, names, strict=True):
        file.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        output.name = name
    onnx.save(file, filepath)


def _check_onnx(filepath: str | PathLike[str]) -> None:
    """Removes an invalid ONNX file and raises a `ValueError`.

    For an unsupported operation, tf2onnx writes an invalid file and only logs an error.
    """
    import onnx

    try:
        onnx.checker.check_model(str(filepath))
    except onnx.checker.ValidationError as error:
        pathlib.Path(filepath).unlink()
        raise ValueError(
            "Expected a model whose operations the ONNX exporter supports. "
            f"Received: {str(error).strip().splitlines()[0]}"
        ) from error


class _EndpointLayer(keras.layers.Layer):
    def __init__(self, model: keras.Model, endpoint: Endpoint) -> None:
        super().__init__(dtype=model.likelihood.density_dtype)
        self.model = model
        self.endpoint = endpoint
        self.built = True

    def call(self, *tensors: Tensor) -> Any:
        return self.endpoint.function(**dict(zip(self.endpoint.inputs, tensors)))
