"""Decoded points z."""

import numpy as np
from keras import ops

from keras_aevb.models import LatentVariableModel
from keras_aevb.models.parts import check_type
from keras_aevb.models.point_estimates import kind_of_estimate, point_estimate
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Seed, Tensor


def decoded(
    model: LatentVariableModel,
    z: ArrayLike,
    batch_size: int = 100,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    """The mean of p(x|z) at each z; if p(x|z) has none, its mode, or else a sample.

    Args:
        model: a `LatentVariableModel`.
        z: array of shape `[M, *z_shape]`.
        batch_size: points decoded at once.
        seed: integer that fixes samples.
        condition: y, of shape `[M, *condition.shape]`.

    Returns:
        NumPy array of shape `[M, *event_shape]`.

    Raises:
        ValueError: if `model` is not a `LatentVariableModel`, z does not have the prior's event
            shape, or the condition is missing or invalid.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> kv.pictures.decoded(model, np.zeros((3, 2))).shape
        (3, 16)
    """
    check_type("model", model, LatentVariableModel)
    z = inputs.as_array(z, "z", model.prior.density_dtype)
    inputs.check_event_shape("z", z.shape[1:], model.prior.event_shape)
    parts = [[z, *model.checked_conditions(condition, len(z))]]
    kind = kind_of_estimate(model.likelihood)

    def batch_decoded(z: Tensor, seed: Tensor) -> Tensor:
        p = model.decode(ops.cast(z, model.prior.density_dtype))
        return point_estimate(p, kind, lambda: seed)

    return model.in_batches(("decoded",), batch_decoded, parts, len(z), batch_size, seed, 0)
