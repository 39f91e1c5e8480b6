"""Active units: the latent dimensions that a model uses."""

import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.models.point_estimates import kind_of_estimate
from keras_aevb.typing import ConditionLike, Examples, Seed, Tensor


def active_units(
    model: VariationalModel,
    x: Examples,
    threshold: float = 0.01,
    num_samples: int = 100,
    batch_size: int = 1000,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""Finds the active units, latent dimensions whose posterior means vary over the examples.

    $$Var_x\left(E_{q(z|x)}[z_j]\right) > 0.01$$

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`, N ≥ 2.
        threshold: smallest variance of an active unit.
        num_samples, batch_size, seed, condition: as for `posterior_mean_variances`.

    Returns:
        Boolean NumPy array of shape `z_shape`; its sum is the number of active units.

    Raises:
        ValueError: if `threshold` is not a positive number, or as `posterior_mean_variances`.

    Reference: Burda, Grosse & Salakhutdinov (2016), sec. 5.2.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> kv.evaluation.active_units(model, x).tolist()  # not trained yet
        [False, False]
    """
    arguments.number("threshold", threshold)
    return posterior_mean_variances(model, x, num_samples, batch_size, seed, condition) > threshold


def posterior_mean_variances(
    model: VariationalModel,
    x: Examples,
    num_samples: int = 100,
    batch_size: int = 1000,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The variance over the examples of each latent dimension's posterior mean.

    $$Var_x\left(E_{q(z|x)}[z_j]\right)$$

    The estimate is unbiased. If TFP does not implement the mean of q(z|x), the mean of L samples
    replaces it, and the variance of its noise is subtracted. The result may then be slightly
    negative.

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`, N ≥ 2.
        num_samples: L ≥ 2, used if the mean of q(z|x) is unknown.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        NumPy array of shape `z_shape`.

    Raises:
        ValueError: if the model has no q(z|x), there is a single example, `num_samples` is not an
            integer of at least 2, or `model.elbo` rejects an argument.

    Reference: Burda, Grosse & Salakhutdinov (2016), sec. 5.2.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> kv.evaluation.posterior_mean_variances(model, x).shape
        (2,)
    """
    check_type("model", model, VariationalModel)
    num_samples = arguments.integer("num_samples", num_samples, at_least=2)
    is_known = kind_of_estimate(model.posterior) == "mean"

    def batch_means(x: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        q = model.encode(x)
        if is_known:
            return q.mean(), ops.zeros_like(q.mean())
        z = q.sample(num_samples, seed=seed)
        return _backend.mean(z, axis=0), _backend.variance(z, axis=0) / (num_samples - 1)

    key = ("posterior_means", num_samples)
    seed = arguments.seed(seed)
    if is_known:
        seed = 0  # nothing is sampled
    means, noise = model.over_batches(key, batch_means, x, batch_size, seed, condition)
    if len(means) < 2:
        raise ValueError(
            f"A variance over examples needs two. Expected x with N ≥ 2. Received: N={len(means)}"
        )
    return means.var(axis=0, ddof=1, dtype="float64") - noise.mean(axis=0, dtype="float64")
