"""Hamiltonian Monte Carlo on p(z|x). It needs only log p(x, z).

Reference: Duane, Kennedy, Pendleton & Roweth (1987); Kingma & Welling (2013), App. D and E.

Symbols: B examples.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from keras import ops

from keras_aevb import tfp_classes
from keras_aevb._backend import tfd, tfp
from keras_aevb.typing import Decode, Distribution, Tensor
from keras_aevb.unconstrained import UnconstrainedPrior

LogDensity: TypeAlias = Callable[[Tensor], Tensor]

TARGET_ACCEPTANCE = 0.9
STEP_SIZE_FACTOR = 1.02


def joint_log_density(
    x: Tensor, prior: Distribution | UnconstrainedPrior, decode: Decode
) -> LogDensity:
    """log p(x, z) = log p(z) + log p(x|z) as a function of z.

    Args:
        x: data of shape `[B, *event_shape]`.
        prior: p(z) of batch shape `[]`, or p(z|y) of batch shape `[B]`; or p(u) of either.
        decode: function from z to the TFP distribution p(x|z).

    Returns:
        Function from z of shape `[..., B, *z_shape]` to nats of shape `[..., B]`.
    """
    return lambda z: prior.log_prob(z) + decode(z).log_prob(x)


def transition(
    log_density: LogDensity, z: Tensor, step_size: Tensor, num_leapfrog_steps: int, seed: Tensor
) -> tuple[Tensor, Tensor]:
    """One transition of every chain.

    Args:
        log_density, step_size, num_leapfrog_steps: as for `tfp_classes.HamiltonianMonteCarlo`.
        z: current states of the chains.
        seed: TFP seed.

    Returns:
        The new states, shaped like z, and the acceptance probability, of shape `[..., B]`.
    """
    z = ops.convert_to_tensor(z)
    kernel = tfp_classes.HamiltonianMonteCarlo(log_density, step_size, num_leapfrog_steps)
    z, state = kernel.one_step(z, kernel.bootstrap_results(z), seed=seed)
    return z, ops.exp(ops.minimum(state.log_accept_ratio, 0.0))


def transitions(
    log_density: LogDensity,
    z: Tensor,
    step_size: Tensor,
    num_leapfrog_steps: int,
    seed: Tensor,
    num_transitions: int,
) -> tuple[Tensor, Tensor]:
    """`num_transitions` ≥ 1 transitions of every chain, one after another.

    Returns:
        The last states, shaped like z, and the last acceptance probability, of shape `[..., B]`.
    """
    seeds = ops.stack(tfp.random.split_seed(seed, num_transitions))

    def advance(i: Any, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return transition(log_density, state[0], step_size, num_leapfrog_steps, seeds[i])

    return ops.fori_loop(0, num_transitions, advance, (z, ops.zeros_like(log_density(z))))


def adapted(step_size: Tensor, acceptance: Tensor) -> Tensor:
    """The next step size: a little longer above `TARGET_ACCEPTANCE`, a little shorter below.

    Args:
        step_size: ε.
        acceptance: acceptance probability, of ε's shape.

    Returns:
        ε · `STEP_SIZE_FACTOR` or ε / `STEP_SIZE_FACTOR`, of ε's shape.
    """
    longer = ops.cast(acceptance > TARGET_ACCEPTANCE, step_size.dtype)
    return step_size * STEP_SIZE_FACTOR ** (2 * longer - 1)


def varied(step_size: Tensor, batch_size: Any, rank: int, seed: Tensor) -> Tensor:
    r"""Random step sizes up to ε, one for each example: ε min(1, 2v)² with v ~ U(0, 1).

    Where the curvature of the density varies, an ε that suits most chains is too long for others.
    With a fixed ε these would reject every proposal.

    Args:
        step_size: ε, a scalar.
        batch_size: B.
        rank: number of axes of one z.
        seed: TFP seed.

    Returns:
        Tensor of shape `[B, 1, …]`, which broadcasts against z.

    Reference: Neal (2011), MCMC using Hamiltonian dynamics, sec. 5.4.2.2.
    """
    zeros = ops.zeros((batch_size, *[1] * rank), step_size.dtype)
    uniform = tfd.Uniform(zeros, 1.0).sample(seed=seed)
    return step_size * ops.square(ops.minimum(2 * uniform, 1.0))
