"""Hamiltonian Monte Carlo on p(z|x), which is known up to p(x): log p(x, z) is all it takes.

Reference: Duane, Kennedy, Pendleton & Roweth (1987); Kingma & Welling (2013), App. D and E.

Symbols: B examples, each with chains of its own; C chains for each example.
"""

from keras import ops

from keras_aevb._backend import tfp

TARGET_ACCEPTANCE = 0.9
STEP_SIZE_FACTOR = 1.02


def joint_log_density(x, prior, decode):
    """log p(x, z) = log p(z) + log p(x|z) as a function of z.

    Args:
        x: data of shape `[B, *event_shape]`.
        prior: TFP distribution p(z) of batch shape `[]`.
        decode: function from z to the TFP distribution p(x|z).

    Returns:
        Function from z of shape `[..., B, *z_shape]` to nats of shape `[..., B]`.
    """
    return lambda z: prior.log_prob(z) + decode(z).log_prob(x)


def transition(log_density, z, step_size, num_leapfrog_steps, seed):
    """One transition of every chain: leapfrog steps, then Metropolis–Hastings.

    Args:
        log_density: function from z of shape `[..., B, *z_shape]` to nats of shape `[..., B]`.
        z: where the chains are.
        step_size: ε of the leapfrog steps, a scalar, or a tensor that broadcasts against z.
        num_leapfrog_steps: steps in one trajectory.
        seed: TFP seed.

    Returns:
        Where the chains go, shaped like z, and the acceptance probability, of shape `[..., B]`.
    """
    kernel = tfp.mcmc.HamiltonianMonteCarlo(log_density, step_size, num_leapfrog_steps)
    z, results = kernel.one_step(z, kernel.bootstrap_results(z), seed=seed)
    return z, ops.exp(ops.minimum(results.log_accept_ratio, 0.0))


def transitions(log_density, z, step_size, num_leapfrog_steps, seed, num_transitions):
    """`num_transitions` ≥ 1 of them, one after another.

    Returns:
        Where the chains end, shaped like z, and the last acceptance probability, of shape
        `[..., B]`.
    """
    seeds = ops.stack(tfp.random.split_seed(seed, num_transitions))

    def advance(i, state):
        return transition(log_density, state[0], step_size, num_leapfrog_steps, seeds[i])

    return ops.fori_loop(0, num_transitions, advance, (z, ops.zeros_like(log_density(z))))


def adapted(step_size, acceptance):
    """The next step size: a little longer above `TARGET_ACCEPTANCE`, a little shorter below.

    Args:
        step_size: ε.
        acceptance: acceptance probability, of ε's shape.

    Returns:
        ε · `STEP_SIZE_FACTOR` or ε / `STEP_SIZE_FACTOR`, of ε's shape.
    """
    longer = ops.cast(acceptance > TARGET_ACCEPTANCE, step_size.dtype)
    return step_size * STEP_SIZE_FACTOR ** (2 * longer - 1)
