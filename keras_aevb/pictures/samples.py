"""Decoded samples of the prior."""

import numpy as np

from keras_aevb import arguments
from keras_aevb.models import LatentVariableModel
from keras_aevb.models.parts import check_type
from keras_aevb.pictures.decoded import decoded
from keras_aevb.typing import ConditionLike, Seed, Tensor


def samples(
    model: LatentVariableModel,
    n: int = 100,
    batch_size: int = 100,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    """The means of p(x|z) at n samples z ~ p(z), without the pixel noise of `model.sample`.

    Args:
        model: a `LatentVariableModel`.
        n: number of samples.
        batch_size: samples decoded at once.
        seed: integer that fixes z, and x if p(x|z) has neither mean nor mode.
        condition: y, one for each sample.

    Returns:
        NumPy array of shape `[n, *event_shape]`.

    Raises:
        ValueError: if `model` is not a `LatentVariableModel`, n is not a positive integer, or the
            condition is missing or invalid.

    Reference: Kingma & Welling (2013), fig. 5.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> kv.pictures.samples(model, 3).shape
        (3, 16)
    """
    check_type("model", model, LatentVariableModel)
    n = arguments.integer("n", n)
    of_z, of_x = arguments.seeds(seed, 2)
    return decoded(model, prior_samples(model, n, of_z, condition), batch_size, of_x, condition)


def prior_samples(
    model: LatentVariableModel, n: int, seed: Seed, condition: ConditionLike | None
) -> np.ndarray:
    """n samples z ~ p(z), or one z ~ p(z|y) for each y: an array of shape `[n, *z_shape]`."""

    def draws(seed: Tensor, *y: Tensor) -> Tensor:
        with model.given(y[0] if y else None):
            return model.sample_prior(n, seed)

    program = model.program(("prior draws", n), draws)
    return np.asarray(program(model.next_seed(seed), *model.checked_conditions(condition, n)))
