"""Estimators of a lower bound on log p(x), one value per example.

Symbols: B examples in the batch, L Monte Carlo samples.
"""

import numbers

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_aevb")
class ELBO:
    r"""The evidence lower bound, estimated by stochastic gradient variational Bayes (SGVB).

    Estimator B, `kl="analytic"` (eq. 7), where the divergence is known in closed form:

    $$\tilde{L}^B = -KL(q(z|x) \,\|\, p(z)) + \frac1L \sum_l \log p(x|z_l)$$

    Estimator A, `kl="sampled"` (eq. 6), for any pair of distributions:

    $$\tilde{L}^A = \frac1L \sum_l \log p(x, z_l) - \log q(z_l|x)$$

    with $z_l \sim q(z|x)$. Both have the same mean; B typically has the lower variance.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        kl: `"analytic"` or `"sampled"`.

    Raises:
        ValueError: if `num_samples` is not a positive integer or `kl` is neither of the two.

    Reference: Kingma & Welling (2013), sec. 2.3.

    Example:
        >>> ELBO(num_samples=5, kl="sampled").get_config()
        {'num_samples': 5, 'kl': 'sampled'}
    """

    name = "elbo"
    terms = ("elbo", "reconstruction", "kl")

    def __init__(self, num_samples=1, kl="analytic"):
        if not isinstance(num_samples, numbers.Integral) or num_samples < 1:
            raise ValueError(
                f"Expected `num_samples` to be a positive integer. Received: {num_samples}"
            )
        if kl not in ("analytic", "sampled"):
            raise ValueError(f"Expected `kl` to be 'analytic' or 'sampled'. Received: {kl!r}")
        self.num_samples = int(num_samples)
        self.kl = kl

    def __call__(self, x, q, prior, decode, seed):
        """The bound and its terms for each example.

        Args:
            x: data of shape `[B, *event_shape]`.
            q: TFP distribution q(z|x) of batch shape `[B]`.
            prior: TFP distribution p(z) of batch shape `[]`.
            decode: function from z of shape `[L, B, ...]` to the TFP distribution p(x|z).
            seed: TFP seed of the samples.

        Returns:
            Dict with `"elbo"`, `"reconstruction"` (the mean of log p(x|z)) and `"kl"`, each of
            shape `[B]`, in nats.
        """
        z = q.sample(self.num_samples, seed=seed)  # [L, B, ...]
        reconstruction = ops.mean(decode(z).log_prob(x), axis=0)  # [B]
        if self.kl == "analytic":
            kl = q.kl_divergence(prior)  # [B]
        else:
            kl = ops.mean(q.log_prob(z) - prior.log_prob(z), axis=0)  # [B]
        return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}

    def check(self, q, prior):
        """Raises a `ValueError` if the bound cannot be computed for q(z|x) and p(z)."""
        if self.kl == "analytic":
            try:
                q.kl_divergence(prior)
            except NotImplementedError:
                raise ValueError(
                    f"No closed form of KL(q || p) is known for q={q} and p={prior}. "
                    "Estimate it with `bound=ELBO(kl='sampled')`"
                ) from None

    def get_config(self):
        return {"num_samples": self.num_samples, "kl": self.kl}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
