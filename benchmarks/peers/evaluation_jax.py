"""The bound and log p(x) of the paper's model in plain JAX, written by hand."""

import jax
import numpy as np
from jax import numpy as jnp
from peers import posterior_density_jax
from peers.jax_scan import affine, initial, log_likelihoods

CHUNK = 50  # samples of z decoded at once, for each example


def epochs(work, method):
    """Evaluates all examples, then yields, repeatedly. The first evaluation also compiles."""
    if method == "density":
        yield from posterior_density_jax.epochs(work)
        return
    parameters, key = initial(work), jax.random.key(1)
    x = work.data()
    estimate = jax.jit(ESTIMATES[method], static_argnames="num_samples")
    while True:
        for start in range(0, work.examples, work.batch_size):
            batch = x[start : start + work.batch_size]
            np.asarray(estimate(parameters, batch, key, num_samples=work.num_samples))
        yield


def encoded(p, x):
    h = jnp.tanh(affine(p["hidden"], x))
    return affine(p["mean"], h), affine(p["log_variance"], h)


def log_weights(p, x, key, num_samples):
    """log p(x, z) / q(z|x), of shape `[num_samples, B]`."""
    mean, log_variance = encoded(p, x)
    noise = jax.random.normal(key, (num_samples, *mean.shape))
    z = mean + jnp.exp(0.5 * log_variance) * noise
    log_ratios = 0.5 * jnp.sum(noise**2 + log_variance - z**2, -1)
    return log_likelihoods(p, x, z) + log_ratios


def elbo(p, x, key, num_samples):
    mean, log_variance = encoded(p, x)
    noise = jax.random.normal(key, (num_samples, *mean.shape))
    z = mean + jnp.exp(0.5 * log_variance) * noise
    kl = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), -1)
    return jnp.mean(log_likelihoods(p, x, z), 0) - kl


def importance(p, x, key, num_samples):
    """Importance sampling; adds up the weights and their squares in chunks."""

    def add(sums, key):
        weights = log_weights(p, x, key, CHUNK)
        log_sum = jnp.logaddexp(sums[0], jax.nn.logsumexp(weights, 0))
        log_squares = jnp.logaddexp(sums[1], jax.nn.logsumexp(2 * weights, 0))
        return (log_sum, log_squares), None

    none = jnp.full(len(x), -jnp.inf)
    keys = jax.random.split(key, num_samples // CHUNK)
    (log_sum, log_squares), _ = jax.lax.scan(add, (none, none), keys)
    variance = jnp.exp(log_squares - 2 * log_sum) - 1 / num_samples
    return jnp.stack([log_sum - jnp.log(num_samples), jnp.sqrt(variance)])


ESTIMATES = {"elbo": elbo, "importance": importance}
