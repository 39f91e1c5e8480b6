"""Bounds with a penalty on the aggregate posterior q(z), the mean of q(z|x) over examples.

Symbols: M examples in the minibatch, N in the training set, D latent dimensions.
"""

import math
from typing import Unpack

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfp
from keras_aevb.bounds.base import LatestValue
from keras_aevb.bounds.elbo import ELBO, ELBOArguments, by_dimension
from keras_aevb.distributions.precision import at_least_float32
from keras_aevb.typing import Config, Decode, Distribution, Schedule, Tensor, Terms


class PenalizedELBO(ELBO):
    """The evidence lower bound; training subtracts a weighted penalty for each example.

    A subclass sets `penalty`, the name of its term, and implements `_penalty`. The penalty compares
    the examples of a batch; under a tf.distribute strategy, those on one replica. It is 0 for a
    single example.
    """

    penalty: str
    surrogate = "penalized"

    def __init__(
        self, weight: float | Schedule, num_samples: int = 1, **kwargs: Unpack[ELBOArguments]
    ) -> None:
        super().__init__(num_samples, **kwargs)
        self.weight = self.scheduled("weight", weight)
        self.latest_values.append(LatestValue("weight", at_least_float32(self.compute_dtype)))

    @property
    def terms(self) -> tuple[str, ...]:  # type: ignore[override]  # computed
        return (*ELBO.terms, self.penalty)

    def _terms(
        self,
        x: Tensor,
        q: Distribution,
        prior: Distribution,
        decode: Decode,
        z: Tensor,
        seed: Tensor,
    ) -> Terms:
        terms = super()._terms(x, q, prior, decode, z, seed)
        alone = ops.equal(ops.shape(z)[1], 1)
        penalty = ops.where(alone, 0.0, self._penalty(q, prior, z, seed))
        weight = ops.convert_to_tensor(self.now(self.weight), penalty.dtype)
        penalized = terms.get("objective", terms["elbo"]) - weight * penalty
        return {**terms, self.penalty: penalty, "penalized": penalized, "weight": weight}

    def _penalty(self, q: Distribution, prior: Distribution, z: Tensor, seed: Tensor) -> Tensor:
        """A tensor of shape `[M]` for samples z of shape `[L, M, ...]`."""
        raise NotImplementedError

    def get_config(self) -> Config:
        weight = keras.saving.serialize_keras_object(self.weight)
        return {**super().get_config(), "weight": weight}


