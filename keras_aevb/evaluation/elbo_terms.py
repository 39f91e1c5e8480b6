"""The ELBO and its terms, for a model trained on any bound."""

import numpy as np
from keras.tree import map_structure

from keras_aevb import _backend
from keras_aevb.bounds import ELBO
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.models.posterior_predictive import PosteriorPredictive
from keras_aevb.typing import ConditionLike, Examples, Seed, Tensor, Terms


def elbo_terms(
    model: VariationalModel,
    x: Examples,
    num_samples: int = 1,
    batch_size: int = 100,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> dict[str, np.ndarray]:
    r"""Estimates the evidence lower bound and its terms for each example.

    $$E_{q(z|x)}[\log p(x|z)] - KL(q(z|x) \,\|\, p(z))$$

    The divergence is in closed form if TFP has one. For `FullVB` the estimates are means over
    samples θ ~ q(θ).

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        num_samples: L samples of z for each example; for `FullVB`, L samples of θ with one z each.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        Dict from `"elbo"`, `"reconstruction"` and `"kl"` to NumPy arrays of shape `[N]`, in nats.

    Raises:
        ValueError: if the model has no q(z|x), or `model.elbo` rejects an argument.

    Reference: Kingma & Welling (2013), eqs. 3, 6 and 7.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> sorted(kv.evaluation.elbo_terms(model, x))
        ['elbo', 'kl', 'reconstruction']
    """
    check_type("model", model, VariationalModel)
    over_weights = isinstance(model, PosteriorPredictive)
    bound = ELBO(1 if over_weights else num_samples)

    def batch_terms(x: Tensor, seed: Tensor) -> Terms:
        q = model.encode(x)

        def terms(seed: Tensor) -> Terms:
            return bound(x, q, model.prior_distribution(), model.decode, seed)

        if not over_weights:
            return terms(seed)
        draws = model.at_weight_samples(terms, num_samples, seed)
        return map_structure(lambda values: _backend.mean(values, axis=0), draws)

    key = ("elbo_terms", num_samples)
    return model.over_batches(key, batch_terms, x, batch_size, seed, condition)
