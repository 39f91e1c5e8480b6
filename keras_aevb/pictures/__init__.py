"""Pictures of a model as NumPy arrays.

`keras_aevb.plots` draws them, and `keras_aevb.callbacks.Pictures` does so during training. All
functions run the layers in inference mode, and `FullVB` at the mean of q(θ). Their noise comes
from the integer `seed` (default: 0), not from the model's seed generator.

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
