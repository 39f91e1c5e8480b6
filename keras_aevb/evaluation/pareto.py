"""Pareto k̂, a diagnostic of importance sampling from q(z|x)."""

import numpy as np

from keras_aevb import arguments
from keras_aevb.marginal_likelihood import pareto
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.typing import ConditionLike, Examples, Seed


def pareto_k(
    model: VariationalModel,
    x: Examples,
    num_samples: int = 1000,
    batch_size: int = 100,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The Pareto k̂ of the weights p(x, z) / q(z|x) of each example.

    k̂ is the shape of a generalised Pareto distribution, fitted to the largest weights. Below 0.7,
    importance sampling is reliable. Above, the estimate of log p(x) is typically too small, by
    more than its standard error; use `log_likelihood(method="annealed")` instead.

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        num_samples: L samples of z for each example. The largest min(L / 5, 3√L) weights are
            fitted; with fewer than 5 of them, L ≤ 20, k̂ is NaN.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        NumPy array of shape `[N]`; for `FullVB` the largest k̂ over the samples of θ.

    Raises:
        ValueError: if the model has no q(z|x), or `model.log_likelihood` rejects an argument.

    Reference: Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed importance sampling.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> (kv.evaluation.pareto_k(model, x, seed=0) < 0.7).all()
        np.True_
    """
    check_type("model", model, VariationalModel)
    num_samples = arguments.integer("num_samples", num_samples)
    estimator = model.estimator("importance", num_samples)
    estimates = model.estimates(estimator, x, batch_size, seed, condition)
    return pareto.worst_pareto_k(estimates["largest_log_weights"])
