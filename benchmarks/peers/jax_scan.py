"""Plain JAX, written by hand: `lax.scan` over an epoch of shuffled, device-resident data."""

import jax
import numpy as np
from jax import numpy as jnp


def epochs(work, importance_weighted=False):
    parameters = initial(work)
    state = (parameters, jax.tree.map(jnp.zeros_like, parameters), jax.random.key(1))
    samples = work.num_samples if importance_weighted else None
    step = make_step(work.examples, samples)

    @jax.jit
    def epoch(state, x, order):
        return jax.lax.scan(step, state, x[order].reshape(-1, work.batch_size, work.x_dim))

    x = jnp.asarray(work.data())
    rng = np.random.default_rng(0)
    state, losses = epoch(state, x, np.arange(work.batch_size))
    while True:
        losses.block_until_ready()
        yield
        state, losses = epoch(state, x, rng.permutation(work.examples))


def initial(work):
    """The weights at the start."""
    keys = jax.random.split(jax.random.key(0), len(work.layers))
    return {name: dense(k, *shape) for k, (name, shape) in zip(keys, work.layers.items())}


def dense(key, inputs, outputs):
    return {"w": 0.01 * jax.random.normal(key, (inputs, outputs)), "b": jnp.zeros(outputs)}


def affine(layer, x):
    return x @ layer["w"] + layer["b"]


def log_likelihoods(p, x, z):
    """log p(x|z) in nats."""
    logits = decode(p, z)
    return jnp.sum(x * logits - jax.nn.softplus(logits), -1)


def decode(p, z):
    return affine(p["logits"], jnp.tanh(affine(p["decoder"], z)))


def make_step(n_train, num_samples=None):
    """A step on the bound from one sample of z, or the importance-weighted one from several."""

    def loss(p, x, key):
        h = jnp.tanh(affine(p["hidden"], x))
        mean, log_variance = affine(p["mean"], h), affine(p["log_variance"], h)
        samples = () if num_samples is None else (num_samples,)
        noise = jax.random.normal(key, samples + mean.shape)
        z = mean + jnp.exp(0.5 * log_variance) * noise
        log_likelihood = log_likelihoods(p, x, z)
        if num_samples is None:
            kl = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), -1)
            bound = log_likelihood - kl
        else:
            log_ratio = 0.5 * jnp.sum(noise**2 + log_variance - z**2, -1)  # log p(z) / q(z|x)
            log_weights = log_likelihood + log_ratio
            bound = jax.nn.logsumexp(log_weights, 0) - jnp.log(num_samples)
        penalty = 0.5 / n_train * sum(jnp.sum(layer["w"] ** 2) for layer in p.values())
        return penalty - jnp.mean(bound)

    def step(state, batch):
        parameters, accumulators, key = state
        key, noise_key = jax.random.split(key)
        value, gradients = jax.value_and_grad(loss)(parameters, batch, noise_key)
        accumulators = jax.tree.map(lambda a, g: a + g**2, accumulators, gradients)
        parameters = jax.tree.map(
            lambda p, a, g: p - 0.01 * g / jnp.sqrt(a + 1e-8), parameters, accumulators, gradients
        )
        return (parameters, accumulators, key), value

    return step
