"""KL(q(z|x) ‖ p(z)) of each latent dimension."""

import numpy as np

from keras_aevb import _backend, arguments
from keras_aevb.bounds.elbo import by_dimension, has_closed_form
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.typing import ConditionLike, Examples, Seed, Tensor


def kl_by_dimension(
    model: VariationalModel,
    x: Examples,
    num_samples: int = 100,
    batch_size: int = 1000,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""The KL divergence of each latent dimension, for each example.

    $$KL(q(z_j|x) \,\|\, p(z_j)), \qquad \sum_j KL_j = KL(q(z|x) \,\|\, p(z))$$

    in closed form if TFP has one, else as the mean of log q(z_j|x) - log p(z_j) over L samples.

    Args:
        model: a `VariationalModel` whose q(z|x) and p(z) have independent dimensions.
        x: data of shape `[N, *event_shape]`.
        num_samples: L, used if there is no closed form.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.

    Returns:
        NumPy array of shape `[N, *z_shape]`, in nats.

    Raises:
        ValueError: if the model has no q(z|x), q(z|x) or p(z) is not a `tfd.Independent` of scalar
            distributions, or `model.elbo` rejects an argument.

    Reference: Kingma & Welling (2013), App. B.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> kv.evaluation.kl_by_dimension(model, x).shape
        (10, 2)
    """
    check_type("model", model, VariationalModel)
    num_samples = arguments.integer("num_samples", num_samples)

    def batch_kl(x: Tensor, seed: Tensor) -> Tensor:
        q, prior = model.encode(x), model.prior_distribution()
        q_j, prior_j = by_dimension(q), by_dimension(prior)
        if has_closed_form(q_j, prior_j):
            return q_j.kl_divergence(prior_j)
        z = q.sample(num_samples, seed=seed)
        return _backend.mean(q_j.log_prob(z) - prior_j.log_prob(z), axis=0)

    key = ("kl_by_dimension", num_samples)
    return model.over_batches(key, batch_kl, x, batch_size, seed, condition)
