"""The aggregate posterior q(z), the mean of q(z|x) over examples; a good prior p(z) matches it.

Symbols: N examples, M points z.
"""

import numpy as np
from keras import ops

from keras_aevb import arguments
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Seed, Tensor

# Points z evaluated at once, each under q(z|x) of every x in a batch.
BLOCK_SIZE = 1000


def sample_aggregate_posterior(
    model: VariationalModel,
    x: ArrayLike,
    n: int,
    batch_size: int = 1000,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""Samples the aggregate posterior: picks an example at random, then z ~ q(z|x).

    $$q(z) = \frac1N \sum_i q(z|x_i)$$

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        n: number of samples.
        batch_size: samples drawn at once.
        seed: integer that fixes the samples. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        NumPy array of shape `[n, *z_shape]`.

    Raises:
        ValueError: if the model has no q(z|x), `n` is not a positive integer, or
            `model.elbo` rejects an argument.

    Reference: Hoffman & Johnson (2016), ELBO surgery; Makhzani et al. (2016).

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> z = kv.evaluation.sample_aggregate_posterior(model, x, 1000, seed=0)
        >>> np.abs(z.mean(0)).max() < 0.2, np.abs(z.std(0) - 1).max() < 0.2  # as p(z) = N(0, I)
        (np.True_, np.True_)
    """
    check_type("model", model, VariationalModel)
    n, seed = arguments.integer("n", n), arguments.seed(seed)
    x = inputs.as_array(x, dtype=model.likelihood.density_dtype)
    model.likelihood.check(x)
    y = model.checked_conditions(condition, len(x))
    entropy = np.asarray(model.next_seed(seed)).astype("uint32")
    rows = np.random.default_rng(entropy).integers(len(x), size=n)

    def draws(x: Tensor, seed: Tensor) -> Tensor:
        return model.encode(x).sample(seed=seed)

    conditions = y[0][rows] if y else None
    key = ("sample_aggregate_posterior",)
    return model.over_batches(key, draws, x[rows], batch_size, seed, conditions)


def log_aggregate_posterior(
    model: VariationalModel,
    x: ArrayLike,
    z: ArrayLike,
    batch_size: int = 100,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The log density of the aggregate posterior, exact up to rounding.

    $$\log q(z) = \log \frac1N \sum_i q(z|x_i)$$

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        z: array of shape `[M, *z_shape]`.
        batch_size: examples evaluated at once, each at up to 1000 z.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        NumPy array of shape `[M]`, in nats.

    Raises:
        ValueError: if the model has no q(z|x), z does not have the prior's event shape, or
            `model.elbo` rejects an argument.

    Reference: Hoffman & Johnson (2016), ELBO surgery.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> z = kv.evaluation.sample_aggregate_posterior(model, x, 5, seed=0)
        >>> log_q = kv.evaluation.log_aggregate_posterior(model, x, z)
        >>> np.abs(log_q - model.prior_distribution().log_prob(z)).max() < 0.2  # not trained
        np.True_
    """
    check_type("model", model, VariationalModel)
    batch_size = arguments.integer("batch_size", batch_size)
    x = inputs.as_array(x, dtype=model.likelihood.density_dtype)
    z = inputs.as_array(z, "z", model.prior.density_dtype)
    model.likelihood.check(x)
    inputs.check_event_shape("z", z.shape[1:], model.prior.event_shape)
    arrays = [x, *model.checked_conditions(condition, len(x))]

    def log_densities(z: Tensor, x: Tensor, *y: Tensor) -> Tensor:  # [B, M]
        with model.given(y[0] if y else None):
            q = model.encode(ops.cast(x, model.likelihood.density_dtype))
        shape = (len(z), len(x), *model.prior.event_shape)
        z = ops.broadcast_to(ops.cast(z, q.dtype)[:, None], shape)
        return ops.transpose(q.log_prob(z))

    log_sums = []
    for (block,), num_points in inputs.regrouped([[z]], BLOCK_SIZE):
        key = ("log_aggregate_posterior", len(block), min(batch_size, len(x)))
        program = model.program(key, log_densities)
        log_sum = np.full(num_points, -np.inf)
        for batch, length in inputs.regrouped([arrays], batch_size):
            log_q = np.asarray(program(block, *batch), "float64")[:length, :num_points]
            log_sum = np.logaddexp(log_sum, np.logaddexp.reduce(log_q, axis=0))
        log_sums.append(log_sum)
    return np.concatenate(log_sums) - np.log(len(x))
