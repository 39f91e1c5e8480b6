"""The paper's estimator: a density fitted to samples of the posterior."""

import math
import warnings

import keras
from keras import ops

from keras_aevb import hmc, tfp_classes
from keras_aevb._backend import tfd, tfp
from keras_aevb.condition import current_features
from keras_aevb.distributions.likelihoods import log_prob_of_pairs
from keras_aevb.marginal_likelihood.base import Estimator
from keras_aevb.marginal_likelihood.kernel_density import KernelDensity
from keras_aevb.marginal_likelihood.log_mean import log_mean_exp
from keras_aevb.typing import Decode, Distribution, Tensor, Terms
from keras_aevb.unconstrained import UnconstrainedPrior, unconstrained

RELIABLE_BELOW = 5
FIRST_STEP_SIZE = 0.1
# Samples of the prior among which the chains' starting points are chosen. A chain cannot leave a
# wrong mode; this number finds every mode of a narrow posterior in three dimensions.
NUM_CANDIDATES = 10_000
# Candidates evaluated at once: enough for fast matrix products.
CANDIDATE_CHUNK_SIZE = 250


@keras.saving.register_keras_serializable(package="keras_aevb")
class PosteriorDensity(Estimator):
    r"""The paper's estimator, from a density q(z) fitted to samples of the posterior.

    1. Sample p(z|x) by HMC.
    2. Fit a kernel density q(z) to the samples.
    3. Draw new samples $z_l$ of p(z|x) by HMC, and compute

    $$\log p(x) \approx -\log \frac1L \sum_l \frac{q(z_l)}{p(z_l) p(x|z_l)},
    \qquad z_l \sim p(z|x)$$

    Also known as reciprocal importance sampling. It never uses a recognition model. It is reliable
    below 5 latent dimensions.

    Chains and density use unconstrained coordinates u (`keras_aevb.unconstrained`): for z > 0, u
    ranges over ℝ. For a normal prior u is z.

    The chains of steps 1 and 3 are independent and run side by side. They start at samples of the
    prior, chosen with probabilities proportional to p(x|z). The burn-in adapts each example's step
    size to an acceptance of 90 %; afterwards it is fixed. The standard error comes from the spread
    between the C chains of step 3, and has C - 1 degrees of freedom.

    Chains do not move between distant modes of the posterior. With ten chains, errors can then
    exceed a nat, and the standard error does not show it.

    Args:
        num_samples: L, the number of samples for each example, in step 1 and again in step 3;
            rounded up to a multiple of `num_chains`.
        num_chains: independent chains for each example, in step 1 and again in step 3; at least 2.
        num_burnin_steps: transitions of a chain before its first sample.
        num_leapfrog_steps: leapfrog steps in a transition.

    Raises:
        ValueError: if an argument is not a positive integer, or there is only one chain; when
            called, if HMC cannot sample p(z), for example because it is discrete.

    Reference: Kingma & Welling (2013), App. D; Gelfand & Dey (1994), eq. 24.

    Example:
        >>> PosteriorDensity(num_chains=5).get_config()["num_leapfrog_steps"]
        4
    """

    num_chains: int
    num_burnin_steps: int
    num_leapfrog_steps: int

    def __init__(
        self,
        num_samples: int = 50,
        num_chains: int = 10,
        num_burnin_steps: int = 20,
        num_leapfrog_steps: int = 4,
    ) -> None:
        super().__init__(
            num_samples,
            num_chains=num_chains,
            num_burnin_steps=num_burnin_steps,
            num_leapfrog_steps=num_leapfrog_steps,
        )
        if num_chains < 2:
            raise ValueError(f"Expected `num_chains` to be at least 2. Received: {num_chains}")

    def __call__(
        self, x: Tensor, q: Distribution | None, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        p_u, decode = unconstrained(prior, decode)
        u, log_joint = self._posterior_samples(x, p_u, decode, seed)  # [S, 2C, B, ...]
        shape = (u.shape[0] * self.num_chains, -1, math.prod(p_u.event_shape))  # [SC, B, D]
        first, new = (
            ops.transpose(ops.reshape(group, shape), (1, 0, 2))  # [B, SC, D]
            for group in ops.split(u, 2, axis=1)
        )
        chains = ops.tile(ops.arange(self.num_chains), u.shape[0])
        log_q = ops.transpose(KernelDensity(first, chains).log_prob(new))  # [SC, B]
        log_p = log_joint[:, self.num_chains :]  # [S, C, B]
        log_weights = ops.reshape(log_q, ops.shape(log_p)) - log_p
        log_means = ops.logsumexp(log_weights, axis=0) - math.log(u.shape[0])  # [C, B]
        log_reciprocal, standard_error = log_mean_exp(log_means)
        return {"log_likelihood": -log_reciprocal, "standard_error": standard_error}

    def _posterior_samples(
        self, x: Tensor, prior: UnconstrainedPrior, decode: Decode, seed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Samples of both groups of chains, and log p(x, u) of each."""
        start_seed, chain_seed = tfp.random.split_seed(seed, 2)
        starts = likely_points(x, prior, decode, 2 * self.num_chains, start_seed)
        step_size_shape = (1, ops.shape(x)[0], *[1] * len(prior.event_shape))
        kernel = tfp.mcmc.DualAveragingStepSizeAdaptation(
            tfp_classes.HamiltonianMonteCarlo(
                hmc.joint_log_density(x, prior, decode),
                ops.full(step_size_shape, FIRST_STEP_SIZE, dtype=starts.dtype),
                self.num_leapfrog_steps,
            ),
            num_adaptation_steps=self.num_burnin_steps,
            target_accept_prob=hmc.TARGET_ACCEPTANCE,
        )
        return tfp.mcmc.sample_chain(
            math.ceil(self.num_samples / self.num_chains),
            starts,
            kernel=kernel,
            num_burnin_steps=self.num_burnin_steps,
            trace_fn=lambda u, r: (u, r.inner_results.log_density),
            seed=chain_seed,
        ).trace

    def check(self, q: Distribution | None, prior: Distribution) -> None:
        """Warns if the paper's estimator is unreliable.

        Raises:
            ValueError: for a prior that HMC cannot sample.
        """
        dim = math.prod(UnconstrainedPrior(prior).event_shape)
        if dim >= RELIABLE_BELOW:
            warnings.warn(
                f"PosteriorDensity is reliable below {RELIABLE_BELOW} latent dimensions (Kingma & "
                f"Welling, 2013, App. D). Received: a prior of {dim} dimensions. Use "
                "'importance' or 'annealed' instead",
                stacklevel=4,
            )


def likely_points(
    x: Tensor, prior: UnconstrainedPrior, decode: Decode, n: int, seed: Tensor
) -> Tensor:
    """Chooses n samples of the prior for each example, with probabilities proportional to p(x|z).

    All examples share the candidates, unless the prior is p(z|y).

    Returns:
        Tensor of shape `[n, B, *z_shape]`.
    """
    prior_seed, choice_seed = tfp.random.split_seed(seed, 2)
    chunks = NUM_CANDIDATES // CANDIDATE_CHUNK_SIZE, CANDIDATE_CHUNK_SIZE
    z = prior.sample(chunks, seed=prior_seed)
    if current_features() is None:
        log_likelihoods = ops.map(lambda z: log_prob_of_pairs(decode(z), x), z)
    else:  # p(x|z, y) differs between examples
        if not len(prior.batch_shape):
            z = ops.expand_dims(z, 2)
        z = ops.broadcast_to(z, (*chunks, ops.shape(x)[0], *prior.event_shape))
        log_likelihoods = ops.map(lambda z: decode(z).log_prob(x), z)
    logits = ops.reshape(log_likelihoods, (NUM_CANDIDATES, -1))  # [candidates, B]
    # Inverting the cumulative distribution function takes one random number per draw.
    cumulative = ops.cumsum(ops.softmax(logits, axis=0), axis=0)
    uniform = tfd.Uniform(high=cumulative[-1])
    below = cumulative[:, None] < uniform.sample(n, seed=choice_seed)  # [candidates, n, B]
    chosen = ops.sum(ops.cast(below, "int32"), axis=0)  # [n, B]
    candidates = ops.reshape(z, (NUM_CANDIDATES, *z.shape[2:]))
    if current_features() is None:
        return ops.take(candidates, chosen, axis=0)
    axes = tuple(range(2, len(candidates.shape)))
    return ops.take_along_axis(candidates, ops.expand_dims(chosen, axes), axis=0)
