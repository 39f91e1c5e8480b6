"""The naive gradient that reparameterisation replaces."""

import keras
from keras import ops

from keras_aevb.bounds.base import Bound


@keras.saving.register_keras_serializable(package="keras_aevb")
class ScoreFunctionELBO(Bound):
    r"""The evidence lower bound with the score-function gradient, also known as REINFORCE.

    The value is that of estimator A (eq. 6), and so is the gradient in θ. The gradient in φ does
    not pass through z, which it takes as given:

    $$\tilde{L} = \frac1L \sum_l f(z_l), \qquad f(z) = \log p(x, z) - \log q(z|x)$$
    $$\tilde\nabla_φ L = \frac1L \sum_l f(z_l) \, \nabla_φ \log q(z_l|x)$$

    with $z_l \sim q(z|x)$. Its mean is the gradient of the bound for every posterior, also one that
    cannot be reparameterised, such as discrete ones. Its variance is very high. The terms are
    those of `ELBO`; only `elbo` has this gradient.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `num_samples` is not a positive integer.

    Reference: Kingma & Welling (2013), sec. 2.2.

    Example:
        >>> import keras_aevb as kv
        >>> bound = ScoreFunctionELBO(num_samples=5)
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    reparameterized = False

    def __call__(self, x, q, prior, decode, seed):
        z = ops.stop_gradient(q.sample(self.num_samples, seed=seed))  # [L, B, ...]
        log_q, log_prior = q.log_prob(z), prior.log_prob(z)  # [L, B]
        log_likelihood = decode(z).log_prob(x)  # [L, B]
        f = log_likelihood + log_prior - ops.stop_gradient(log_q)  # [L, B]
        # Zero, with the gradient f ∇ log q.
        score = f * (log_q - ops.stop_gradient(log_q))  # [L, B]
        return {
            "elbo": ops.mean(f + score, axis=0),
            "reconstruction": ops.mean(log_likelihood, axis=0),
            "kl": ops.mean(log_q - log_prior, axis=0),
        }
