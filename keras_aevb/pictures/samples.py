"""What draws from the prior decode to."""

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
    """The means of p(x|z) at n draws z ~ p(z), without the noise of `model.sample`.

    Args:
        model: a `LatentVariableModel`.
        n: number of draws.
        batch_size: draws that are decoded together.
        seed: integer that fixes the draws.
        condition: y, one for each draw.

    Returns:
        NumPy array of shape `[n, *event_shape]`.

    Raises:
        ValueError: if `model` is no `LatentVariableModel`, n is not a positive integer, or the
            condition is missing or does not fit.

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
    return decoded(model, prior_draws(model, n, of_z, condition), batch_size, of_x, condition)


def prior_draws(
    model: LatentVariableModel, n: int, seed: Seed, condition: ConditionLike | None
) -> np.ndarray:
    """n draws z ~ p(z), or p(z|y) for each of n y: an array of shape `[n, *z_shape]`."""

    def draws(seed: Tensor, *y: Tensor) -> Tensor:
        with model.given(y[0] if y else None):
            return model.sample_prior(n, seed)

    program = model.program(("prior draws", n), draws)
    return np.asarray(program(model.next_seed(seed), *model.checked_conditions(condition, n)))
