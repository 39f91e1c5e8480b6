"""The mutual information of x and z under q(z|x)."""

import numpy as np
from keras import ops

from keras_aevb import arguments
from keras_aevb.evaluation.aggregate_posterior import log_aggregate_posterior
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.typing import ArrayLike, ConditionLike, Seed, Tensor


def mutual_information(
    model: VariationalModel,
    x: ArrayLike,
    num_samples: int = 1,
    batch_size: int = 100,
    seed: Seed = None,
    condition: ConditionLike | None = None,
) -> np.ndarray:
    r"""Estimates each example's contribution to the mutual information of x and z under q.

    $$I(x; z) = E_x E_{q(z|x)}\left[\log \frac{q(z|x)}{q(z)}\right], \qquad
    q(z) = \frac1N \sum_i q(z|x_i)$$

    The mean over examples is an unbiased estimate of the information between z and the index i of
    these N examples, which is at most log N. It underestimates the information over the
    distribution of x, especially if it is close to log N. More examples reduce this bias.

    The mean of KL(q(z|x) ‖ p(z)) over the examples is I(x; z) + KL(q(z) ‖ p(z)).

    The cost is N² L densities of z.

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`.
        num_samples: L samples of z for each example.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`; the result is then I((x, y); z).

    Returns:
        NumPy array of shape `[N]`, in nats, each at most log N.

    Raises:
        ValueError: if the model has no q(z|x), or `model.elbo` rejects an argument.

    Reference: Hoffman & Johnson (2016), ELBO surgery, eq. 7; Poole et al. (2019), sec. 2.3, for
        the bias.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> float(kv.evaluation.mutual_information(model, x, 100, seed=0).mean())  # not trained
        0.0...
    """
    check_type("model", model, VariationalModel)
    num_samples = arguments.integer("num_samples", num_samples)

    def draws(x: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
        q = model.encode(x)
        z = q.sample(num_samples, seed=seed)
        return ops.swapaxes(z, 0, 1), ops.transpose(q.log_prob(z))

    key = ("mutual_information", num_samples)
    z, log_q = model.over_batches(key, draws, x, batch_size, seed, condition)  # [N, L, ...]
    flat = z.reshape(-1, *model.prior.event_shape)
    log_aggregate = log_aggregate_posterior(model, x, flat, batch_size, condition)
    return (log_q - log_aggregate.reshape(log_q.shape)).mean(axis=1)
