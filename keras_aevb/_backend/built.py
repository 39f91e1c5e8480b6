"""Variables that a model makes too late for its optimizer."""

from collections.abc import Sequence

import keras


def check_built(model: keras.Model, before: Sequence[keras.Variable]) -> None:
    """Raises a `ValueError` if the first step made variables, which the optimizer does not know."""
    known = {id(v) for v in before}
    made = [v.path for v in model.trainable_variables if id(v) not in known]
    if made:
        raise ValueError(
            "Expected all layers to be built before training. Received: layers whose variables the "
            f"first step made, {made[:3]}. Build your own layers in the model's constructor, for "
            "example `self.head.build((None, latent_dim))`"
        )
