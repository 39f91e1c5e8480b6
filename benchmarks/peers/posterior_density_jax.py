"""App. D's estimate of log p(x) in plain JAX, written by hand: HMC, and a density of its samples.

The same algorithm and settings as `keras_aevb.PosteriorDensity`.
"""

import jax
import numpy as np
from jax import numpy as jnp
from peers.jax_scan import decode, initial, log_likelihoods

CHAINS = 10  # in each of two groups: to fit the density, and to average over
BURNIN_STEPS, LEAPFROG_STEPS = 20, 4
FIRST_STEP_SIZE, TARGET_ACCEPTANCE = 0.1, 0.9
CANDIDATES, CHUNK = 10_000, 250  # samples of the prior for the starting points
BANDWIDTHS = 10 ** jnp.linspace(-2, 0, 13)
NARROWING = 0.9


def epochs(work):
    """Each iteration estimates log p(x) of all examples; the first one compiles."""
    yield from estimates(work, hamiltonian_chains)


def estimates(work, chains_of):
    """Like `epochs`, with the chains of `chains_of`.

    Args:
        chains_of: function `(log_density, starts, x, num_samples, key)` that returns chains of
            shape `[S, 2C, B, D]`. `log_density` takes one z of shape `[D]` and one example; the
            starts have shape `[2C, B, D]`.
    """
    p, x = initial(work), work.data()

    @jax.jit
    def estimate(x, key):
        start_key, chain_key = jax.random.split(key)
        starts = likely_points(p, x, work.latent_dim, start_key)
        steps = work.num_samples // CHAINS
        z = chains_of(lambda z, x: log_joint(p, x, z), starts, x, steps, chain_key)
        return log_p(z, log_joint(p, x, z))

    while True:
        for start in range(0, work.examples, work.batch_size):
            np.asarray(estimate(x[start : start + work.batch_size], jax.random.key(1)))
        yield


def log_joint(p, x, z):
    log_prior = -0.5 * jnp.sum(z**2 + jnp.log(2 * jnp.pi), -1)
    return log_prior + log_likelihoods(p, x, z)


def likely_points(p, x, latent_dim, key):
    """Samples of the prior, chosen with probabilities proportional to p(x|z): `[2C, B, D]`."""
    prior_key, choice_key = jax.random.split(key)
    z = jax.random.normal(prior_key, (CANDIDATES, latent_dim))

    def of_pairs(z):
        logits = decode(p, z)
        return logits @ x.T - jnp.sum(jax.nn.softplus(logits), -1, keepdims=True)

    chunks = z.reshape(-1, CHUNK, latent_dim)
    logits = jax.lax.map(of_pairs, chunks).reshape(CANDIDATES, -1)
    cumulative = jnp.cumsum(jax.nn.softmax(logits, 0), 0)
    uniform = cumulative[-1] * jax.random.uniform(choice_key, (2 * CHAINS, len(x)))
    return z[jnp.sum(cumulative[:, None] < uniform, 0)]


