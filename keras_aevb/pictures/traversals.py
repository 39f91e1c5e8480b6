"""Decoded points along one latent dimension."""

from collections.abc import Sequence

import numpy as np

from keras_aevb import arguments
from keras_aevb.models import LatentVariableModel
from keras_aevb.models.parts import check_type
from keras_aevb.pictures.decoded import decoded
from keras_aevb.pictures.marginals import prior_quantiles
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Seed


def traversals(
    model: LatentVariableModel,
    z: ArrayLike | None = None,
    num_values: int = 10,
    dimensions: Sequence[int] | np.ndarray | None = None,
    batch_size: int = 100,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The means of p(x|z) as one latent dimension takes the prior's quantiles.

    $$z_j = F_j^{-1}\left(\frac{k - \frac12}{K}\right), \quad k = 1, \dots, K$$

    with the marginal distribution function F_j of p(z), and all other dimensions as in z.

    Args:
        model: a `LatentVariableModel`.
        z: array of shape `z_shape`, as a row of `encoded(model, x)`. Default: the prior's medians.
        num_values: K.
        dimensions: indices j of D elements of the flattened z. Default: all.
        batch_size: points decoded at once.
        seed: integer that fixes samples, if the prior or p(x|z) needs them.
        condition: one y, of shape `[1, *condition.shape]`.

    Returns:
        NumPy array of shape `[D, K, *event_shape]`.

    Raises:
        ValueError: if z does not have the prior's event shape, `dimensions` is not a non-empty list
            of indices, K is not a positive integer, or the condition is missing or invalid.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=3, hidden_units=8))
        >>> kv.pictures.traversals(model, num_values=5, dimensions=[0, 2]).shape
        (2, 5, 16)
    """
    check_type("model", model, LatentVariableModel)
    k, shape = arguments.integer("num_values", num_values), model.prior.event_shape
    size = int(np.prod(shape))
    dimensions = np.arange(size) if dimensions is None else np.asarray(dimensions)
    whole = dimensions.dtype.kind in "iu" and dimensions.ndim == 1 and len(dimensions)
    if not (whole and np.isin(dimensions, range(size)).all()):
        raise ValueError(
            f"Expected `dimensions` to be a list of integers from 0 to {size - 1}. "
            f"Received: {dimensions.tolist()}"
        )
    if z is None:
        z = prior_quantiles(model, [0.5], seed=seed, condition=condition)[0]
    z = inputs.as_array(z, "z", model.prior.density_dtype)
    inputs.check_event_shape("z", z.shape, shape)
    values = prior_quantiles(model, (np.arange(k) + 0.5) / k, seed=seed, condition=condition)
    points = np.tile(z.reshape(-1), (len(dimensions), k, 1))  # [D, K, size]
    for row, j in zip(points, dimensions):
        row[:, j] = values.reshape(k, size)[:, j]
    y = model.checked_conditions(condition, 1)
    conditions = np.repeat(y[0], len(dimensions) * k, axis=0) if y else None
    x = decoded(model, points.reshape(-1, *shape), batch_size, seed, conditions)
    return x.reshape(len(dimensions), k, *model.likelihood.event_shape)
