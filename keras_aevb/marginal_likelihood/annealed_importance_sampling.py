"""Annealed importance sampling from the prior to the posterior."""

import math
from typing import Any

import keras
from keras import ops

from keras_aevb import _backend, hmc
from keras_aevb._backend import tfp
from keras_aevb.marginal_likelihood.base import CHUNK_SIZE, Estimator
from keras_aevb.marginal_likelihood.log_mean import RunningMean, log_mean_exp
from keras_aevb.typing import Decode, Distribution, Tensor, Terms
from keras_aevb.unconstrained import UnconstrainedPrior, unconstrained

# The powers (k/K)^5 of the likelihood are dense near 0: Friel & Pettitt (2008), sec. 3.
SCHEDULE_POWER = 5
FIRST_STEP_SIZE = 0.5
# Chains that only adapt the step size; leaving them out keeps the estimate unbiased.
NUM_ADAPTATION_CHAINS = 4


@keras.saving.register_keras_serializable(package="keras_aevb")
class AnnealedImportanceSampling(Estimator):
    r"""Annealed importance sampling: chains from the prior p(z) to the posterior p(z|x) in K steps.

    $$\log p(x) \approx \log \frac1L \sum_l \prod_{k=1}^K p(x|z_{l,k-1})^{β_k - β_{k-1}},
    \qquad β_k = (k/K)^5$$

    with $z_{l,0} \sim p(z)$ and $z_{l,k}$ from an HMC transition that leaves p(z) p(x|z)^{β_k}
    invariant. It needs no recognition model. The mean of the estimate is a lower bound on
    log p(x). The standard error comes from the spread of the L chains' weights.

    Additional chains adapt a step size for each example. The estimate leaves them out, so E[w]
    is exactly p(x). More than 50 chains run in blocks, one after another. HMC moves in
    unconstrained coordinates of z (`keras_aevb.unconstrained`).

    Args:
        num_samples: L ≥ 1, the number of independent chains for each example.
        num_steps: K, the number of transitions of a chain.
        num_leapfrog_steps: leapfrog steps in a transition.

    Raises:
        ValueError: if an argument is not a positive integer; when called, if HMC cannot sample
            p(z), for example because it is discrete.

    Reference: Neal (2001), Annealed importance sampling; Friel & Pettitt (2008), sec. 3.

    Example:
        >>> AnnealedImportanceSampling(num_steps=500).get_config()
        {'num_samples': 10, 'num_steps': 500, 'num_leapfrog_steps': 4}
    """

    num_steps: int
    num_leapfrog_steps: int

    def __init__(
        self, num_samples: int = 10, num_steps: int = 300, num_leapfrog_steps: int = 4
    ) -> None:
        super().__init__(num_samples, num_steps=num_steps, num_leapfrog_steps=num_leapfrog_steps)

    def __call__(
        self, x: Tensor, q: Distribution | None, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        p_u, decode = unconstrained(prior, decode)
        num_blocks = math.ceil(self.num_samples / CHUNK_SIZE)
        num_chains = math.ceil(self.num_samples / num_blocks)

        def log_weights(seed: Tensor) -> Tensor:
            return self._log_weights(x, p_u, decode, num_chains, seed)

        if num_blocks == 1:
            log_likelihood, standard_error = log_mean_exp(log_weights(seed))
            return {"log_likelihood": log_likelihood, "standard_error": standard_error}

        seeds = ops.stack(tfp.random.split_seed(seed, num_blocks))

        def add_block(i: Any, mean: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            included = i * num_chains + ops.arange(num_chains, dtype="int32") < self.num_samples
            return tuple(RunningMean(*mean).updated(log_weights(seeds[i]), included))

        initial = tuple(RunningMean.empty(ops.shape(x)[0], x.dtype))
        mean = RunningMean(*ops.fori_loop(0, num_blocks, add_block, initial))
        return {"log_likelihood": mean.log_mean, "standard_error": mean.standard_error}

    def _log_weights(
        self, x: Tensor, prior: UnconstrainedPrior, decode: Decode, num_chains: int, seed: Tensor
    ) -> Tensor:
        """log w of the chains, of shape `[num_chains, B]`; other chains adapt the step size."""
        batch_size = ops.shape(x)[0]
        seeds = ops.stack(tfp.random.split_seed(seed, self.num_steps + 1))
        shape = [NUM_ADAPTATION_CHAINS + num_chains] + [batch_size] * (not len(prior.batch_shape))
        u = prior.sample(shape, seed=seeds[-1])
        powers = [(k / self.num_steps) ** SCHEDULE_POWER for k in range(self.num_steps + 1)]
        powers = ops.array(powers, u.dtype)
        step_size_shape = (batch_size, *[1] * len(prior.event_shape))

        def anneal(k: Any, state: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            u, log_weights, step_size = state
            power, previous = powers[k + 1], powers[k]

            def log_density(u: Tensor) -> Tensor:
                return prior.log_prob(u) + power * decode(u).log_prob(x)

            log_weights += (power - previous) * decode(u).log_prob(x)
            u, acceptance = hmc.transition(
                log_density, u, step_size, self.num_leapfrog_steps, seeds[k]
            )
            acceptance = _backend.mean(acceptance[:NUM_ADAPTATION_CHAINS], axis=0)
            acceptance = ops.reshape(acceptance, step_size_shape)
            return u, log_weights, hmc.adapted(step_size, acceptance)

        log_weights = ops.zeros_like(prior.log_prob(u))  # [all chains, B]
        step_size = ops.full(step_size_shape, FIRST_STEP_SIZE, dtype=u.dtype)
        state = ops.fori_loop(0, self.num_steps, anneal, (u, log_weights, step_size))
        return state[1][NUM_ADAPTATION_CHAINS:]

    def check(self, q: Distribution | None, prior: Distribution) -> None:
        """Raises a `ValueError` for a prior that HMC cannot sample."""
        UnconstrainedPrior(prior)
