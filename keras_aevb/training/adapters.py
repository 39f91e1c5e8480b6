"""Low-rank adapters (LoRA), which Keras' files do not contain."""

import warnings

import keras
import numpy as np

from keras_aevb._backend.keras_private import all_layers


def adapted_layers(model: keras.Model) -> list[keras.Layer]:
    """The layers of a model whose kernel is W + s A B, with the low-rank factors A and B."""
    return [layer for layer in all_layers(model) if getattr(layer, "lora_enabled", False)]


def renew(model: keras.Model) -> None:
    """Draws new factors A for layers in which A and B are zero.

    A file contains the sum W + s A B in place of W, and loading it sets A and B to zero. Their
    gradients are then zero too, and no training would change them. With B = 0 the kernel does not
    depend on A, which is drawn as `enable_lora` does by default.
    """
    zero = [
        layer
        for layer in adapted_layers(model)
        if not np.any(layer.lora_kernel_a) and not np.any(layer.lora_kernel_b)
    ]
    for i, layer in enumerate(zero):
        a = layer.lora_kernel_a
        seed = None if model.seed is None else model.seed + i
        a.assign(keras.initializers.HeUniform(seed)(a.shape, a.dtype))
    if zero:
        warnings.warn(
            f"The LoRA factors A and B of {[layer.path for layer in zero]} were zero, as after "
            "loading weights, which adds A B to the kernel. Training would not change them, so A "
            "has new random values; outputs stay the same. Call `enable_lora` after `load_weights` "
            "to avoid this",
            stacklevel=4,
        )
