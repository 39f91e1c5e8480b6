"""The bound of auto-encoding variational Bayes."""

import keras
from keras import ops

from keras_aevb import arguments
from keras_aevb.bounds.base import Bound


@keras.saving.register_keras_serializable(package="keras_aevb")
class ELBO(Bound):
    r"""The evidence lower bound, estimated by stochastic gradient variational Bayes (SGVB).

    Estimator B, `kl="analytic"` (eq. 7), where the divergence is known in closed form:

    $$\tilde{L}^B = -KL(q(z|x) \,\|\, p(z)) + \frac1L \sum_l \log p(x|z_l)$$

    Estimator A, `kl="sampled"` (eq. 6), for any pair of distributions:

    $$\tilde{L}^A = \frac1L \sum_l \log p(x, z_l) - \log q(z_l|x)$$

    with $z_l \sim q(z|x)$. Both have the same mean; B typically has the lower variance. The terms
    are `elbo`, `reconstruction`, which is the mean of log p(x|z), and `kl`, their difference.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        kl: `"analytic"` or `"sampled"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `num_samples` is not a positive integer or `kl` is neither of the two.

    Reference: Kingma & Welling (2013), sec. 2.3.

    Example:
        >>> import keras_aevb as kv
        >>> bound = ELBO(num_samples=5, kl="sampled")
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    def __init__(self, num_samples=1, kl="analytic", **kwargs):
        super().__init__(num_samples, **kwargs)
        self.kl = arguments.choice("kl", kl, ("analytic", "sampled"))

    def __call__(self, x, q, prior, decode, seed):
        z = q.sample(self.num_samples, seed=seed)  # [L, B, ...]
        reconstruction = ops.mean(decode(z).log_prob(x), axis=0)  # [B]
        if self.kl == "analytic":
            kl = q.kl_divergence(prior)  # [B]
        else:
            kl = ops.mean(q.log_prob(z) - prior.log_prob(z), axis=0)  # [B]
        return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}

    def check(self, q, prior):
        if self.kl == "analytic":
            try:
                q.kl_divergence(prior)
            except NotImplementedError:
                raise ValueError(
                    "No closed form of KL(q || p) is known. Expected distributions that have one, "
                    "or an estimate of it, `bound=ELBO(kl='sampled')`. Received: "
                    f"q={q} and p={prior}"
                ) from None

    def get_config(self):
        return {**super().get_config(), "kl": self.kl}
