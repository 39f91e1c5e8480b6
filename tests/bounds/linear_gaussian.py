"""p(z) = N(0, I), p(x|z) = N(Wz + b, s² I): log p(x) and p(z|x) are known."""

import keras
import numpy as np
from scipy import stats

import keras_aevb as kv

W = np.array([[1.0, 1.0], [1.0, -1.0], [0.5, 0.5], [0.5, -0.5]]) * [0.8, 1.3]  # orthogonal columns
B = np.array([0.3, -0.2, 0.1, 0.5])
S = 0.6
POSTERIOR_VARIANCE = 1 / (1 + (W**2).sum(0) / S**2)  # of each latent: WᵀW is diagonal
POSTERIOR_KERNEL = W * POSTERIOR_VARIANCE / S**2


def log_marginal(x):
    return stats.multivariate_normal(B, W @ W.T + S**2 * np.eye(4)).logpdf(x)


def linear_model(make_model, shift=0.0, log_factor=0.0, bound=None):
    """q(z|x) is the posterior, its mean shifted and its log-variance increased."""
    model = make_model(
        encoder=keras.Sequential([keras.layers.Identity()]),
        decoder=keras.Sequential([keras.layers.Identity()]),
        posterior=kv.DiagonalNormal(
            2, mean=keras.layers.Dense(2), log_variance=keras.layers.Dense(2)
        ),
        likelihood=kv.Normal(4, mean=keras.layers.Dense(4), scale=S),
        bound=bound,
    )
    heads = model.posterior.heads
    heads["mean"].set_weights([POSTERIOR_KERNEL, shift - B @ POSTERIOR_KERNEL])
    heads["log_variance"].set_weights([np.zeros((4, 2)), np.log(POSTERIOR_VARIANCE) + log_factor])
    model.likelihood.heads["mean"].set_weights([W.T, B])
    return model


def linear_data(n):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, 2)) @ W.T + B + S * rng.normal(size=(n, 4))
    return x.astype("float32")