def hamiltonian_chains(log_density, z, x, num_samples, key):
    """HMC with a step size for each example, adapted by dual averaging (Hoffman & Gelman, 2014)."""
    log_densities = jax.vmap(jax.vmap(log_density), (0, None))
    gradient = jax.grad(lambda z: jnp.sum(log_densities(z, x)))

    def transition(z, step_size, key):
        momentum_key, accept_key = jax.random.split(key)
        momentum = jax.random.normal(momentum_key, z.shape)
        epsilon = step_size[:, None]

        def leapfrog(_, state):
            z, momentum, slope = state
            momentum += 0.5 * epsilon * slope
            z += epsilon * momentum
            slope = gradient(z)
            return z, momentum + 0.5 * epsilon * slope, slope

        new, end, _ = jax.lax.fori_loop(0, LEAPFROG_STEPS, leapfrog, (z, momentum, gradient(z)))
        energy = 0.5 * jnp.sum(momentum**2 - end**2, -1)
        log_ratio = log_densities(new, x) - log_densities(z, x) + energy
        accept = jnp.log(jax.random.uniform(accept_key, log_ratio.shape)) < log_ratio
        return jnp.where(accept[..., None], new, z), jnp.exp(jnp.minimum(log_ratio, 0))

    def adapt(state, inputs):
        z, error, log_step, mean = state
        i, key = inputs
        z, acceptance = transition(z, jnp.exp(log_step), key)
        error += (TARGET_ACCEPTANCE - jnp.mean(acceptance, 0) - error) / (i + 10)
        log_step = jnp.log(10 * FIRST_STEP_SIZE) - error * jnp.sqrt(i) / 0.05
        return (z, error, log_step, mean + i**-0.75 * (log_step - mean)), None

    def sample(z, key):
        z, _ = transition(z, step_size, key)
        return z, z

    keys = jax.random.split(key, BURNIN_STEPS + num_samples)
    zeros, first = jnp.zeros(len(x)), jnp.full(len(x), jnp.log(FIRST_STEP_SIZE))
    burnin = jnp.arange(1.0, BURNIN_STEPS + 1), keys[:BURNIN_STEPS]
    (z, _, _, log_step), _ = jax.lax.scan(adapt, (z, zeros, first, first), burnin)
    step_size = jnp.exp(log_step)
    return jax.lax.scan(sample, z, keys[BURNIN_STEPS:])[1]


def log_p(z, log_joints):
    """log p(x) of each example, and its standard error over the chains."""
    num_samples, _, batch_size, dim = z.shape
    first, new = (
        jnp.moveaxis(group.reshape(-1, batch_size, dim), 1, 0)  # [B, SC, D]
        for group in jnp.split(z, 2, 1)
    )
    chains = jnp.tile(jnp.arange(CHAINS), num_samples)
    log_q = jax.vmap(lambda samples, points: log_density(samples, points, chains))(first, new)
    log_weights = log_q.T.reshape(num_samples, CHAINS, -1) - log_joints[:, CHAINS:]
    log_means = jax.nn.logsumexp(log_weights, 0) - jnp.log(num_samples)
    log_mean = jax.nn.logsumexp(log_means, 0) - jnp.log(CHAINS)
    error = jnp.std(jnp.exp(log_means - log_mean), 0, ddof=1) / jnp.sqrt(CHAINS)
    return jnp.stack([-log_mean, error])


def log_density(samples, points, chains):
    """log q of points, for one example: normal kernels of the best held-out bandwidth."""
    n, dim = samples.shape
    mean = jnp.mean(samples, 0)
    covariance = (samples - mean).T @ (samples - mean) / n
    shrunk = (n * covariance + dim * jnp.diag(jnp.diag(covariance))) / (n + dim)
    cholesky = jnp.linalg.cholesky(shrunk + 1e-12 * jnp.eye(dim))

    def whiten(z):
        return jax.scipy.linalg.solve_triangular(cholesky, (z - mean).T, lower=True).T

    def log_sums(points, means, scale, excluded):
        squares = jnp.sum((points[:, None] - means) ** 2, -1)
        log_kernels = -0.5 * squares / scale**2 - dim * jnp.log(scale * jnp.sqrt(2 * jnp.pi))
        return jax.nn.logsumexp(jnp.where(excluded, -jnp.inf, log_kernels), 1)

    whitened = whiten(samples)
    own_chain = chains[:, None] == chains
    held_out = jax.lax.map(
        lambda h: jnp.sum(log_sums(whitened, whitened, h, own_chain)), BANDWIDTHS
    )
    h = BANDWIDTHS[jnp.argmax(held_out)]
    centres = NARROWING * jnp.sqrt(1 - h**2) * whitened
    log_sum = log_sums(whiten(points), centres, NARROWING * h, False)
    return log_sum - jnp.log(n) - jnp.sum(jnp.log(jnp.diag(cholesky)))
