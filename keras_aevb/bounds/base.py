"""The base class of all bounds."""

from typing import Any, Self, Unpack

import keras
from keras import ops

from keras_aevb import arguments
from keras_aevb._backend import tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.precision import check_precision
from keras_aevb.outputs import check_terms
from keras_aevb.typing import Config, Decode, Distribution, LayerArguments, Schedule, Tensor, Terms


class Bound(keras.layers.Layer):
    """An estimator of a lower bound on log p(x) from L samples of z.

    A subclass implements `__call__`, and `get_config` if its constructor takes more arguments. A
    bound is a Keras layer whose variables belong to the model: compiled steps read them, training
    updates the trainable ones, and saving stores them. Any other attribute is a constant of the
    compiled step; `fit` compiles again when it changes.

    The model reports the term named by `objective` and maximises the term named by `surrogate`,
    which may have another value or gradient. By default both are the same term. The class attribute
    `terms` names the terms of the logs: `terms = (*kv.Bound.terms, "distance")` adds one. Other
    terms are not logged.

    To change a number during training, use a schedule of the training step, as below, or a variable
    that a callback assigns: `self.add_weight((), initializer="ones", trainable=False)`.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `num_samples` is not a positive integer, or densities cannot be computed in
            the layer's precision.

    Example:
        >>> import keras_aevb as kv
        >>> @keras.saving.register_keras_serializable("my_package")
        ... class Tempered(kv.Bound):
        ...     surrogate = "tempered"
        ...
        ...     def __init__(self, beta=1.0, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.beta = self.scheduled("beta", beta)
        ...
        ...     def __call__(self, x, q, prior, decode, seed):
        ...         z = q.sample(self.num_samples, seed=seed)
        ...         reconstruction = keras.ops.mean(decode(z).log_prob(x), axis=0)
        ...         kl = q.kl_divergence(prior)
        ...         tempered = reconstruction - self.now(self.beta) * kl
        ...         elbo = reconstruction - kl
        ...         terms = {"elbo": elbo, "reconstruction": reconstruction, "kl": kl}
        ...         return {**terms, "tempered": tempered}
        ...
        ...     def get_config(self):
        ...         return {**super().get_config(), "beta": self.beta}
        >>> warmup = keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 1.0)
        >>> parts = kv.networks.bernoulli_mlp(16, latent_dim=2)
        >>> model = kv.AEVB(**parts, bound=Tempered(beta=warmup))
    """

    # The term that is the bound, and the term that training maximises (`None`: the same).
    objective = "elbo"
    surrogate: str | None = None
    # The names of the terms in the logs.
    terms: tuple[str, ...] = ("elbo", "reconstruction", "kl")
    # Whether the gradient in q's parameters passes through the samples z.
    reparameterized = True

    def __init__(self, num_samples: int = 1, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        check_precision(self)
        self.num_samples = arguments.integer("num_samples", num_samples)
        self.step = None
        self.built = True

    def __call__(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        """The bound and its terms for each example.

        Args:
            x: data of shape `[B, *event_shape]`.
            q: TFP distribution q(z|x) of batch shape `[B]`.
            prior: TFP distribution p(z) of batch shape `[]`, or p(z|y) of batch shape `[B]`.
            decode: function from z of shape `[L, B, ...]` to the TFP distribution p(x|z).
            seed: TFP seed of the samples.

        Returns:
            Dict from each of `terms`, and from `surrogate`, to a tensor of shape `[B]`, in nats.
        """
        raise NotImplementedError

    def evaluated(
        self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        """Calls the bound and validates its terms.

        Raises:
            ValueError: if a term is missing, or does not have shape `[B]`.
        """
        terms = self(x, q, prior, decode, seed)
        surrogate = [] if self.surrogate is None else [self.surrogate]
        check_terms(self, terms, [self.objective, *self.terms, *surrogate], x)
        return terms

    def build_for(self, likelihood: ConditionalDistribution) -> None:
        """Builds the bound's own layers, if they are not built yet."""
        if not self.built:
            self.build((None, *likelihood.event_shape))
        for _, bound in self._inner():
            bound.build_for(likelihood)

    def scheduled(self, name: str, value: float | Schedule) -> float | Schedule:
        """Registers a number, or a schedule of the training step, whose current value `now` gives.

        Args:
            name: the argument's name.
            value: a non-negative number, or a `keras.optimizers.schedules.LearningRateSchedule`.

        Returns:
            `value`.

        Raises:
            ValueError: if it is neither.
        """
        value = arguments.number_or_schedule(name, value)
        if callable(value) and self.step is None:
            self.step = self.add_weight(
                (),
                initializer="zeros",
                dtype="int32",
                trainable=False,
                aggregation="only_first_replica",
                name="step",
            )
        return value

    def now(self, value: float | Schedule) -> Any:
        """The value of a number or a schedule in this training step.

        Raises:
            ValueError: if a schedule has replaced a number.
        """
        if not callable(value):
            return value
        if self.step is None:
            raise ValueError(
                "Expected the schedule in the bound's constructor, so that the bound counts steps: "
                f"`model.bound = {self.__class__.__name__}(…)`. Received: an attribute that was "
                f"set to {value}"
            )
        return value(ops.convert_to_tensor(self.step))

    def count_step(self) -> None:
        """Counts a training step; the model calls it after each one."""
        if self.step is not None:
            self.step.assign_add(1)

    def with_num_samples(self, num_samples: int) -> Self:
        """A copy with another L, which shares the variables and attributes.

        Bounds among the attributes have the new L too.
        """
        num_samples = arguments.integer("num_samples", num_samples)

        def changed(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return type(value)(map(changed, value))
            return value.with_num_samples(num_samples) if isinstance(value, Bound) else value

        other = object.__new__(type(self))
        inner = {name: changed(vars(self)[name]) for name, _ in self._inner()}
        other.__dict__.update(vars(self), num_samples=num_samples, **inner)
        return other

    def _inner(self) -> list[tuple[str, "Bound"]]:
        """The bounds among the attributes, also in lists, each with the attribute's name."""
        return [
            (name, bound)
            for name, value in vars(self).items()
            if not name.startswith("_")  # Keras' own lists
            for bound in (value if isinstance(value, list | tuple) else [value])
            if isinstance(bound, Bound)
        ]

    def check(self, q: Distribution, prior: Distribution) -> None:
        """Raises a `ValueError` if the bound cannot be computed for q(z|x) and p(z)."""
        for _, bound in self._inner():
            bound.check(q, prior)

    def check_gradient(self, q: Distribution) -> None:
        """Raises a `ValueError` if the bound's gradient does not train q(z|x)."""
        fully = tfd.FULLY_REPARAMETERIZED
        if self.reparameterized and q.reparameterization_type != fully:
            raise ValueError(
                f"{self.__class__.__name__} needs a reparameterisable posterior. Expected "
                f"z = g(ε, x) with a gradient through g. Received: {q}. `WakeSleep`, or AEVB with "
                "`bound=ScoreFunctionELBO()` or `ImportanceWeightedBound(..., gradient='vimco')`, "
                "trains any posterior; set `reparameterized = False` in your own bound if its "
                "gradient does not pass through z"
            )

    def get_config(self) -> Config:
        return {**super().get_config(), "num_samples": self.num_samples}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})


class LatestValue(keras.metrics.Mean):
    """A metric with the value of a number or a schedule in the last batch."""

    def update_state(self, values: Tensor, sample_weight: Any = None) -> None:
        self.reset_state()
        super().update_state(values)
