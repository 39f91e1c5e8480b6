"""Bounds from importance weights."""

import math
from typing import Literal, Unpack

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb.bounds.base import Bound
from keras_aevb.bounds.gradient import log_prob_by_path, with_scaled_gradient, zero_with_gradient
from keras_aevb.typing import Config, Decode, Distribution, LayerArguments, Tensor, Terms

GRADIENTS = ("reparameterized", "stl", "dreg", "vimco")


@keras.saving.register_keras_serializable(package="keras_aevb")
class ImportanceWeightedBound(Bound):
    r"""The importance-weighted bound on log p(x) from K samples.

    $$\tilde{L}_K = \log \frac1K \sum_k w_k, \qquad w_k = \frac{p(x, z_k)}{q(z_k|x)}, \quad
    z_k \sim q(z|x)$$

    Its mean is the ELBO for K = 1, rises with K, and tends to log p(x). Terms, from the same
    samples: `iw_elbo`; `elbo`, the mean of log w; `reconstruction`, the mean of log p(x|z); and
    `kl`, `reconstruction` minus `elbo`.

    The gradient in θ is $\sum_k \tilde{w}_k \nabla_θ \log w_k$ with $\tilde{w}_k = w_k / \sum w$.
    The gradient in φ is one of four:

    - `"reparameterized"`: the total derivative.
    - `"stl"`, sticking the landing, drops the score of q:
      $\sum_k \tilde{w}_k \nabla_z \log w_k \nabla_φ z_k$. It is biased for K > 1.
    - `"dreg"`, doubly reparameterised: $\sum_k \tilde{w}_k^2 \nabla_z \log w_k \nabla_φ z_k$. It is
      unbiased. The decoder runs twice, so dropout in it would bias the gradient, and batch
      normalization updates its moving averages twice.
    - `"vimco"`, for any posterior: the score function with a baseline for each sample,
      $\sum_k (\tilde{L}_K - \tilde{L}_{-k}) \nabla_φ \log q(z_k|x) + \tilde{w}_k \nabla_φ \log w_k$
      at fixed z. $\tilde{L}_{-k}$ replaces w_k by the geometric mean of the other weights.

    Args:
        num_samples: K ≥ 1, the number of samples of z for each example; for `"vimco"` K ≥ 2.
        gradient: `"reparameterized"`, `"stl"`, `"dreg"` or `"vimco"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `num_samples` is not a positive integer, or 1 with `"vimco"`, or `gradient`
            is unknown.

    Reference: Burda, Grosse & Salakhutdinov (2016), eqs. 8, 13 and 14; Roeder, Wu & Duvenaud
        (2017); Tucker, Lawson, Gu & Maddison (2019), sec. 3; Mnih & Rezende (2016), sec. 2.

    Example:
        >>> import keras_aevb as kv
        >>> bound = ImportanceWeightedBound(50, gradient="dreg")
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    objective = "iw_elbo"
    terms = ("iw_elbo", "elbo", "reconstruction", "kl")
    alpha = 0.0  # this is the Rényi bound with α = 0

    def __init__(
        self,
        num_samples: int,
        gradient: Literal["reparameterized", "stl", "dreg", "vimco"] = "reparameterized",
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(num_samples, **kwargs)
        self.gradient = arguments.choice("gradient", gradient, GRADIENTS)
        self.reparameterized = gradient != "vimco"
        if gradient == "vimco":
            arguments.integer("num_samples", num_samples, at_least=2)

    def __call__(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        z = q.sample(self.num_samples, seed=seed)  # [K, B, ...]
        if self.gradient == "vimco":
            z = ops.stop_gradient(z)
        elif self.gradient == "dreg":
            fixed = ops.stop_gradient(z)
            log_weights = decode(fixed).log_prob(x) + prior.log_prob(fixed) - q.log_prob(fixed)
            weights = ops.softmax((1 - self.alpha) * log_weights, axis=0)
            z = with_scaled_gradient(z, self.alpha + (1 - self.alpha) * weights)
        by_path = self.gradient in ("stl", "dreg")
        log_q = log_prob_by_path(q, z) if by_path else q.log_prob(z)  # [K, B]
        log_likelihood, log_prior = decode(z).log_prob(x), prior.log_prob(z)  # [K, B]
        log_weights = log_likelihood + log_prior - log_q
        bound = self._log_mean(log_weights)  # [B]
        if self.gradient == "vimco":
            signal = ops.stop_gradient(bound - self._without_each(log_weights))  # [K, B]
            bound = bound + ops.sum(signal * zero_with_gradient(log_q), axis=0)
        return {
            self.objective: bound,
            "elbo": _backend.mean(log_weights, axis=0),
            "reconstruction": _backend.mean(log_likelihood, axis=0),
            "kl": _backend.mean(log_q - log_prior, axis=0),
        }

    def _log_mean(self, log_weights: Tensor, axis: int = 0) -> Tensor:
        """The bound from log w, with the samples along `axis`."""
        power = 1 - self.alpha
        log_sum = ops.logsumexp(power * log_weights, axis=axis)
        return (log_sum - math.log(self.num_samples)) / power

    def _without_each(self, log_weights: Tensor) -> Tensor:
        """The bound with weight k replaced by the geometric mean of the others: `[K, B]`."""
        n = self.num_samples
        others = (ops.sum(log_weights, axis=0) - log_weights) / max(n - 1, 1)  # [K, B]
        same = ops.expand_dims(ops.eye(n, dtype="bool"), -1)  # [K, K, 1]
        return self._log_mean(ops.where(same, others[None], log_weights[None]), axis=1)

    def get_config(self) -> Config:
        return {**super().get_config(), "gradient": self.gradient}


@keras.saving.register_keras_serializable(package="keras_aevb")
class RenyiBound(ImportanceWeightedBound):
    r"""The variational Rényi bound, estimated from K samples.

    $$\tilde{L}_α = \frac{1}{1 - α} \log \frac1K \sum_k w_k^{1 - α}, \qquad
    w_k = \frac{p(x, z_k)}{q(z_k|x)}, \quad z_k \sim q(z|x)$$

    α = 0 is the importance-weighted bound; as α tends to 1 it becomes the ELBO. Terms: `renyi`, and
    `elbo`, `reconstruction` and `kl` as in `ImportanceWeightedBound`. The gradients are the same
    with $\tilde{w}_k = w_k^{1-α} / \sum w^{1-α}$; `"dreg"` replaces $\tilde{w}_k^2$ by
    $α \tilde{w}_k + (1 - α) \tilde{w}_k^2$.

    Args:
        alpha: α ≥ 0, other than 1.
        num_samples: K ≥ 1, the number of samples of z for each example; for `"vimco"` K ≥ 2.
        gradient: `"reparameterized"`, `"stl"`, `"dreg"` or `"vimco"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: as for `ImportanceWeightedBound`, or if `alpha` is 1 or not a non-negative
            number.

    Reference: Li & Turner (2016), sec. 3 and 4.1.

    Example:
        >>> import keras_aevb as kv
        >>> bound = RenyiBound(0.5, num_samples=10)
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    objective = "renyi"
    terms = ("renyi", "elbo", "reconstruction", "kl")

    def __init__(
        self,
        alpha: float,
        num_samples: int,
        gradient: Literal["reparameterized", "stl", "dreg", "vimco"] = "reparameterized",
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(num_samples, gradient, **kwargs)
        self.alpha = float(arguments.number("alpha", alpha, inclusive=True))
        if self.alpha == 1:
            raise ValueError(
                "The Rényi bound of α = 1 is the ELBO. Expected `alpha` other than 1, or `ELBO()`. "
                f"Received: {alpha!r}"
            )

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha}
