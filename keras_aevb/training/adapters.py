"""Low-rank adapters (LoRA), which Keras' files do not contain."""

import warnings

import keras
import numpy as np

from keras_aevb._backend.keras_private import all_layers


def factors(model: keras.Model) -> dict[str, tuple[keras.Variable, keras.Variable]]:
    """The low-rank factors A and B by layer, whose kernel or embeddings are W + s A B."""
    found = {}
    for layer in all_layers(model):
        for name in ("lora_kernel", "lora_embeddings"):
            if getattr(layer, f"{name}_a", None) is not None:
                found[layer.path] = getattr(layer, f"{name}_a"), getattr(layer, f"{name}_b")
    return found


def renew(model: keras.Model) -> None:
    """Draws new factors A for layers in which A and B are zero.

    A file contains the sum W + s A B in place of W, and loading it sets A and B to zero. Their
    gradients are then zero too, and no training would change them. With B = 0 the outputs do not
    depend on A, which is drawn as `enable_lora` does by default.
    """
    zero = {path: a for path, (a, b) in factors(model).items() if not np.any(a) and not np.any(b)}
    for i, a in enumerate(zero.values()):
        seed = None if model.seed is None else model.seed + i
        a.assign(keras.initializers.HeUniform(seed)(a.shape, a.dtype))
    if zero:
        warnings.warn(
            f"The LoRA factors A and B of {[*zero]} were zero, as after loading weights, which "
            "adds A B to W. Training would not change them, so A has new random values; outputs "
            "stay the same. Call `enable_lora` after `load_weights` to avoid this",
            stacklevel=4,
        )
