"""A linear-Gaussian model, where log p(x) and p(z|x) are known."""

import functools
import types

import keras
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import keras_aevb as kv

PIXELS = 6
SIGMA = 0.5


@pytest.fixture(scope="session")
def linear_gaussian():
    """linear_gaussian(n): p(z) = N(0, I), p(x|z) = N(x; zW + b, σ² I), and n examples.

    The rows of W are orthogonal, so that p(z|x) has a diagonal covariance; q(z|x) is p(z|x) with
    standard deviations `scale` times as large. Models and their compiled programs are shared.
    """
    return _linear_gaussian


def _linear_gaussian(n, scale=1.0):
    model, x, exact, means, variances = _parts(scale)
    return types.SimpleNamespace(
        model=model, x=x[:n], log_likelihood=exact[:n], means=means[:n], variances=variances
    )


@functools.cache
def _parts(scale, n=2000):
    rng = np.random.default_rng(7)
    latent_dim, lengths = 2, np.array([1, 2])
    w = lengths[:, None] * np.linalg.qr(rng.normal(size=(PIXELS, latent_dim)))[0].T
    b = rng.normal(size=PIXELS)
    variances = 1 / (1 + lengths**2 / SIGMA**2)
    to_mean = w.T * variances / SIGMA**2
    log_variances = np.log(scale**2 * variances)

    mean, log_variance, pixels = (keras.layers.Dense(d) for d in (latent_dim, latent_dim, PIXELS))
    identity = keras.Sequential([keras.layers.Identity()])
    model = kv.AEVB(
        encoder=identity,
        decoder=keras.Sequential([keras.layers.Identity()]),
        posterior=kv.DiagonalNormal(latent_dim, mean, log_variance),
        likelihood=kv.Normal(PIXELS, mean=pixels, scale=SIGMA),
        seed=0,
    )
    mean.set_weights([to_mean, -b @ to_mean])
    log_variance.set_weights([np.zeros((PIXELS, latent_dim)), log_variances])
    pixels.set_weights([w, b])
    model.compile()
    z = rng.normal(size=(n, latent_dim))
    x = (z @ w + b + SIGMA * rng.normal(size=(n, PIXELS))).astype("float32")
    exact = multivariate_normal(b, w.T @ w + SIGMA**2 * np.eye(PIXELS)).logpdf(x)
    return model, x, exact, (x - b) @ to_mean, variances
