"""Samples strictly inside the support, for TFP families whose samples may round to its edge.

Near an edge floating-point numbers are sparse: 1 - 6e-8 and 1 are neighbours in float32. A sample
that rounds to the edge can have a density of 0 or infinity, which makes the bound NaN. Here samples
are drawn in unconstrained coordinates, $z = e^u$, $1 / (1 + e^{-u})$ or softmax(u). A value that
would round to an edge is clipped to a point inside the support. Gradients pass through u.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from keras_aevb._backend import tfd, tfp
from keras_aevb.typing import Tensor

# Margin to underflow and overflow, since a density may divide a sample by a scale.
MARGIN = 2.0**20


def log_gamma_samples(
    concentration: Tensor, n: Any, seed: Any, like: Tensor | None = None
) -> Tensor:
    r"""The logarithms of n samples of Gamma(α, 1), even if the samples themselves underflow.

    $$\log z = \log z' + \frac{\log ε}{α}, \qquad z' \sim Gamma(α + 1, 1), \quad ε \sim U(0, 1)$$

    Args:
        concentration: α.
        n: number of samples.
        seed: TFP seed.
        like: a tensor; each sample has the shape of α broadcast with it.

    Reference: Marsaglia & Tsang (2000), A Simple Method for Generating Gamma Variables, sec. 6.
    """
    gamma_seed, uniform_seed = tfp.random.split_seed(seed, 2)
    a = concentration if like is None else concentration + ops.zeros_like(like)
    minus_log_uniform = tfd.Exponential(ops.ones_like(a)).sample(n, seed=uniform_seed)
    return tfd.ExpGamma(a + 1, 1.0).sample(n, seed=gamma_seed) - minus_log_uniform / a


def log_odds(concentration1: Tensor, concentration0: Tensor, n: Any, seed: Any) -> Tensor:
    """log(z / (1 - z)) of n samples z of Beta."""
    seeds = tfp.random.split_seed(seed, 2)
    return log_gamma_samples(concentration1, n, seeds[0], concentration0) - log_gamma_samples(
        concentration0, n, seeds[1], concentration1
    )


def exponential(rate: Tensor, n: Any, seed: Any) -> Tensor:
    return tfd.Exponential(rate).sample(n, seed=seed)


def gumbel(loc: Tensor, scale: Tensor, n: Any, seed: Any) -> Tensor:
    return tfd.Gumbel(loc, scale).sample(n, seed=seed)


def normal(q: Any, n: Any, seed: Any) -> Tensor:
    return tfd.Normal(q.loc, q.scale).sample(n, seed=seed)


def log_gamma_of_rate(q: Any, n: Any, seed: Any) -> Tensor:
    log_rate = ops.log(q.rate) if q.log_rate is None else q.log_rate
    return log_gamma_samples(q.concentration, n, seed, log_rate) - log_rate


def log_inverse_gamma(q: Any, n: Any, seed: Any) -> Tensor:
    return ops.log(q.scale) - log_gamma_samples(q.concentration, n, seed, q.scale)


def log_kumaraswamy(q: Any, n: Any, seed: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    return ops.log(-ops.expm1(-exponential(b + ops.zeros_like(a), n, seed))) / a


def relaxed_logits(q: Any, n: Any, seed: Any) -> Tensor:
    temperature = ops.expand_dims(q.temperature, -1)
    return gumbel(q.logits_parameter() / temperature, 1 / temperature, n, seed)


def log_chi2(q: Any, n: Any, seed: Any) -> Tensor:
    return log_gamma_samples(q.df / 2, n, seed) + math.log(2)


def log_weibull(q: Any, n: Any, seed: Any) -> Tensor:
    return ops.log(q.scale) - gumbel(ops.zeros_like(q.scale), 1 / q.concentration, n, seed)


def log_f(q: Any, n: Any, seed: Any) -> Tensor:
    return log_odds(q.df1 / 2, q.df2 / 2, n, seed) + ops.log(q.df2) - ops.log(q.df1)


def relaxed_log_odds(q: Any, n: Any, seed: Any) -> Tensor:
    logistic = tfd.Logistic(q.logits_parameter() / q.temperature, 1 / q.temperature)
    return logistic.sample(n, seed=seed)


def exp(u: Tensor, limits: Any) -> Tensor:
    low, high = limits.tiny * MARGIN, limits.max / MARGIN
    return ops.exp(ops.clip(u, math.log(low), math.log(high)))


def exp_below_1(u: Tensor, limits: Any) -> Tensor:
    return inside_unit_interval(ops.exp(ops.clip(u, math.log(limits.tiny), 0)), limits)


def sigmoid(u: Tensor, limits: Any) -> Tensor:
    u = ops.clip(u, math.log(limits.tiny), -math.log(limits.epsneg))
    return inside_unit_interval(ops.sigmoid(u), limits)


def softmax(u: Tensor, limits: Any) -> Tensor:
    return inside_unit_interval(ops.softmax(u), limits)


def inside_unit_interval(z: Tensor, limits: Any) -> Tensor:
    return ops.clip(z, limits.tiny, 1 - limits.epsneg)


# By family: n samples of u, and the map from u to z.
INTERIORS: dict[str, tuple[Callable[[Any, Any, Any], Tensor], Callable[[Tensor, Any], Tensor]]] = {
    "Beta": (lambda q, n, seed: log_odds(q.concentration1, q.concentration0, n, seed), sigmoid),
    # Chi's density contains z², so z² is clipped.
    "Chi": (log_chi2, lambda u, limits: ops.sqrt(exp(u, limits))),
    "Chi2": (log_chi2, exp),
    "Dirichlet": (lambda q, n, seed: log_gamma_samples(q.concentration, n, seed), softmax),
    "F": (log_f, exp),
    "Gamma": (log_gamma_of_rate, exp),
    "InverseGamma": (log_inverse_gamma, exp),
    "Kumaraswamy": (log_kumaraswamy, exp_below_1),
    "LogLogistic": (lambda q, n, seed: tfd.Logistic(q.loc, q.scale).sample(n, seed=seed), exp),
    "LogNormal": (normal, exp),
    "LogitNormal": (normal, sigmoid),
    "RelaxedBernoulli": (relaxed_log_odds, sigmoid),
    "RelaxedOneHotCategorical": (relaxed_logits, softmax),
    "Weibull": (log_weibull, exp),
}


@functools.cache
def with_interior_samples(cls: Any) -> Any:
    """A subclass whose samples lie inside the open support; `cls` itself if not in `INTERIORS`."""
    if cls.__name__ not in INTERIORS:
        return cls
    draws_of_u, to_z = INTERIORS[cls.__name__]

    class Interior(cls):
        def _sample_n(self, n: Any, seed: Any = None) -> Tensor:
            limits = np.finfo(standardize_dtype(self.dtype))
            return to_z(draws_of_u(self, n, tfp.random.sanitize_seed(seed)), limits)

        # Transformed distributions of TFP do not call `_sample_n`.
        def _call_sample_n(self, *args: Any, **kwargs: Any) -> Tensor:
            return tfd.Distribution._call_sample_n(self, *args, **kwargs)

        def _sample_and_log_prob(
            self, sample_shape: Any, seed: Any, **kwargs: Any
        ) -> tuple[Tensor, Tensor]:
            z = self._call_sample_n(sample_shape, seed, **kwargs)
            return z, self._call_log_prob(z, "log_prob", **kwargs)

    Interior.__name__ = Interior.__qualname__ = cls.__name__
    return Interior
