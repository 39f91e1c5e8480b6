"""Monte Carlo EM."""

from collections.abc import Callable
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments, hmc
from keras_aevb._backend.keras_private import clear_losses
from keras_aevb.batches import RowBatches
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.priors import Prior
from keras_aevb.models.latent_variable_model import LatentVariableModel, ModelArguments
from keras_aevb.typing import Config, Objective, Seed, Shape, Tensor, Terms
from keras_aevb.unconstrained import UnconstrainedPrior, unconstrained

# Transitions of the chains that `evaluate` starts from p(z).
EVALUATION_TRANSITIONS = 10


@keras.saving.register_keras_serializable(package="keras_aevb")
class MonteCarloEM(LatentVariableModel):
    r"""Trains p(x, z) on samples of p(z|x) from Hamiltonian Monte Carlo, without an encoder.

    $$\text{E:} \quad z_i \sim p_θ(z|x_i), \qquad
    \text{M:} \quad \max_θ \; \frac1M \sum_i \log p_θ(x_i, z_i)$$

    Each training example has its own chain, which starts from p(z) and persists across batches. A
    training step on M examples makes one transition of their chains, adapts their step size ε to an
    acceptance rate of 0.9, and makes a few optimizer updates of θ with the new z.

    Chain i belongs to row i of the arrays passed to `fit`, in whatever order batches visit it. A
    stream must yield the indices in place of labels: `(x, i)` with i of shape `[B]` in 0 … N - 1.
    If a batch contains an example twice, two transitions start from the same z; both train θ, and
    the chain continues from the last.

    `chains` stores z. HMC runs in unconstrained coordinates u of the prior's support, so z stays
    inside the support, up to rounding; for a normal prior, u is z. For other priors the curvature
    varies with u: each transition then shortens ε by a random factor, so that a chain for which ε
    is too long still moves. The support must not depend on the prior's trainable weights, because
    the M step holds z fixed.

    The logs report `log_joint`, the mean of log p(x, z); `reconstruction`, the mean of log p(x|z);
    `acceptance_rate` and `hmc_step_size`. New examples have no chains: `evaluate` starts a
    temporary one for each from p(z) and makes 10 transitions at the current step size. These chains
    have not converged to p(z|x), so their `log_joint` does not estimate log p(x).

    Args:
        decoder: Keras model from z to features.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z).
        num_leapfrog_steps: leapfrog steps per transition.
        updates_per_sample: optimizer updates after each transition.
        initial_step_size: initial ε, in units of u.
        n_train: number of training examples N. Default: the length of the arrays passed to `fit`.
            Required if `fit` receives a stream.
        seed: integer that fixes the noise of training and evaluation. Default: a random one.

    Raises:
        ValueError: if a number is not positive, a part does not accept the output of the previous
            one, or the prior has no unconstrained coordinates, for example if it is discrete.

    Reference: Kingma & Welling (2013), App. E.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> parts = kv.networks.bernoulli_mlp(64, latent_dim=2, hidden_units=32, recognition=False)
        >>> model = kv.MonteCarloEM(**parts)
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).random((100, 64))
        >>> sorted(model.fit(x, batch_size=20, verbose=0).history)
        ['acceptance_rate', 'hmc_step_size', 'log_joint', 'loss', 'reconstruction']
        >>> model.chains.numpy().shape
        (100, 2)
    """

    maximize = ("log_joint", "reconstruction")

    def __init__(
        self,
        decoder: keras.Layer,
        likelihood: ConditionalDistribution,
        prior: Prior,
        num_leapfrog_steps: int = 10,
        updates_per_sample: int = 5,
        initial_step_size: float = 0.1,
        n_train: int | None = None,
        seed: Seed = None,
        **kwargs: Unpack[ModelArguments],
    ) -> None:
        if n_train is not None:
            n_train = arguments.integer("n_train", n_train)
        if kwargs.get("condition") is not None:
            raise ValueError(
                "MonteCarloEM takes no condition, because it uses y for the indices of its chains. "
                f"Expected condition=None. Received: {kwargs['condition']}"
            )
        terms = (*self.maximize, "acceptance_rate", "hmc_step_size")
        super().__init__(decoder, likelihood, prior, terms, seed, **kwargs)
        UnconstrainedPrior(prior.distribution())  # raises if HMC cannot sample it
        self.num_leapfrog_steps = arguments.integer("num_leapfrog_steps", num_leapfrog_steps)
        self.updates_per_sample = arguments.integer("updates_per_sample", updates_per_sample)
        self.initial_step_size = float(arguments.number("initial_step_size", initial_step_size))
        self.n_train: int | None = None
        self.hmc_step_size = self._state("hmc_step_size", (), lambda: initial_step_size)
        if n_train is not None:
            self._start_chains(n_train)

    def _start_chains(self, n_train: int) -> None:
        self.n_train = int(n_train)
        self.chains = self._state(
            "chains",
            (n_train, *self.prior.event_shape),
            lambda: self.prior.distribution().sample(self.n_train, seed=self.next_seed()),
        )

    def _state(self, name: str, shape: Shape, value: Callable[[], Any]) -> keras.Variable:
        return self.add_weight(
            shape,
            initializer=lambda shape, dtype: ops.cast(value(), dtype),
            dtype=self.prior.density_dtype,
            trainable=False,
            name=name,
        )

    # Training

    def check_ready(self, training: bool = True, class_weight: Any = None) -> None:
        if class_weight is not None:
            raise ValueError(
                "A stream's labels are the indices of MonteCarloEM's chains. Expected sample "
                f"weights in the stream. Received: class_weight={class_weight}"
            )
        if training and self.n_train is None:
            raise ValueError(
                "The number of chains is unknown for a stream of batches. Expected "
                "`MonteCarloEM(..., n_train=N)`. Received: n_train=None"
            )
        if training and _backend.has_replicas(self):
            raise ValueError(
                "MonteCarloEM's chains are one variable, which the replicas of a tf.distribute "
                "strategy would overwrite. Expected a model built outside the strategy's scope. "
                f"Received: {type(self.distribute_strategy).__name__}"
            )

    def check_batch(self, x: Any, y: Any, sample_weight: Any, training: bool = True) -> None:
        super().check_batch(x, y, sample_weight, training)
        if not training:
            return
        self.check_ready()
        if y is None:
            raise ValueError(
                "Expected a stream to yield (x, index of each example). Received: no index"
            )
        index = np.asarray(y)
        if (
            index.dtype.kind not in "iu"
            or index.shape not in ((len(x),), (len(x), 1))
            or not (index.min() >= 0 and index.max() < self.n_train)
        ):
            raise ValueError(
                "Expected the index of each example in place of labels: integers from 0 to "
                f"{self.chains.shape[0] - 1}. Received: "
                f"{index.dtype} of shape {index.shape}, {index}"
            )

    def check_rows(self, batches: RowBatches, training: bool = True) -> None:
        super().check_rows(batches, training)
        if not training:
            return
        index = np.ravel(batches.arrays[1])
        different = len(np.unique(index))
        if different < len(index):
            raise ValueError(
                "Expected the index of each example in place of labels, each once. Received: "
                f"{different} different numbers for {len(index)} examples"
            )

    def adapt(self, x: Tensor) -> None:
        if self.n_train is None:
            self._start_chains(len(x))
        if self.n_train != len(x):
            raise ValueError(
                f"Expected {self.n_train} examples, one for each chain. Received: {len(x)}. "
                "Another training set needs new chains; to keep the weights, use "
                "`MonteCarloEM(model.decoder, model.likelihood, model.prior)`"
            )

    @_backend.step
    def train_step(self, data: Any) -> Any:
        """One transition, then the updates of θ; on JAX a pure function of the variables."""
        x, index, sample_weight = self._unpack(data)
        index = ops.reshape(ops.cast(index, "int32"), (-1,))  # [B]
        z, statistics = self._run_chains(x, ops.take(self.chains, index, axis=0), 1)
        self._store(index, z)
        acceptance_rate = _backend.mean(statistics["acceptance_rate"])
        self.hmc_step_size.assign(hmc.adapted(self.hmc_step_size, acceptance_rate))

        def loss() -> Tensor:
            clear_losses(self)
            return self._mean_loss(x, *self._complete_data(x, z, statistics, True), sample_weight)

        for _ in range(self.updates_per_sample):
            _backend.minimize(self, loss)
        return self.get_metrics_result()

    def _store(self, index: Tensor, z: Tensor) -> None:
        """Writes z to the chains; of a repeated index, the last occurrence counts."""
        last = ops.segment_max(ops.arange(ops.shape(index)[0]), index, num_segments=self.n_train)
        z = ops.take(z, ops.take(last, index), axis=0)
        self.chains.assign(ops.scatter_update(self.chains, index[:, None], z))

    # Training and evaluation

    def objective(self, x: Tensor, training: bool) -> Objective:
        """-log p(x, z) for each example, with z at the end of a new chain."""
        z = self.sample_prior(ops.shape(x)[0], self.next_seed())
        z, statistics = self._run_chains(x, z, EVALUATION_TRANSITIONS)
        return self._complete_data(x, z, statistics, training)

    def _run_chains(self, x: Tensor, z: Tensor, num_transitions: int) -> tuple[Tensor, Terms]:
        """z after the transitions, and statistics of the last one, each of shape `[B]`."""
        prior, decode = unconstrained(self.prior.distribution(), self.decode)
        log_density = hmc.joint_log_density(x, prior, decode)
        step_size = ops.copy(self.hmc_step_size)
        used = step_size
        if not prior.is_identity:
            used = hmc.varied(step_size, ops.shape(x)[0], len(prior.event_shape), self.next_seed())
        u, acceptance = hmc.transitions(
            log_density,
            prior.to_u(z),
            used,
            self.num_leapfrog_steps,
            self.next_seed(),
            num_transitions,
        )
        statistics = {
            "acceptance_rate": acceptance,
            "hmc_step_size": ops.full_like(acceptance, step_size),
        }
        return ops.stop_gradient(prior.to_z(u)), statistics

    def _complete_data(self, x: Tensor, z: Tensor, statistics: Terms, training: bool) -> Objective:
        """-log p(x, z) of shape `[B]`, and the terms for the logs."""
        reconstruction = self.decode(z, training).log_prob(x)
        log_joint = self.prior.distribution().log_prob(z) + reconstruction
        terms = {"log_joint": log_joint, "reconstruction": reconstruction, **statistics}
        return Objective(-log_joint, terms)

    def call(self, x: Tensor, training: bool = False) -> Any:
        """Raises an error: without q(z|x) the model cannot predict."""
        raise NotImplementedError(
            "MonteCarloEM has no recognition model q(z|x), so it cannot predict. Use `sample`, "
            "`sample_joint` or `decode`; `chains` has a z for each training example"
        )

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "num_leapfrog_steps": self.num_leapfrog_steps,
            "updates_per_sample": self.updates_per_sample,
            "initial_step_size": self.initial_step_size,
            "n_train": self.n_train,
        }
