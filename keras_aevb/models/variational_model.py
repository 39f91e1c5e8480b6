"""A generative model with a recognition model q(z|x) and a bound."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfp
from keras_aevb.bounds import ELBO, Bound
from keras_aevb.distributions import ConditionalDistribution, StandardNormal, VampPrior
from keras_aevb.distributions.precision import warn_if_tokens_are_rounded
from keras_aevb.distributions.priors import Prior
from keras_aevb.encoding import Encoding
from keras_aevb.models import parts, serving
from keras_aevb.models.latent_variable_model import LatentVariableModel, ModelArguments
from keras_aevb.models.point_estimates import kind_of_estimate, moments
from keras_aevb.models.posterior_parameters import moments_and_parameters
from keras_aevb.training import inputs
from keras_aevb.training.progress import PredictionProgress
from keras_aevb.typing import (
    ArrayLike,
    ConditionLike,
    Data,
    Distribution,
    Examples,
    Seed,
    Tensor,
    Terms,
    Verbose,
)

if TYPE_CHECKING:
    from keras_aevb.evaluation import Report


class VariationalModel(LatentVariableModel):
    """A generative model p(z) p(x|z) with a recognition model q(z|x).

    Args:
        encoder: Keras model from x to features.
        decoder: Keras model from z to features.
        posterior: `ConditionalDistribution` from the encoder's features to q(z|x).
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z). Default: a standard normal of the posterior's event shape.
        bound: estimator of the lower bound on log p(x). Default: `ELBO()`.
        seed: integer that fixes all noise. Default: a random one.
        **kwargs: `condition`, a `Condition`; and arguments of `keras.Model`.

    Raises:
        ValueError: if a part has the wrong type or does not accept the output of the previous one,
            or if posterior, prior and bound are incompatible.

    Example:
        >>> import keras_aevb as kv
        >>> class Centred(kv.VariationalModel):
        ...     # AEVB that keeps the means of q(z|x) near zero
        ...     def objective(self, x, training):
        ...         q, prior = self.encode(x, training), self.prior_distribution()
        ...         terms = self.bound(x, q, prior, self.decoder_of(training), self.next_seed())
        ...         penalty = ops.sum(ops.square(q.mean()), axis=1)  # [B]
        ...         return kv.typing.Objective(penalty - terms["elbo"], terms)
        >>> model = Centred(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> model.compile("adam")
        >>> history = model.fit(np.zeros((10, 16), "float32"), verbose=0).history
        >>> sorted(history)
        ['elbo', 'kl', 'loss', 'reconstruction']
    """

    parts: tuple[str, ...] = (
        "encoder",
        "decoder",
        "posterior",
        "likelihood",
        "prior",
        "bound",
        "condition",
    )

    # Names of the terms that `objective` returns in addition to those of the bound.
    extra_terms: tuple[str, ...] = ()

    def __init__(
        self,
        encoder: keras.Layer,
        decoder: keras.Layer,
        posterior: ConditionalDistribution,
        likelihood: ConditionalDistribution,
        prior: Prior | ConditionalDistribution | None = None,
        bound: Bound | None = None,
        seed: Seed = None,
        **kwargs: Unpack[ModelArguments],
    ) -> None:
        parts.check_type("posterior", posterior, ConditionalDistribution)
        parts.check_network("encoder", encoder)
        warn_if_tokens_are_rounded("encoder", encoder)
        prior = StandardNormal(posterior.event_shape) if prior is None else prior
        bound = ELBO() if bound is None else bound
        parts.check_type("bound", bound, Bound)
        parts.check_terms(bound)
        if isinstance(prior, VampPrior):
            parts.check_type("likelihood", likelihood, ConditionalDistribution)
            if kwargs.get("condition") is not None:
                raise ValueError(
                    "VampPrior takes no condition: its pseudo-inputs have no y. Expected another "
                    f"prior, or condition=None. Received: {kwargs['condition']}"
                )
            prior.bind(encoder, posterior, likelihood.event_shape)
        bound.build_for(likelihood)
        super().__init__(decoder, likelihood, prior, bound.terms + self.extra_terms, seed, **kwargs)
        self.encoder = encoder
        self.posterior = posterior
        self.bound = bound
        x = keras.Input(likelihood.event_shape, dtype=likelihood.density_dtype)
        features = self._symbolic_call("encoder", encoder, x)
        q = parts.example_distribution(posterior, features)
        parts.check_distribution("posterior", q, (parts.BATCH,), posterior.event_shape)
        self.check_parts(q, self._example_prior())
        self.point_estimates["posterior"] = kind_of_estimate(posterior)
        self.posterior_moments = moments(posterior)

    def check_parts(self, q: Distribution, prior: Distribution) -> None:
        """Raises a `ValueError` if q(z|x) is incompatible with p(z) or with this algorithm."""
        parts.check_same_z(q, prior)
        self.bound.check(q, prior)

    @property
    def phi(self) -> list[keras.Variable]:
        """Trainable variables φ of q(z|x): those of encoder, posterior and condition."""
        condition = [] if self.condition is None else [self.condition]
        return _trainable(self.encoder, self.posterior, *condition)

    @property
    def theta(self) -> list[keras.Variable]:
        """Trainable variables θ of p(x, z): those of decoder, likelihood and prior, without φ.

        A variable that p(x, z) shares with q(z|x) belongs to φ.
        """
        phi = {id(v) for v in self.phi}
        return [
            v for v in _trainable(self.decoder, self.likelihood, self.prior) if id(v) not in phi
        ]

    @property
    def maximize(self) -> tuple[str, ...]:  # type: ignore[override]  # computed
        return (self.bound.objective, "elbo", "reconstruction")

    @property
    def minimize(self) -> tuple[str, ...]:  # type: ignore[override]  # computed
        names = (*self.bound.terms, *self.extra_terms)
        return tuple(n for n in names if n in ("kl", "weight_kl") or n.startswith("kl_"))

    def _bound_terms(
        self, x: Tensor, q: Distribution, training: bool, prior: Distribution | None = None
    ) -> tuple[Tensor, Terms]:
        """The maximised term of each example, and all terms of the bound."""
        prior = self.prior_distribution() if prior is None else prior
        terms = self.bound.evaluated(x, q, prior, self.decoder_of(training), self.next_seed())
        surrogate = self.bound.surrogate if training else None
        return terms[surrogate or self.bound.objective], terms

    def encode(
        self,
        x: Examples,
        training: bool = False,
        condition: ConditionLike | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
    ) -> Distribution:
        """q(z|x), a TFP distribution of batch shape `[B]`, for x of shape `[B, *event_shape]`.

        Args:
            x: tensor or array, or a dict with `x` and `condition`; or a stream of batches, as for
                `predict`, where B is the total number of examples.
            training: whether the layers run in training mode; not with `batch_size` or a stream.
            condition: y, of shape `[B, *condition.shape]`. A stream yields (x, y) instead.
            batch_size: number of examples encoded at once; gradients do not pass through. Default:
                all of an array, 1000 of a stream.
            verbose: as for `elbo`, if there are batches.

        Raises:
            ValueError: if x does not have the likelihood's event shape, or is an array with values
                of probability zero; or the condition is missing or invalid.
        """
        if isinstance(x, dict):
            x, condition, _ = self.unpacked((x, condition))
        if inputs.is_tensor(x) and batch_size is None:
            inputs.check_event_shape("x", tuple(x.shape[1:]), self.likelihood.event_shape)
            values = x
        elif inputs.is_stream(x) or batch_size is not None:
            if training:
                raise ValueError(
                    "Layers in training mode compute with the whole batch and change their state. "
                    "Expected `training=False` with a stream or a `batch_size`. Received: True"
                )
            parameters = self.over_batches(
                ("encode",),
                lambda x, seed: self._encoder_parameters(x, training=False),
                x,
                1000 if batch_size is None else batch_size,
                0,  # nothing is sampled
                condition,
                verbose,
            )
            return self.posterior.distribution(*map(ops.convert_to_tensor, parameters))
        else:
            array = inputs.as_array(x, dtype=self.likelihood.density_dtype)
            inputs.check_event_shape("x", array.shape[1:], self.likelihood.event_shape)
            self.likelihood.check(array)
            # A functional encoder refuses arrays beside tensors.
            values = ops.convert_to_tensor(array)
        with self.given(condition, training):
            return self.posterior.distribution(*self._encoder_parameters(values, training))

    def encoding(
        self, output: Literal["mean", "mean_and_log_variance", "sample"] = "mean", **kwargs: Any
    ) -> Encoding:
        """q(z|x) as a layer for other Keras models, which shares its weights with this one.

        Args:
            output: `"mean"`, `"mean_and_log_variance"`, or `"sample"`.
            **kwargs: `seed`, and arguments of `keras.layers.Layer`.

        Returns:
            An `Encoding`.

        Raises:
            ValueError: if q(z|x) lacks the moments.
        """
        needed = {"mean": {"mean"}, "mean_and_log_variance": {"mean", "stddev"}}
        missing = needed.get(output, set()) - {*self.posterior_moments}
        if missing:
            raise ValueError(
                f"Expected `output='sample'`: q(z|x) of {self.posterior.__class__.__name__} has no "
                f"{' and no '.join(sorted(missing))} for some parameters. Received: {output!r}"
            )
        fill = getattr(self.likelihood, "fill", None)
        return Encoding(self.encoder, self.posterior, output, self.condition, fill, **kwargs)

    def posterior_parameters(
        self,
        x: Examples,
        batch_size: int = 1000,
        condition: ConditionLike | None = None,
        verbose: Verbose = "auto",
    ) -> dict[str, np.ndarray]:
        """Moments and parameters of q(z|x) of each example.

        Args:
            x, batch_size, condition, verbose: as for `elbo`.

        Returns:
            Dict of NumPy arrays of shape `[N, ...]`: `mean` and `standard_deviation` if they
            exist, and the parameters; the endpoint `encode` of `export` returns the same.
        """

        def parameters(x: Tensor, seed: Tensor) -> Terms:
            return self._moments_and_parameters(self._encoder_parameters(x, training=False))

        found = self.over_batches(
            ("posterior_parameters",), parameters, x, batch_size, 0, condition, verbose
        )
        return {name: found[name] for name in self.example_parameters()}  # JAX sorts names

    def example_parameters(self) -> Terms:
        """A dict like that of `posterior_parameters` for one example with raw parameters of 1."""
        dtype = self.posterior.density_dtype
        ones = [ops.ones((1, *s), dtype) for s in self.posterior.parameter_shapes or ()]
        return self._moments_and_parameters(ones)

    def _moments_and_parameters(self, parameters: Sequence[Tensor]) -> Terms:
        return moments_and_parameters(self.posterior, parameters, self.posterior_moments)

    def _recognition(self, x: Tensor) -> Distribution:
        return self.encode(x)

    def _encoder_parameters(self, x: Tensor, training: bool) -> tuple[Tensor, ...]:
        features = self.encoder(self.with_features(self.likelihood.filled(x)), training=training)
        return self.posterior(features, training=training)

    def call(self, x: Any, training: bool = False, condition: Any = None) -> Any:
        """The mean of p(x|z) at the mean of q(z|x), or the estimates named by `point_estimates`.

        Args:
            x: tensor of shape `[B, *event_shape]`, or a dict with `x` and `condition`.
            training: whether the layers run in training mode.
            condition: y, of shape `[B, *condition.shape]`.
        """
        if isinstance(x, dict):
            x, condition, _ = self.unpacked((x, condition))

        def reconstruction(seed: Tensor | None, x: Tensor) -> Tensor:
            return self._reconstruction(seed, x, training)

        return self.over_examples(reconstruction, self._estimate_seed(), x, condition, training)

    def _reconstruction(self, seed: Tensor | None, x: Tensor, training: bool = False) -> Tensor:
        seeds = [None] * 2 if seed is None else list(tfp.random.split_seed(seed, 2))
        z = self._point_estimate("posterior", self.encode(x, training), seeds[0])
        return self._point_estimate("likelihood", self.decode(z, training), seeds[1])

    def reconstruct(
        self, x: Data, condition: ConditionLike | None = None, verbose: Verbose = "auto"
    ) -> np.ndarray:
        """The mean of p(x|z) at the mean of q(z|x), an array of the shape of `x`.

        If a distribution has no mean, its mode or a sample is used: `point_estimates` says which.

        Args:
            x, condition, verbose: as for `elbo`.
        """
        if condition is not None:
            self.given(condition)  # raises if the model has none
            x, condition, _ = self.unpacked((x, condition))
            x = {"x": x, "condition": condition}
        return self.predict(x, verbose=0, callbacks=[PredictionProgress(verbose)])

    def impute(
        self, x: Examples, condition: ConditionLike | None = None, verbose: Verbose = "auto"
    ) -> np.ndarray:
        """Replaces missing values of x (NaN) by their reconstructions.

        Args:
            x: as for `elbo`; the likelihood must be `Observed`.
            condition, verbose: as for `elbo`.

        Returns:
            NumPy array of the shape of x.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero; or has missing
                values, and the likelihood is not `Observed`.
        """

        def imputed(x: Tensor, seed: Tensor) -> Tensor:
            reconstruction = self._reconstruction(seed, x)
            return ops.where(ops.isnan(x), ops.cast(reconstruction, x.dtype), x)

        seed = None if "sample" in self.point_estimates.values() else 0
        return self.over_batches(("impute",), imputed, x, 1000, seed, condition, verbose)

    def elbo(
        self,
        x: Examples,
        num_samples: int | None = None,
        batch_size: int = 1000,
        seed: Seed = None,
        condition: ConditionLike | None = None,
        verbose: Verbose = "auto",
    ) -> np.ndarray:
        """The model's bound on log p(x), estimated for each example.

        Args:
            x: data of shape `[N, *event_shape]`, or a stream of batches, as for `predict`.
            num_samples: Monte Carlo samples of z for each example. Default: the bound's own. For
                `FullVB`: samples of θ for each batch. Default: 1.
            batch_size: number of examples evaluated at once.
            seed: integer that fixes the noise. Default: the model's seed generator.
            condition: y, of shape `[N, *condition.shape]`. A stream yields (x, y) instead.
            verbose: 1 for a progress bar, 0 for none, `"auto"` for one if the work takes seconds.

        Returns:
            NumPy array of shape `[N]`, in nats, in the order of x.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero.
        """

        if num_samples is not None:
            num_samples = arguments.integer("num_samples", num_samples)

        def batch_elbo(x: Tensor, seed: Tensor) -> Tensor:
            return self._bound_values(x, seed, num_samples)

        key = ("elbo", num_samples)
        return self.over_batches(key, batch_elbo, x, batch_size, seed, condition, verbose)

    def _bound_values(self, x: Tensor, seed: Tensor, num_samples: int | None = None) -> Tensor:
        """The bound for each example, of shape `[B]`."""
        bound = self.bound if num_samples is None else self.bound.with_num_samples(num_samples)
        q, prior = self.encode(x), self.prior_distribution()
        return bound.evaluated(x, q, prior, self.decode, seed)[bound.objective]

    def endpoints(self) -> dict[str, serving.Endpoint]:
        x = serving.batch_of(self.likelihood.event_shape, self.likelihood.density_dtype)
        condition = self._condition_spec()
        return {
            "serve": serving.Endpoint(self.call, {"x": x, **condition}),
            "encode": serving.Endpoint(self._encoded, {"x": x, **condition}),
            **super().endpoints(),
            "elbo": serving.Endpoint(
                self._elbo_endpoint, {"x": x, "seed": serving.scalar(), **condition}
            ),
        }

    def _encoded(self, x: Tensor, condition: Tensor | None = None) -> Terms:
        """Dict of the mean, the standard deviation and the parameters of q(z|x)."""

        def encoded(seed: Tensor | None, x: Tensor) -> Terms:
            return self._moments_and_parameters(self._encoder_parameters(x, training=False))

        return self.over_examples(encoded, None, x, condition)

    def _elbo_endpoint(self, x: Tensor, seed: Tensor, condition: Tensor | None = None) -> Tensor:
        def bounds(seed: Tensor, x: Tensor) -> Tensor:
            return self._bound_values(x, seed)

        return self.over_examples(bounds, _backend.seed_of(seed), x, condition)

    def report(
        self,
        x: ArrayLike,
        num_samples: int = 1000,
        batch_size: int = 100,
        seed: Seed = None,
        condition: ConditionLike | None = None,
        verbose: bool = True,
    ) -> "Report":
        """Prints a table of diagnostics: `keras_aevb.evaluation.report`.

        Args:
            x, num_samples, batch_size, seed, condition, verbose: as for `evaluation.report`.

        Returns:
            A `keras_aevb.evaluation.Report`.

        Raises:
            ValueError: as for `evaluation.report`.
        """
        from keras_aevb import evaluation  # not at the top: it imports this module

        return evaluation.report(self, x, num_samples, batch_size, seed, condition, verbose)


def _trainable(*layers: keras.Layer) -> list[keras.Variable]:
    """The trainable variables of layers, each once."""
    return list({id(v): v for layer in layers for v in layer.trainable_variables}.values())
