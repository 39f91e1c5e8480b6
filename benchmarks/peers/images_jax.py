"""A convolutional VAE in plain JAX, written by hand, with Adam.

One program for each step: `lax.scan` over an epoch takes many times as long on a CPU, see
https://github.com/jax-ml/jax/issues/12868
"""

import itertools

import jax
import numpy as np
from jax import numpy as jnp
from peers.jax_scan import affine, dense

STEP_SIZE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7


def epochs(work):
    parameters = initial(work)
    moments = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
    state = (parameters, *moments, 0, jax.random.key(1))
    x = jnp.asarray(work.data())
    rng = np.random.default_rng(0)
    one_step = jax.jit(lambda state, x, rows: step(state, x[rows]), donate_argnums=0)
    order = np.arange(work.batch_size)
    while True:
        for rows in order.reshape(-1, work.batch_size):
            state, loss = one_step(state, x, rows)
        jax.block_until_ready((state, loss))
        yield
        order = rng.permutation(work.examples)


def initial(work):
    """The weights at the start."""
    keys = iter(jax.random.split(jax.random.key(0), 13))
    size = int(np.prod(work.encoded_shape))
    down = [1, *[work.filters] * 4]
    return {
        "down": [kernel(next(keys), *ends) for ends in itertools.pairwise(down)],
        "hidden": dense(next(keys), size, work.dense_units),
        "mean": dense(next(keys), work.dense_units, work.latent_dim),
        "log_variance": dense(next(keys), work.dense_units, work.latent_dim),
        "decoder": [
            dense(next(keys), work.latent_dim, work.dense_units),
            dense(next(keys), work.dense_units, size),
        ],
        "up": [kernel(next(keys), *ends) for ends in itertools.pairwise(down[::-1])],
    }


def kernel(key, inputs, outputs):
    return {"w": 0.05 * jax.random.normal(key, (4, 4, inputs, outputs)), "b": jnp.zeros(outputs)}


def step(state, x):
    """A step of Adam."""
    parameters, first, second, n, key = state
    key, noise_key = jax.random.split(key)
    value, gradients = jax.value_and_grad(loss)(parameters, x, noise_key)
    n = n + 1
    rate = STEP_SIZE * jnp.sqrt(1 - BETA_2**n) / (1 - BETA_1**n)
    first = jax.tree.map(lambda m, g: m + (1 - BETA_1) * (g - m), first, gradients)
    second = jax.tree.map(lambda v, g: v + (1 - BETA_2) * (g**2 - v), second, gradients)
    parameters = jax.tree.map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), parameters, first, second
    )
    return (parameters, first, second, n, key), value


def loss(p, x, key):
    h, layout = x, ("NHWC", "HWIO", "NHWC")
    for layer in p["down"]:
        h = jax.lax.conv_general_dilated(h, layer["w"], (2, 2), "SAME", dimension_numbers=layout)
        h = jax.nn.relu(h + layer["b"])
    small = h.shape
    h = jax.nn.relu(affine(p["hidden"], h.reshape(len(x), -1)))
    mean, log_variance = affine(p["mean"], h), affine(p["log_variance"], h)
    h = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    for layer in p["decoder"]:
        h = jax.nn.relu(affine(layer, h))
    h = h.reshape(small)
    for i, layer in enumerate(p["up"]):
        h = h if i == 0 else jax.nn.relu(h)
        h = jax.lax.conv_transpose(h, layer["w"], (2, 2), "SAME", dimension_numbers=layout)
        h = h + layer["b"]
    log_likelihood = jnp.sum(x * h - jax.nn.softplus(h), (1, 2, 3))
    kl = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), -1)
    return jnp.mean(kl - log_likelihood)
