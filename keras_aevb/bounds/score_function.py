"""The ELBO with the score-function gradient, without reparameterisation."""

import math
from typing import Any, Literal, Unpack

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb.bounds.base import Bound
from keras_aevb.bounds.gradient import zero_with_gradient
from keras_aevb.typing import Config, Decode, Distribution, LayerArguments, Shape, Tensor, Terms

LEAVE_ONE_OUT = "leave-one-out"


@keras.saving.register_keras_serializable(package="keras_aevb")
class ScoreFunctionELBO(Bound):
    r"""The evidence lower bound with the score-function gradient, also known as REINFORCE.

    The value and the gradient in θ are those of estimator A (eq. 6). The gradient in φ treats z as
    fixed:

    $$\tilde{L} = \frac1L \sum_l f(z_l), \qquad f(z) = \log p(x, z) - \log q(z|x)$$
    $$\tilde\nabla_φ L = \frac1L \sum_l (f(z_l) - b_l) \, \nabla_φ \log q(z_l|x)$$

    with $z_l \sim q(z|x)$. It is unbiased for every posterior, also for discrete ones and others
    without a reparameterisation. Its variance is very high without a baseline $b_l$. The baseline
    may depend on x and on the other samples. Terms: those of `ELBO`; only `elbo` has this gradient.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        baseline: `None` for $b_l = 0$; `"leave-one-out"` for the mean of f over the other samples,
            which needs L ≥ 2; or a Keras layer from x to one number. `fit` trains the layer to
            minimise its squared distance from f, which `loss` does not include. The layer receives
            0 for a missing value (NaN).
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `num_samples` is not a positive integer, or 1 with `"leave-one-out"`, or
            `baseline` has another type or value.

    Reference: Kingma & Welling (2013), sec. 2.2; Kool, van Hoof & Welling (2019), for
        `"leave-one-out"`; Mnih & Gregor (2014), sec. 2.3, for the layer.

    Example:
        >>> import keras_aevb as kv
        >>> bound = ScoreFunctionELBO(num_samples=5, baseline="leave-one-out")
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
    """

    reparameterized = False

    def __init__(
        self,
        num_samples: int = 1,
        baseline: Literal["leave-one-out"] | keras.Layer | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(num_samples, **kwargs)
        is_layer = isinstance(baseline, keras.layers.Layer)
        if not is_layer and baseline not in (None, LEAVE_ONE_OUT):
            raise ValueError(
                f"Expected `baseline` to be None, {LEAVE_ONE_OUT!r} or a Keras layer. "
                f"Received: {baseline!r}"
            )
        if baseline == LEAVE_ONE_OUT:
            arguments.integer("num_samples", num_samples, at_least=2)
        self.baseline: Any = baseline
        self.surrogate = "objective" if is_layer else None
        self.built = not is_layer

    def build(self, x_shape: Shape) -> None:
        output = self.baseline(keras.Input(x_shape[1:], dtype=self.variable_dtype))
        if math.prod(output.shape[1:]) != 1:
            raise ValueError(
                "Expected `baseline` to return one number for each example. "
                f"Received: output of shape {output.shape} for x of shape {x_shape}"
            )

    def __call__(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        z = ops.stop_gradient(q.sample(self.num_samples, seed=seed))  # [L, B, ...]
        log_q, log_prior = q.log_prob(z), prior.log_prob(z)  # [L, B]
        log_likelihood = decode(z).log_prob(x)  # [L, B]
        f = log_likelihood + log_prior - ops.stop_gradient(log_q)  # [L, B]
        reward = ops.stop_gradient(f)
        baseline = self._baseline(x, reward)
        score = ops.stop_gradient(reward - baseline) * zero_with_gradient(log_q)
        terms = {
            "elbo": _backend.mean(f + score, axis=0),
            "reconstruction": _backend.mean(log_likelihood, axis=0),
            "kl": _backend.mean(log_q - log_prior, axis=0),
        }
        if self.surrogate is None:
            return terms
        error = zero_with_gradient(_backend.mean(ops.square(reward - baseline), axis=0))
        return {**terms, "objective": terms["elbo"] - error}

    def _baseline(self, x: Tensor, reward: Tensor) -> Tensor | float:
        """The baseline b, which broadcasts against the rewards, `[L, B]`."""
        if self.baseline is None:
            return 0.0
        if self.baseline == LEAVE_ONE_OUT:
            return (ops.sum(reward, axis=0) - reward) / max(self.num_samples - 1, 1)
        x = ops.where(ops.isnan(x), ops.zeros_like(x), x)  # missing values
        return ops.cast(ops.reshape(self.baseline(x), (-1,)), reward.dtype)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "baseline": keras.saving.serialize_keras_object(self.baseline),
        }
