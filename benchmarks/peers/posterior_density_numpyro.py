"""App. D's estimate of log p(x) with NumPyro's HMC; the density of its samples by hand."""

import jax
from numpyro.infer.hmc import hmc
from peers.posterior_density_jax import (
    BURNIN_STEPS,
    FIRST_STEP_SIZE,
    LEAPFROG_STEPS,
    TARGET_ACCEPTANCE,
    estimates,
)


def epochs(work):
    """Evaluates all examples, then yields, repeatedly. The first evaluation also compiles."""
    yield from estimates(work, numpyro_chains)


def numpyro_chains(log_density, z, x, num_samples, key):
    """Unlike in `hamiltonian_chains`, each chain adapts its own step size."""

    def chain(z, x, key):
        initialise, step = hmc(potential_fn=lambda z: -log_density(z, x), algo="HMC")
        state = initialise(
            z,
            BURNIN_STEPS,
            step_size=FIRST_STEP_SIZE,
            adapt_mass_matrix=False,
            target_accept_prob=TARGET_ACCEPTANCE,
            num_steps=LEAPFROG_STEPS,
            rng_key=key,
        )

        def advance(state, _):
            state = step(state)
            return state, state.z

        return jax.lax.scan(advance, state, None, BURNIN_STEPS + num_samples)[1][BURNIN_STEPS:]

    keys = jax.random.split(key, z.shape[:2])
    of_examples = jax.vmap(chain, out_axes=1)
    return jax.vmap(of_examples, (0, None, 0), out_axes=1)(z, x, keys)
