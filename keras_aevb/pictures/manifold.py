"""The decoded plane of two latent variables."""

import numpy as np

from keras_aevb import arguments
from keras_aevb.models import LatentVariableModel
from keras_aevb.models.parts import check_type
from keras_aevb.pictures.decoded import decoded
from keras_aevb.pictures.marginals import checked_marginals, prior_quantiles
from keras_aevb.typing import ConditionLike, Seed


def manifold(
    model: LatentVariableModel,
    n: int = 20,
    batch_size: int = 100,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The means of p(x|z) on a grid of the latent plane, whose tiles cover equal masses of p(z).

    $$z_j = F_j^{-1}\left(\frac{i_j - \frac12}{n}\right), \quad i_1, i_2 = 1, \dots, n$$

    with the prior's distribution functions F₁ and F₂.

    Args:
        model: a `LatentVariableModel` with two latent variables, independent under p(z).
        n: tiles in each direction.
        batch_size: points decoded at once.
        seed: integer that fixes samples, if p(x|z) has neither mean nor mode.
        condition: one y, of shape `[1, *condition.shape]`.

    Returns:
        NumPy array of shape `[n, n, *event_shape]` in the orientation of a plot: z₁ increases along
        the second axis (to the right), and z₂ decreases along the first (downwards).

    Raises:
        ValueError: if z is not a vector of two independent variables, n is not a positive integer,
            or the condition is missing or invalid.

    Reference: Kingma & Welling (2013), fig. 4.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> kv.pictures.manifold(model, 5).shape
        (5, 5, 16)
    """
    check_type("model", model, LatentVariableModel)
    n = arguments.integer("n", n)
    if model.prior.event_shape != (2,):
        raise ValueError(
            "Expected a model with two latent variables, z of shape (2,). "
            f"Received: z of shape {model.prior.event_shape}"
        )
    y = model.checked_conditions(condition, 1)
    with model.given(y[0] if y else None):
        checked_marginals(model.prior_distribution())
    first, second = prior_quantiles(model, (np.arange(n) + 0.5) / n, condition=condition).T
    z = np.stack(np.meshgrid(first, second[::-1]), axis=-1).reshape(-1, 2)
    conditions = np.repeat(y[0], len(z), axis=0) if y else None
    return decoded(model, z, batch_size, seed, conditions).reshape(
        n, n, *model.likelihood.event_shape
    )
