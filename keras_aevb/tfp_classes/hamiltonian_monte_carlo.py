"""Hamiltonian Monte Carlo as a transition kernel."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from keras_aevb._backend import tfd, tfp
from keras_aevb.tfp_classes.normal import Normal
from keras_aevb.typing import Tensor


class State(NamedTuple):
    """The state that a transition passes to the next one, besides z.

    Attributes:
        log_density: log p(x, z) of shape `[..., B]`.
        gradient: its gradient, shaped like z.
        log_accept_ratio: logarithm of the last acceptance ratio, of shape `[..., B]`.
        step_size: ε.
    """

    log_density: Tensor
    gradient: Tensor
    log_accept_ratio: Tensor
    step_size: Tensor


class HamiltonianMonteCarlo(tfp.mcmc.TransitionKernel):
    r"""Leapfrog steps, then Metropolis–Hastings, as a kernel for `tfp.mcmc.sample_chain`.

    $$p \leftarrow p + \tfrac{ε}{2} \nabla \log p(x, z), \qquad z \leftarrow z + ε p, \qquad
    p \leftarrow p + \tfrac{ε}{2} \nabla \log p(x, z)$$

    from a momentum p ~ N(0, I). TFP's own kernel computes log p(x, z) in each leapfrog step. Here
    all steps but the last compute only its gradient, which takes three quarters of the time for the
    paper's Bernoulli decoder.

    Args:
        log_density: function from z of shape `[..., B, *z_shape]` to nats of shape `[..., B]`.
        step_size: ε, a scalar, or a tensor that broadcasts against z.
        num_leapfrog_steps: steps in one trajectory.

    Reference: Duane, Kennedy, Pendleton & Roweth (1987).
    """

    def __init__(
        self, log_density: Callable[[Tensor], Tensor], step_size: Tensor, num_leapfrog_steps: int
    ) -> None:
        self.log_density = log_density
        self.step_size = step_size
        self.num_leapfrog_steps = num_leapfrog_steps

    @property
    def is_calibrated(self) -> bool:
        return True

    def bootstrap_results(self, z: Tensor) -> State:
        log_density, gradient = self._value_and_gradient(z)
        step_size = ops.cast(self.step_size, z.dtype)
        return State(log_density, gradient, ops.zeros_like(log_density), step_size)

    def one_step(self, z: Tensor, state: State, seed: Any = None) -> tuple[Tensor, State]:
        momentum_seed, uniform_seed = tfp.random.split_seed(seed, 2)
        step_size = state.step_size

        def kick(momentum: Tensor, gradient: Tensor, fraction: float = 1.0) -> Tensor:
            return momentum + fraction * step_size * gradient

        def leap(_: Any, phase: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            z, momentum = phase
            z = z + step_size * momentum
            return z, kick(momentum, self._value_and_gradient(z)[1])

        start = Normal(ops.zeros_like(z), 1.0).sample(seed=momentum_seed)
        phase = z, kick(start, state.gradient, 0.5)
        new_z, momentum = ops.fori_loop(0, self.num_leapfrog_steps - 1, leap, phase)
        new_z = new_z + step_size * momentum
        log_density, gradient = self._value_and_gradient(new_z)
        end = kick(momentum, gradient, 0.5)

        chain_axes = len(log_density.shape)
        axes = tuple(range(chain_axes, len(z.shape)))
        kinetic_energy_lost = 0.5 * ops.sum(ops.square(start) - ops.square(end), axis=axes)
        log_ratio = log_density - state.log_density + kinetic_energy_lost
        # NaN if the steps were far too long.
        log_ratio = ops.where(ops.isnan(log_ratio), -math.inf, log_ratio)
        uniform = tfd.Uniform(ops.zeros_like(log_ratio), 1.0)
        accepted = ops.log(uniform.sample(seed=uniform_seed)) < log_ratio  # [..., B]
        accepted_z = ops.expand_dims(accepted, axes)
        return ops.where(accepted_z, new_z, z), State(
            ops.where(accepted, log_density, state.log_density),
            ops.where(accepted_z, gradient, state.gradient),
            log_ratio,
            step_size,
        )

    def _value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        # XLA removes an unused output.
        return tfp.math.value_and_gradient(self.log_density, z)
