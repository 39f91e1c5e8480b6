"""The bound of auto-encoding variational Bayes."""

from typing import Any, Literal, Unpack

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfd
from keras_aevb._backend.kinds import is_kind
from keras_aevb.bounds.base import Bound, LatestValue
from keras_aevb.bounds.gradient import log_prob_by_path
from keras_aevb.distributions.precision import at_least_float32
from keras_aevb.typing import Config, Decode, Distribution, LayerArguments, Schedule, Tensor, Terms

# Defaults, with which training maximises the bound itself.
DEFAULTS = {"beta": 1, "free_bits": 0}


class ELBOArguments(LayerArguments, total=False):
    """The arguments of `ELBO` by name."""

    kl: Literal["auto", "analytic", "sampled"]
    beta: float | Schedule
    free_bits: float | Schedule
    gradient: Literal["reparameterized", "stl"]


@keras.saving.register_keras_serializable(package="keras_aevb")
class ELBO(Bound):
    r"""The evidence lower bound, estimated by stochastic gradient variational Bayes (SGVB).

    Estimator B, `kl="analytic"` (eq. 7), needs the divergence in closed form:

    $$\tilde{L}^B = -KL(q(z|x) \,\|\, p(z)) + \frac1L \sum_l \log p(x|z_l)$$

    Estimator A, `kl="sampled"` (eq. 6), works for any pair of distributions:

    $$\tilde{L}^A = \frac1L \sum_l \log p(x, z_l) - \log q(z_l|x)$$

    with $z_l \sim q(z|x)$. Both have the same mean; B typically has the lower variance. Terms:
    `elbo`; `reconstruction`, the mean of log p(x|z); and `kl`, `reconstruction` minus `elbo`.

    Training maximises the bound. With `beta` or `free_bits` it maximises instead

    $$\frac1L \sum_l \log p(x|z_l) - β \sum_j \max(λ, KL_j)$$

    where KL_j is the divergence of latent dimension j for this x, and λ the free bits. Logs and
    evaluation still report the terms of the bound. The logs also report β or λ in the last batch,
    if it is not the default.

    Sticking the landing, `gradient="stl"`, drops the score of q from estimator A's gradient in φ.
    The score has mean zero. Without it, the gradient has no variance where q(z|x) = p(z|x).

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        kl: `"analytic"`, `"sampled"`, or `"auto"`: the closed form if TFP has one and `gradient`
            is not `"stl"`, else samples. `kl_estimator` reports the choice.
        beta: weight β ≥ 0 of the divergence in training, a number or a schedule of the training
            step, such as one of `keras.optimizers.schedules`. A linear warm-up over n steps is
            `PolynomialDecay(0.0, n, 1.0)`; `Cyclical` repeats it.
        free_bits: λ ≥ 0 for each latent dimension and example, in nats, a number or a schedule.
        gradient: `"reparameterized"` or `"stl"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Attributes:
        kl_estimator: `"analytic"` or `"sampled"`; `None` until a model uses this bound.

    Raises:
        ValueError: if `num_samples` is not a positive integer, `kl` or `gradient` is unknown, both
            `kl="analytic"` and `gradient="stl"` are given, or `beta` or `free_bits` is neither a
            non-negative number nor a schedule.

    Reference: Kingma & Welling (2013), sec. 2.3; Higgins et al. (2017), eq. 4, for β; Kingma et al.
        (2016), App. C, for free bits, there with the minibatch's mean in the maximum; Roeder, Wu &
        Duvenaud (2017) for sticking the landing.

    Example:
        >>> import keras_aevb as kv
        >>> warmup = keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 1.0)
        >>> bound = ELBO(num_samples=5, beta=warmup)
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=bound)
        >>> bound.kl_estimator
        'analytic'
    """

    def __init__(
        self,
        num_samples: int = 1,
        kl: Literal["auto", "analytic", "sampled"] = "auto",
        beta: float | Schedule = 1.0,
        free_bits: float | Schedule = 0.0,
        gradient: Literal["reparameterized", "stl"] = "reparameterized",
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(num_samples, **kwargs)
        self.kl = arguments.choice("kl", kl, ("auto", "analytic", "sampled"))
        self.gradient = arguments.choice("gradient", gradient, ("reparameterized", "stl"))
        if (kl, gradient) == ("analytic", "stl"):
            raise ValueError(
                "The closed form of the divergence has no score to drop. Expected "
                "`kl='sampled'` or `kl='auto'` with `gradient='stl'`. Received: kl='analytic'"
            )
        self.beta = self.scheduled("beta", beta)
        self.free_bits = self.scheduled("free_bits", free_bits)
        changed = [name for name, value in DEFAULTS.items() if getattr(self, name) != value]
        self.latest_values = [
            LatestValue(name, at_least_float32(self.compute_dtype)) for name in changed
        ]
        self.kl_estimator: str | None = None

    @property
    def _is_default(self) -> bool:
        return all(getattr(self, name) == value for name, value in DEFAULTS.items())

    @property
    def surrogate(self) -> str | None:  # type: ignore[override]  # computed
        return None if self._is_default else "objective"

    def __call__(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        z = q.sample(self.num_samples, seed=seed)  # [L, B, ...]
        return self._terms(x, q, prior, decode, z, seed)

    def _terms(
        self,
        x: Tensor,
        q: Distribution,
        prior: Distribution,
        decode: Decode,
        z: Tensor,
        seed: Tensor,
    ) -> Terms:
        reconstruction = _backend.mean(decode(z).log_prob(x), axis=0)  # [B]
        divergences = self._divergences(q, prior, z)
        kl = divergences["kl"]
        terms = {"elbo": reconstruction - kl, "reconstruction": reconstruction, **divergences}
        weights = {
            name: ops.convert_to_tensor(self.now(getattr(self, name)), kl.dtype)
            for name in DEFAULTS
        }
        if self._is_default:
            logged = {metric.name for metric in self.latest_values}
            return terms | {name: value for name, value in weights.items() if name in logged}
        beta, free_bits = weights.values()
        if self.free_bits != 0:
            by_group = self._by_group(q, prior, z, divergences)
            axes = tuple(range(1, len(by_group.shape)))
            kl = ops.sum(ops.maximum(by_group, free_bits), axis=axes)
        objective = reconstruction - beta * kl
        return {**terms, **weights, "objective": objective}

    def _divergences(self, q: Distribution, prior: Distribution, z: Tensor) -> Terms:
        """Dict from term names to tensors `[B]`: `kl`, and any that a subclass adds."""
        return {"kl": self._kl(q, prior, z)}

    def _by_group(
        self, q: Distribution, prior: Distribution, z: Tensor, divergences: Terms
    ) -> Tensor:
        """The divergences subject to free bits, one per latent dimension: a tensor `[B, ...]`."""
        return self._kl(by_dimension(q), by_dimension(prior), z)

    def _check_groups(self, q: Distribution, prior: Distribution) -> None:
        by_dimension(q), by_dimension(prior)

    def _has_closed_form(self, q: Distribution, prior: Distribution) -> bool:
        return has_closed_form(q, prior)

    def _kl(self, q: Distribution, prior: Distribution, z: Tensor) -> Tensor:
        if self._is_analytic(q, prior):
            return q.kl_divergence(prior)
        log_q = log_prob_by_path(q, z) if self.gradient == "stl" else q.log_prob(z)
        return _backend.mean(log_q - prior.log_prob(z), axis=0)

    def _is_analytic(self, q: Distribution, prior: Distribution) -> bool:
        if self.kl != "auto":
            return self.kl == "analytic"
        return self.gradient != "stl" and self._has_closed_form(q, prior)

    def check(self, q: Distribution, prior: Distribution) -> None:
        if self.kl == "analytic" and not self._has_closed_form(q, prior):
            raise ValueError(
                "TFP has no closed form of KL(q || p). Expected distributions that have one, or "
                "a sampled estimate, `bound=ELBO(kl='sampled')`. Received: "
                f"q={q} and p={prior}"
            )
        if self.free_bits != 0:
            self._check_groups(q, prior)
        self.kl_estimator = "analytic" if self._is_analytic(q, prior) else "sampled"

    def get_config(self) -> Config:
        scheduled = {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in DEFAULTS}
        return {**super().get_config(), "kl": self.kl, **scheduled, "gradient": self.gradient}

    def __repr__(self) -> str:
        return (
            f"<ELBO num_samples={self.num_samples}, kl={self.kl}, kl_estimator={self.kl_estimator}>"
        )


def has_closed_form(q: Distribution, prior: Distribution) -> bool:
    """Whether TFP implements KL(q || p).

    Some formulas need a parameter that is `None` in another parameterisation, such as the rate of a
    Gamma given its logarithm.
    """
    try:
        q.kl_divergence(prior)
    except (NotImplementedError, TypeError, ValueError):
        return False
    return True


def by_dimension(distribution: Any) -> Distribution:
    """The distribution of each latent dimension; their divergences sum to that of z.

    Raises:
        ValueError: if the latents are not independent.
    """
    if is_kind(distribution, tfd.Independent):
        inner = distribution.distribution
        if not len(inner.event_shape):
            return inner
    raise ValueError(
        "Free bits, the total correlation and the divergence of each dimension need latent "
        "dimensions that are independent given x. Expected a `tfd.Independent` of scalar "
        f"distributions. Received: {distribution}"
    )
