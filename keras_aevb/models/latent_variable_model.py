"""The generative model p(x, z), base class of all algorithms."""

from collections.abc import Sequence
from typing import Any, Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments, marginal_likelihood
from keras_aevb.condition import Condition
from keras_aevb.distributions import ConditionalDistribution, Prior
from keras_aevb.distributions.precision import check_precision
from keras_aevb.marginal_likelihood import Method
from keras_aevb.marginal_likelihood.base import Estimator
from keras_aevb.models import parts
from keras_aevb.models.exportable_model import ExportableModel
from keras_aevb.models.point_estimates import kind_of_estimate, point_estimate
from keras_aevb.models.serialization import SerializableModel
from keras_aevb.training import inputs
from keras_aevb.typing import (
    ArrayLike,
    ConditionLike,
    Decode,
    Distribution,
    Examples,
    LayerArguments,
    Seed,
    Tensor,
    Terms,
    Verbose,
)


class ModelArguments(LayerArguments, total=False):
    """Constructor arguments that all algorithms pass to the base class."""

    condition: Condition | None


class LatentVariableModel(SerializableModel, ExportableModel):
    """A generative model p(x, z) = p(z) p(x|z).

    A subclass is an algorithm: it implements `objective`. The constructor builds all parts, so
    that incompatible parts raise an error before any data is seen.

    Args:
        decoder: Keras model from z to features.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z); with a condition also a `ConditionalDistribution` from its features to
            p(z|y).
        terms: names of the terms that `objective` returns for the logs.
        seed: integer that fixes all noise. Default: a random one.
        condition: `Condition` y of p(x, z|y). Default: none.

    Raises:
        ValueError: if a part has the wrong type, or does not accept the output of the previous
            one.

    Example:
        >>> import keras_aevb as kv
        >>> class PriorSampling(kv.LatentVariableModel):
        ...     # Maximises log p(x), estimated with L = 100 samples of p(z)
        ...     maximize = ("log_p",)
        ...
        ...     def __init__(self, decoder, likelihood, prior, **kwargs):
        ...         super().__init__(decoder, likelihood, prior, terms=("log_p",), **kwargs)
        ...
        ...     def objective(self, x, training):
        ...         z = self.prior_distribution().sample((100, x.shape[0]), seed=self.next_seed())
        ...         log_p = self.decode(z, training).log_prob(x)  # [L, B]
        ...         log_p = ops.logsumexp(log_p, axis=0) - np.log(100.0)
        ...         return kv.typing.Objective(-log_p, {"log_p": log_p})
        >>> model = PriorSampling(**kv.networks.bernoulli_mlp(16, latent_dim=2, recognition=False))
        >>> model.compile("adam")
        >>> history = model.fit(np.zeros((10, 16), "float32"), verbose=0).history
        >>> list(history)
        ['log_p', 'loss']
    """

    # The constructor's arguments that are Keras layers, in order.
    parts: tuple[str, ...] = ("decoder", "likelihood", "prior", "condition")

    def __init__(
        self,
        decoder: keras.Layer,
        likelihood: ConditionalDistribution,
        prior: Prior | ConditionalDistribution,
        terms: Sequence[str],
        seed: Seed = None,
        condition: Condition | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # each layer casts its own input; half precision would round labels
        check_precision(self)
        parts.check_type("likelihood", likelihood, ConditionalDistribution)
        if condition is None:
            parts.check_type("prior", prior, Prior)
        else:
            parts.check_type("condition", condition, Condition)
            parts.check_type("prior", prior, (Prior, ConditionalDistribution))
        parts.check_network("decoder", decoder)
        parts.check_same_precision(likelihood, prior)
        self.condition = condition
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.seed = arguments.seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.term_means = [_backend.mean_metric(name, likelihood.density_dtype) for name in terms]
        z = keras.Input(prior.event_shape, dtype=prior.density_dtype)
        features = self._symbolic_call("decoder", self.decoder, z)
        p = parts.example_distribution(likelihood, features)
        parts.check_distribution("likelihood", p, (parts.BATCH,), likelihood.event_shape)
        batch_shape = () if isinstance(prior, Prior) else (parts.BATCH,)
        p = self._example_prior()
        parts.check_distribution("prior", p, batch_shape, prior.event_shape)
        # The point estimate that reconstructions use: "mean", "mode" or "sample".
        self.point_estimates = {"likelihood": kind_of_estimate(likelihood)}
        self.built = True

    def _symbolic_features(self) -> Tensor:
        condition = self.condition
        assert condition is not None  # callers ensure it
        return condition(keras.Input(condition.shape))

    def _symbolic_call(self, name: str, network: keras.Layer, value: Tensor) -> Tensor:
        """A network's symbolic features of a value, and of the features of y if there are any."""
        if self.condition is None:
            return network(value)
        try:
            return network([value, self._symbolic_features()])
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Expected the {name} of a model with a condition to accept a list of two tensors, "
                f"as `networks.Joined(network)` does. Received: {network!r}, with the error "
                f"{str(error).strip().splitlines()[0]!r}"
            ) from error

    def _example_prior(self) -> Distribution:
        if isinstance(self.prior, Prior):
            return self.prior.distribution()
        return parts.example_distribution(self.prior, self._symbolic_features())

    # Distributions

    def prior_distribution(self) -> Distribution:
        """p(z), a TFP distribution of batch shape `[]`; or p(z|y), of batch shape `[B]`."""
        if isinstance(self.prior, Prior):
            return self.prior.distribution()
        return self.prior.distribution(*self.prior(self._features()))

    def sample_prior(self, n: int, seed: Tensor) -> Tensor:
        """Samples n values z ~ p(z), or one z ~ p(z|y) for each y: tensor `[n, *event_shape]`."""
        prior = self.prior_distribution()
        return prior.sample(n if isinstance(self.prior, Prior) else (), seed=seed)

    def decode(
        self, z: ArrayLike, training: bool = False, condition: ConditionLike | None = None
    ) -> Distribution:
        """p(x|z), a TFP distribution of batch shape `[...]`, for z of shape `[..., *event_shape]`.

        Args:
            z: tensor or array.
            training: whether the layers run in training mode.
            condition: y: one value, or one for each index of the last batch dimension of z.

        Raises:
            ValueError: if z does not have the prior's event shape, or the condition is missing or
                invalid.
        """
        with self.given(condition, training):
            return self._decode(ops.convert_to_tensor(z), training)

    def _decode(self, z: Tensor, training: bool) -> Distribution:
        rank = len(self.prior.event_shape)
        inputs.check_event_shape("z", tuple(z.shape[z.ndim - rank :]), self.prior.event_shape)
        batch_shape = ops.shape(z)[: z.ndim - rank]
        flat = ops.reshape(z, (-1, *self.prior.event_shape))
        features = self.decoder(self.with_features(flat, batch_shape), training=training)
        # Each of shape [product of batch_shape, *event_shape].
        parameters = self.likelihood(features, training=training)
        return self.likelihood.distribution(
            *(ops.reshape(p, (*batch_shape, *p.shape[1:])) for p in parameters)
        )

    def decoder_of(self, training: bool) -> Decode:
        """`decode` as a function of z alone, the form that bounds take."""
        return lambda z: self.decode(z, training)

    def _point_estimate(self, part: str, distribution: Distribution, seed: Tensor | None) -> Tensor:
        """The mean, or the point estimate named by `point_estimates`."""
        return point_estimate(distribution, self.point_estimates[part], seed)

    def _estimate_seed(self) -> Tensor | None:
        """A seed if a point estimate is a sample, else `None`."""
        return self.next_seed() if "sample" in self.point_estimates.values() else None

    # Arrays in, arrays out

    def sample(
        self,
        n: int,
        seed: Seed = None,
        condition: ConditionLike | None = None,
        batch_size: int = 10_000,
        verbose: Verbose = "auto",
    ) -> np.ndarray:
        """Samples x from the model: z ~ p(z), then x ~ p(x|z).

        Args:
            n: number of samples.
            seed: integer that fixes the samples. Default: the model's seed generator.
            condition: y, one for each sample.
            batch_size: number of samples computed at once.
            verbose: as for `log_likelihood`.

        Returns:
            NumPy array of shape `[n, *event_shape]`.

        Raises:
            ValueError: if n is not a positive integer, or `seed` is invalid.
        """
        n = arguments.integer("n", n)

        def samples(rows: Tensor, seeds: Any) -> Tensor:
            return self.sample_joint(rows.shape[0], *seeds)[0]

        rows = [np.arange(n), *self.checked_conditions(condition, n)]
        return self.in_batches(
            ("sample",), samples, [rows], n, batch_size, seed, verbose, num_seeds=2
        )

    def sample_joint(
        self, n: int, z_seed: Tensor, x_seed: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Samples n pairs (x, z) ~ p(x, z), as tensors."""
        z = self.sample_prior(n, z_seed)
        return self.decode(z, training).sample(seed=x_seed), z

    def log_likelihood(
        self,
        x: Examples,
        num_samples: int | None = None,
        method: Method = "importance",
        batch_size: int = 100,
        seed: Seed = None,
        return_standard_error: bool = False,
        condition: ConditionLike | None = None,
        verbose: Verbose = "auto",
    ) -> np.ndarray | Any:
        """Estimates log p(x) of each example.

        Args:
            x: data of shape `[N, *event_shape]`, or a stream of batches, as for `predict`.
            num_samples: Monte Carlo samples for each example. Default: the method's own.
            method: `"importance"`, `"annealed"`, `"density"` (App. D), or an estimator of
                `keras_aevb.marginal_likelihood`.
            batch_size: number of examples evaluated at once.
            seed: integer that fixes the noise. Default: the model's seed generator.
            return_standard_error: whether to return the standard errors too.
            condition: y, of shape `[N, *condition.shape]`; the density is p(x|y). A stream yields
                (x, y) instead.
            verbose: 1 for a progress bar, 0 for none, `"auto"` for one if the work takes seconds.

        Returns:
            NumPy array of shape `[N]`, in nats; or a pair of them, estimates and standard errors.

        Raises:
            ValueError: if x has the wrong shape or values of probability zero, the method is
                unknown, or it needs a recognition model and the model has none.
        """
        estimator = self.estimator(method, num_samples)
        estimates = self.estimates(estimator, x, batch_size, seed, condition, verbose)
        estimator.check_estimates(estimates)
        if return_standard_error:
            return estimates["log_likelihood"], estimates["standard_error"]
        return estimates["log_likelihood"]

    def estimator(self, method: Method, num_samples: int | None = None) -> Estimator:
        """The `Estimator` of log p(x) for a `method` of `log_likelihood`."""
        return marginal_likelihood.get(method, num_samples)

    def estimates(
        self,
        estimator: Estimator,
        x: Examples,
        batch_size: int,
        seed: Seed,
        condition: ConditionLike | None,
        verbose: Verbose = 0,
    ) -> dict[str, np.ndarray]:
        """All outputs of an estimator of log p(x), as NumPy arrays over examples."""
        one_x = ops.zeros((1, *self.likelihood.event_shape), self.likelihood.density_dtype)
        with self.given(None if self.condition is None else self.condition.example()):
            estimator.check(self._recognition(one_x), self.prior_distribution())

        def batch_log_likelihood(x: Tensor, seed: Tensor) -> Terms:
            q, prior = self._recognition(x), self.prior_distribution()
            return estimator.evaluated(x, q, prior, self.decode, seed)

        key = (estimator.__class__, *estimator.get_config().items())
        return self.over_batches(key, batch_log_likelihood, x, batch_size, seed, condition, verbose)

    def _recognition(self, x: Tensor) -> Distribution | None:
        """q(z|x) of batch shape `[B]`, or `None` if the model has no encoder."""
        return None
