"""Encoded examples and their reconstructions."""

import numpy as np

from keras_aevb import arguments
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.models.point_estimates import point_estimate
from keras_aevb.pictures.decoded import decoded
from keras_aevb.typing import ConditionLike, Examples, Seed, Tensor


def encoded(
    model: VariationalModel,
    x: Examples,
    batch_size: int = 100,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    """The mean of q(z|x) of each example; if q(z|x) has none, its mode, or else a sample.

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        batch_size: examples encoded at once.
        seed: integer that fixes samples.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        NumPy array of shape `[N, *z_shape]`.

    Raises:
        ValueError: if the model has no q(z|x), or `model.elbo` rejects an argument.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> kv.pictures.encoded(model, np.zeros((3, 16))).shape
        (3, 2)
    """
    check_type("model", model, VariationalModel)
    kind = model.point_estimates["posterior"]

    def batch_encoded(x: Tensor, seed: Tensor) -> Tensor:
        return point_estimate(model.encode(x), kind, lambda: seed)

    return model.over_batches(("encoded",), batch_encoded, x, batch_size, seed, condition)


def reconstructions(
    model: VariationalModel,
    x: Examples,
    batch_size: int = 100,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    """Reconstructions of examples.

    The result is `model.reconstruct(x)`, with noise from `seed` if it needs samples.

    Args:
        model, x, batch_size, seed, condition: as for `encoded`.

    Returns:
        NumPy array of shape `[N, *event_shape]`.

    Raises:
        ValueError: as `encoded`.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((3, 16))
        >>> np.allclose(kv.pictures.reconstructions(model, x), model.reconstruct(x))
        True
    """
    of_z, of_x = arguments.seeds(seed, 2)
    z = encoded(model, x, batch_size, of_z, condition)
    return decoded(model, z, batch_size, of_x, condition)
