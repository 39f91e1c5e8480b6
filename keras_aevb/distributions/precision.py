"""The precision of densities: the layer's, but at least float32."""

import warnings

import keras
from keras import ops

from keras_aevb._backend.keras_private import all_layers

PRECISIONS = ("float16", "bfloat16", "float32", "float64")


def at_least_float32(dtype: str) -> str:
    """The precision of densities in a layer of this precision."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


def check_precision(layer: keras.Layer) -> None:
    """Raises a `ValueError` if densities cannot be computed in a layer's precision.

    Args:
        layer: Keras layer.
    """
    for dtype in (layer.compute_dtype, layer.variable_dtype):
        if dtype not in PRECISIONS:
            raise ValueError(
                f"Expected `dtype` of {layer.__class__.__name__} to be a floating-point precision, "
                f"one of {PRECISIONS}, or a policy of them. Received: {layer.dtype_policy.name!r}"
            )
    if "float64" in (layer.compute_dtype, layer.variable_dtype) and not _has_float64():
        raise ValueError(
            f"Expected `dtype` of {layer.__class__.__name__} to be a precision enabled in JAX, "
            "which rounds float64 to float32 by default. Set "
            "`jax.config.update('jax_enable_x64', True)`, or JAX_ENABLE_X64=1 in the environment, "
            f"before any array is made. Received: {layer.dtype_policy.name!r}"
        )


def _has_float64() -> bool:
    """Whether the backend supports float64 arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns that it rounds to float32
        return keras.backend.standardize_dtype(ops.zeros((), "float64").dtype) == "float64"


def warn_if_tokens_are_rounded(name: str, network: keras.Layer) -> None:
    """Warns of an `Embedding` in a network that rounds its input, x in float32, to half precision.

    Keras casts the floating-point inputs of models without declared inputs. bfloat16 has all
    integers up to 256, float16 up to 2048; larger ones would find the vector of another token.

    Args:
        name: name of the network.
        network: Keras layer.
    """
    largest = {"bfloat16": 2**8, "float16": 2**11}.get(network.compute_dtype)
    is_declared = getattr(network, "inputs", None) and (
        not isinstance(network, keras.Sequential) or "int" in network.inputs[0].dtype
    )
    if largest is None or not network.autocast or is_declared:
        return
    for layer in all_layers(network):
        if (
            isinstance(layer, keras.layers.Embedding)
            and layer is not network
            and layer.input_dim > largest + 1
        ):
            warnings.warn(
                f"`{name}` rounds its input to {network.compute_dtype}, which is exact for "
                f"integers up to {largest}, before its Embedding of {layer.input_dim} tokens. "
                "Declare the input, `keras.Input(shape, dtype='int32')`, or set `autocast=False`",
                stacklevel=2,
            )
