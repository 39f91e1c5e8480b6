"""What a model's pictures show: functions that return NumPy arrays.

`keras_aevb.plots` draws them, and `keras_aevb.callbacks.Pictures` does so during training. All
compute with the layers in inference mode, and for `FullVB` at the mean of q(θ). Their noise comes
from the integer `seed`, 0 by default: it is the same each time, and leaves the model's own alone.

Symbols: N examples, K values, M points z.
"""

from keras_aevb.pictures.decoded import decoded
from keras_aevb.pictures.encoded import encoded, reconstructions
from keras_aevb.pictures.images import as_images, mosaic
from keras_aevb.pictures.manifold import manifold
from keras_aevb.pictures.marginals import prior_probabilities, prior_quantiles
from keras_aevb.pictures.samples import samples
from keras_aevb.pictures.traversals import traversals

__all__ = [
    "as_images",
    "decoded",
    "encoded",
    "manifold",
    "mosaic",
    "prior_probabilities",
    "prior_quantiles",
    "reconstructions",
    "samples",
    "traversals",
]