@keras.saving.register_keras_serializable(package="keras_aevb")
class TotalCorrelationELBO(PenalizedELBO):
    r"""The evidence lower bound; training penalises dependent latent dimensions (β-TC-VAE).

    $$\tilde{L} - w \, TC, \qquad
    TC = \frac1L \sum_l \log q(z_l) - \sum_d \log q(z_{l,d})$$

    The mean of TC over examples is $KL(q(z) \,\|\, \prod_d q(z_d))$. Example i estimates the
    aggregate posterior from its minibatch by

    $$q(z) \approx \frac1N q(z|x_i) + \frac{N - 1}{N (M - 1)} \sum_{j \ne i} q(z|x_j)$$

    This is exact for M = N. In β-TC-VAE's notation, β = 1 + w. Terms: those of `ELBO` and
    `total_correlation`.

    Args:
        weight: w ≥ 0, a number or a schedule of the training step.
        n_train: N, the number of training examples.
        num_samples: L ≥ 1, the number of samples of z for each example.
        **kwargs: arguments of `ELBO`.

    Raises:
        ValueError: as for `ELBO`; if `weight` is neither a non-negative number nor a schedule, or
            `n_train` is not an integer of at least 2; or, when a model is made, if the latents are
            not independent given x.

    Reference: Chen, Li, Grosse & Duvenaud (2018), arXiv:1802.04942, eq. 4 and App. C.2.

    Example:
        >>> import keras_aevb as kv
        >>> bound = TotalCorrelationELBO(weight=5.0, n_train=60_000)
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    penalty = "total_correlation"

    def __init__(
        self,
        weight: float | Schedule,
        n_train: int,
        num_samples: int = 1,
        **kwargs: Unpack[ELBOArguments],
    ) -> None:
        super().__init__(weight, num_samples, **kwargs)
        self.n_train = arguments.integer("n_train", n_train, at_least=2)

    def _penalty(self, q: Distribution, prior: Distribution, z: Tensor, seed: Tensor) -> Tensor:
        # Log densities of each z_i under each q(z|x_j), of shape [L, M, M, D].
        log_q = by_dimension(q).log_prob(ops.expand_dims(z, 2))
        log_q = ops.reshape(log_q, (*ops.shape(log_q)[:3], -1))
        m, n = ops.shape(z)[1], self.n_train
        others = math.log(n - 1) - math.log(n) - ops.log(ops.cast(ops.maximum(m - 1, 1), z.dtype))
        log_weights = ops.where(ops.eye(m, dtype="bool"), -math.log(n), others)[..., None]
        log_joint = ops.logsumexp(ops.sum(log_q, axis=3) + log_weights[..., 0], axis=2)
        log_marginals = ops.logsumexp(log_q + log_weights, axis=2)  # [L, M, D]
        return _backend.mean(log_joint - ops.sum(log_marginals, axis=2), axis=0)

    def check(self, q: Distribution, prior: Distribution) -> None:
        super().check(q, prior)
        by_dimension(q)

    def get_config(self) -> Config:
        return {**super().get_config(), "n_train": self.n_train}


@keras.saving.register_keras_serializable(package="keras_aevb")
class MaximumMeanDiscrepancyELBO(PenalizedELBO):
    r"""The evidence lower bound; training moves the aggregate posterior towards p(z) (InfoVAE).

    $$\frac1L \sum_l \log p(x|z_l) - β KL(q(z|x) \,\|\, p(z)) - w \, MMD(q(z), p(z))$$

    MMD is an unbiased estimate of the squared maximum mean discrepancy between the z of a minibatch
    and as many samples z' of p(z). It is the mean over examples i of

    $$\frac{1}{M-1} \sum_{j \ne i} \left(k(z_i, z_j) + k(z'_i, z'_j)\right)
    - \frac1M \sum_j \left(k(z_i, z'_j) + k(z'_i, z_j)\right), \qquad
    k(z, z') = e^{-|z - z'|^2 / 2 h^2}$$

    In InfoVAE's notation, α = 1 - β and λ = w + β. Terms: those of `ELBO` and `mmd`.

    Args:
        weight: w ≥ 0, a number or a schedule of the training step.
        length_scale: h > 0. Default: the square root of D.
        num_samples: L ≥ 1, the number of samples of z for each example.
        **kwargs: arguments of `ELBO`, `beta` among them.

    Raises:
        ValueError: as for `ELBO`; if `weight` is neither a non-negative number nor a schedule, or
            `length_scale` is not positive.

    Reference: Zhao, Song & Ermon (2019), arXiv:1706.02262, eq. 6; Gretton et al. (2012), eq. 3.

    Example:
        >>> import keras_aevb as kv
        >>> bound = MaximumMeanDiscrepancyELBO(weight=100.0, beta=0.0)
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    penalty = "mmd"

    def __init__(
        self,
        weight: float | Schedule,
        length_scale: float | None = None,
        num_samples: int = 1,
        **kwargs: Unpack[ELBOArguments],
    ) -> None:
        super().__init__(weight, num_samples, **kwargs)
        if length_scale is not None:
            arguments.number("length_scale", length_scale)
        self.length_scale = length_scale

    def _penalty(self, q: Distribution, prior: Distribution, z: Tensor, seed: Tensor) -> Tensor:
        m, size = ops.shape(z)[1], math.prod(z.shape[2:])
        shape = ops.shape(z)[: 1 if len(prior.batch_shape) else 2]
        draws = prior.sample(shape, seed=tfp.random.split_seed(seed, 2)[1])
        z, draws = (ops.reshape(a, (*ops.shape(z)[:2], size)) for a in (z, draws))  # [L, M, D]
        length_scale = math.sqrt(size) if self.length_scale is None else self.length_scale
        kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(
            length_scale=ops.convert_to_tensor(length_scale, z.dtype)
        )
        same = ops.eye(m, dtype=z.dtype)
        within = (kernel.matrix(z, z) + kernel.matrix(draws, draws)) * (1 - same)  # [L, M, M]
        across = kernel.matrix(z, draws)
        across = across + ops.swapaxes(across, 1, 2)
        within = ops.sum(within, axis=2) / ops.cast(ops.maximum(m - 1, 1), z.dtype)
        return _backend.mean(within - _backend.mean(across, axis=2), axis=0)

    def get_config(self) -> Config:
        return {**super().get_config(), "length_scale": self.length_scale}
