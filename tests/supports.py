"""Models with priors of different supports, and log p(x) and E[z|x] by quadrature.

x is the first two coordinates of z times W, plus normal noise. The quadrature is a mean over a grid
of quantiles of the prior, in float64: it needs no density, which may be infinite at an edge.
"""

import functools

import keras
import numpy as np
from scipy import special, stats

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd, tfb = tfp.distributions, tfp.bijectors

WEIGHTS = np.array([[1.0, -0.5, 0.3, 0.8], [-0.4, 0.9, 0.6, 0.2]])
SCALE = 0.3


def independent(kind, *parameters):
    return tfd.Independent(kind(*([p, p] for p in parameters)), 1)


# TFP's p(z), and scipy's distribution of one coordinate.
PRIORS = {
    "Beta": (lambda: independent(tfd.Beta, 2.0, 0.7), stats.beta(2, 0.7)),
    "Exponential": (lambda: independent(tfd.Exponential, 1.0), stats.expon()),
    "Gamma": (lambda: independent(tfd.Gamma, 0.5, 1.0), stats.gamma(0.5)),
    "InverseGamma": (lambda: independent(tfd.InverseGamma, 3.0, 1.0), stats.invgamma(3)),
    "HalfNormal": (lambda: independent(tfd.HalfNormal, 1.0), stats.halfnorm()),
    "LogNormal": (lambda: independent(tfd.LogNormal, 0.0, 1.0), stats.lognorm(1)),
    "Normal": (lambda: independent(tfd.Normal, 0.0, 1.0), stats.norm()),
    "Pareto": (lambda: independent(tfd.Pareto, 3.0, 0.5), stats.pareto(3, scale=0.5)),
    "Triangular": (
        lambda: independent(tfd.Triangular, -1.0, 2.0, 0.0),
        stats.triang(1 / 3, loc=-1, scale=3),
    ),
    "TruncatedNormal": (
        lambda: independent(tfd.TruncatedNormal, 0.0, 1.0, -1.0, 2.0),
        stats.truncnorm(-1, 2),
    ),
    "Uniform": (lambda: independent(tfd.Uniform, -1.0, 2.0), stats.uniform(-1, 3)),
    "VonMises": (lambda: independent(tfd.VonMises, 0.0, 2.0), stats.vonmises(2)),
    "Weibull": (lambda: independent(tfd.Weibull, 1.5, 1.0), stats.weibull_min(1.5)),
    "Sample": (lambda: tfd.Sample(tfd.Exponential(1.0), 2), stats.expon()),
    "flow": (
        lambda: tfd.TransformedDistribution(independent(tfd.Normal, 0.0, 1.0), tfb.Exp()),
        stats.lognorm(1),
    ),
    "Dirichlet": (lambda: tfd.Dirichlet([2.0, 0.7, 1.0]), None),
}
# Priors without unconstrained coordinates.
REFUSED = {
    "Bernoulli": lambda: tfd.Independent(tfd.Bernoulli([0.0, 1.0], dtype="float32"), 1),
    "one-hot": lambda: tfd.OneHotCategorical(probs=[0.2, 0.3, 0.5], dtype="float32"),
    "von Mises–Fisher": lambda: tfd.VonMisesFisher([1.0, 0.0, 0.0], 2.0),
}
SIZES = {"Dirichlet": 3, "one-hot": 3, "von Mises–Fisher": 3}


@keras.saving.register_keras_serializable(package="tests")
class Family(kv.Prior):
    """One of `PRIORS` or `REFUSED`."""

    def __init__(self, event_shape, family, **kwargs):
        super().__init__(event_shape, **kwargs)
        self.family = family

    def distribution(self):
        return REFUSED[self.family]() if self.family in REFUSED else PRIORS[self.family][0]()

    def get_config(self):
        return {**super().get_config(), "family": self.family}


class Generative(kv.LatentVariableModel):
    """A model without a recognition model."""

    def __init__(self, decoder, likelihood, prior, seed):
        super().__init__(decoder, likelihood, prior, (), seed)


def make(family, algorithm=Generative, **settings):
    """p(z) of `PRIORS` or `REFUSED`, p(x|z) = N(x; zW, σ²I); a third coordinate has no weight."""
    dim = SIZES.get(family, 2)
    mean = keras.layers.Dense(4, use_bias=False)
    likelihood = kv.Normal(4, mean=mean, scale=SCALE)
    decoder = keras.Sequential([keras.layers.Identity()])
    model = algorithm(decoder, likelihood, Family(dim, family), seed=0, **settings)
    mean.set_weights([np.concatenate([WEIGHTS, np.zeros((dim - 2, 4))])])
    return model


@functools.cache
def grid(family, n=500):
    """Two coordinates of n² points z of equal prior probability; ten points for one-hot."""
    middles = (np.arange(n) + 0.5) / n
    first, second = (m.ravel() for m in np.meshgrid(middles, middles))
    if family == "Dirichlet":
        z1 = stats.beta(2, 1.7).ppf(first)
        return np.stack([z1, (1 - z1) * stats.beta(0.7, 1).ppf(second)], axis=1)
    if family == "one-hot":  # probabilities 0.2, 0.3, 0.5
        return np.eye(3)[np.repeat([0, 1, 2], [2, 3, 5])][:, :2]
    if family == "von Mises–Fisher":  # κ = 2; the cosine of the angle to the mean, and the azimuth
        cosine = 1 + np.log(first + (1 - first) * np.exp(-4)) / 2
        return np.stack([cosine, np.sqrt(1 - cosine**2) * np.cos(2 * np.pi * second)], axis=1)
    quantiles = PRIORS[family][1].ppf(middles)
    return np.stack([q.ravel() for q in np.meshgrid(quantiles, quantiles)], axis=1)


def examples(family, n):
    """x of shape `[n, 4]`, sampled from the model, with z among the points of the grid."""
    rng = np.random.default_rng(3)
    z = rng.choice(grid(family), n)
    return (z @ WEIGHTS + SCALE * rng.normal(size=(n, 4))).astype("float32")


def exact(family, x):
    """log p(x) of shape `[B]`, and mean and covariance of z given x."""
    z = grid(family)
    log_p, means, covariances = [], [], []
    for values in x.astype("float64"):  # one example at a time, to save memory
        log_joint = stats.norm(z @ WEIGHTS, SCALE).logpdf(values).sum(axis=1) - np.log(len(z))
        log_p.append(special.logsumexp(log_joint))
        weights = np.exp(log_joint - log_p[-1])
        means.append(weights @ z)
        covariances.append((weights * z.T) @ z - np.outer(means[-1], means[-1]))
    return np.array(log_p), np.array(means), np.array(covariances)
