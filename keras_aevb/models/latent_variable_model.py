"""What all algorithms share: p(x, z), made of parts that the user hands in."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments, marginal_likelihood
from keras_aevb._backend import tfp
from keras_aevb.condition import Condition, conditioned_on, features_in_force
from keras_aevb.distributions import ConditionalDistribution, Prior
from keras_aevb.distributions.precision import check_precision
from keras_aevb.models import parts, serving
from keras_aevb.models.point_estimates import kind_of_estimate, point_estimate
from keras_aevb.models.serialization import SerializableModel
from keras_aevb.models.training_loop import TrainingLoop
from keras_aevb.training import inputs, sources
from keras_aevb.training.progress import Progress


class LatentVariableModel(SerializableModel, TrainingLoop):
    """A generative model p(x, z) = p(z) p(x|z).

    A subclass is an algorithm: it implements `objective`. All parts are built in the constructor,
    so that whatever does not fit together is known before any data is.

    Args:
        decoder: Keras model from z to features.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z); with a condition also a `ConditionalDistribution` from its features to
            p(z|y).
        terms: names of what `objective` returns for the logs.
        seed: integer that fixes all noise. Default: a random one.
        condition: `Condition` y of p(x, z|y). Default: none.

    Raises:
        ValueError: if a part is not of its type, or does not accept what the one before it
            returns.
    """

    # The constructor's arguments that are objects, in order.
    parts: tuple[str, ...] = ("decoder", "likelihood", "prior", "condition")

    def __init__(self, decoder, likelihood, prior, terms, seed=None, condition=None, **kwargs):
        super().__init__(**kwargs)
        check_precision(self)
        parts.check_type("likelihood", likelihood, ConditionalDistribution)
        if condition is None:
            parts.check_type("prior", prior, Prior)
        else:
            parts.check_type("condition", condition, Condition)
            parts.check_type("prior", prior, (Prior, ConditionalDistribution))
        parts.check_network("decoder", decoder)
        self.condition = condition
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.seed = arguments.seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.term_means = [keras.metrics.Mean(name) for name in terms]
        z = keras.Input(prior.event_shape, dtype=prior.density_dtype)
        features = self._symbolic_call("decoder", self.decoder, z)
        p = parts.example_distribution(likelihood, features)
        parts.check_distribution("likelihood", p, (parts.BATCH,), likelihood.event_shape)
        batch_shape = () if isinstance(prior, Prior) else (parts.BATCH,)
        p = self._example_prior()
        parts.check_distribution("prior", p, batch_shape, prior.event_shape)
        # What stands for a distribution in reconstructions: "mean", "mode" or "sample".
        self.point_estimates = {"likelihood": kind_of_estimate(likelihood)}
        self.built = True

    def _symbolic_features(self):
        return self.condition(keras.Input(self.condition.shape))

    def _symbolic_call(self, name, network, value):
        """A network's features, when a model is made: of a value, or with the features of y."""
        if self.condition is None:
            return network(value)
        try:
            return network([value, self._symbolic_features()])
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Expected the {name} of a model with a condition to be called with a list of two "
                f"tensors, as `networks.Joined(network)` is. Received: {network!r}, with the error "
                f"{str(error).strip().splitlines()[0]!r}"
            ) from error

    def _example_prior(self):
        if isinstance(self.prior, Prior):
            return self.prior.distribution()
        return parts.example_distribution(self.prior, self._symbolic_features())

    # The condition

    def given(self, condition, training=False):
        """A context in which the model computes p(x, z|y) and q(z|x, y).

        Args:
            condition: y, of shape `[B, *condition.shape]`, or `None` to leave things as they are.
            training: whether the condition's network runs in training mode.

        Raises:
            ValueError: if the model has no condition, or an array y is not one for each example.
        """
        if condition is None:
            return contextlib.nullcontext()
        if self.condition is None:
            raise ValueError(
                f"Expected no condition: the model was made without `condition=`. "
                f"Received: {type(condition)}"
            )
        condition = self.condition.packed(condition)
        if not ops.is_tensor(condition):
            condition = self.condition.checked(condition, len(np.atleast_1d(condition)))
        return conditioned_on(self.condition(condition, training=training))

    def with_features(self, value, batch_shape=None):
        """What a network is called with: a value, or a pair with the features of y.

        Args:
            value: tensor of shape `[B, ...]`, z or x.
            batch_shape: the shape that B is the product of. Default: `[B]`.
        """
        if self.condition is None:
            return value
        features = self._features()
        batch_shape = ops.shape(value)[:1] if batch_shape is None else batch_shape
        if batch_shape:
            if isinstance(batch_shape[-1], int) and features.shape[0] not in (1, batch_shape[-1]):
                raise ValueError(
                    f"Expected one condition, or one for each of {batch_shape[-1]} examples. "
                    f"Received: {features.shape[0]}"
                )
            features = ops.broadcast_to(features, (*batch_shape, features.shape[-1]))
            features = ops.reshape(features, (-1, features.shape[-1]))
        return [value, features]

    def _features(self):
        features = features_in_force()
        if features is None:
            raise ValueError(
                "Expected a condition y for each example, as `fit(x, y)` and `evaluate(x, y)` take "
                "it, and other methods as `condition=`. Received: none"
            )
        return features

    def unpacked(self, data):
        if self.condition is None:
            return super().unpacked(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, dict):
            x, y = self.condition.of_names(x, y)
        return x, self.condition.packed(y), sample_weight

    def predict_step(self, *state_and_data):
        *state, data = state_and_data
        if self.condition is not None:
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            data = ({"x": x, "condition": y},)
        return super().predict_step(*state, data)

    def labels(self, y, n):
        return super().labels(y, n) if self.condition is None else self.condition.checked(y, n)

    def check_batch(self, x, y, sample_weight, training=True):
        super().check_batch(x, y, sample_weight, training)
        if self.condition is not None:
            self.condition.checked(y, len(x))

    def _loss(self, data, training):
        _, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with self.given(None if self.condition is None else y, training):
            return super()._loss(data, training)

    # Distributions

    def prior_distribution(self):
        """p(z), a TFP distribution of batch shape `[]`; or p(z|y), of batch shape `[B]`."""
        if isinstance(self.prior, Prior):
            return self.prior.distribution()
        return self.prior.distribution(*self.prior(self._features()))

    def sample_prior(self, n, seed):
        """Draws n z ~ p(z), or one z ~ p(z|y) for each of n y: a tensor `[n, *event_shape]`."""
        prior = self.prior_distribution()
        return prior.sample(*([n] if isinstance(self.prior, Prior) else []), seed=seed)

    def decode(self, z, training=False, condition=None):
        """p(x|z), a TFP distribution of batch shape `[...]`, for z of shape `[..., *event_shape]`.

        Args:
            z: tensor or array.
            training: whether the layers run in training mode.
            condition: y, one or as many as the last batch dimension of z.

        Raises:
            ValueError: if z does not have the prior's event shape, or the condition is missing or
                does not fit.
        """
        with self.given(condition, training):
            return self._decode(z, training)

    def _decode(self, z, training):
        z = ops.convert_to_tensor(z)
        rank = len(self.prior.event_shape)
        self._check_shape("z", tuple(z.shape[z.ndim - rank :]), self.prior.event_shape)
        batch_shape = ops.shape(z)[: z.ndim - rank]
        flat = ops.reshape(z, (-1, *self.prior.event_shape))
        features = self.decoder(self.with_features(flat, batch_shape), training=training)
        # Each of shape [product of batch_shape, *event_shape].
        parameters = self.likelihood(features, training=training)
        return self.likelihood.distribution(
            *(ops.reshape(p, (*batch_shape, *p.shape[1:])) for p in parameters)
        )

    def decoder_of(self, training):
        """`decode` as a function of z alone, as bounds want it."""
        return lambda z: self.decode(z, training)

    def _check_shape(self, name, received, expected):
        if received != expected:
            raise ValueError(
                f"Expected {name} with event shape {expected}. Received: event shape {received}"
            )

    def _point_estimate(self, part, distribution, seed):
        """The mean, or what `point_estimates` says, of a draw with a seed of its own."""
        return point_estimate(distribution, self.point_estimates[part], seed)

    def _estimate_seed(self):
        """A seed where a draw stands for a mean, else `None`."""
        return self._seed() if "sample" in self.point_estimates.values() else None

    def _over_examples(self, function, seed, x, condition=None, training=False):
        """`function(seed, x)` given the conditions, where the size of the batch may be a symbol."""

        def given_condition(seed, x, *y):
            with self.given(*y or [None], training=training):
                return function(seed, x)

        y = [] if condition is None else [condition]
        return _backend.over_examples(given_condition, seed, x, *y)

    # Arrays in, arrays out

    def sample(self, n, seed=None, condition=None, batch_size=10_000, verbose="auto"):
        """Draws x from the model: z ~ p(z), then x ~ p(x|z).

        Args:
            n: number of samples.
            seed: integer that fixes the samples. Default: the model's own stream.
            condition: y, one for each sample.
            batch_size: samples that are drawn together.
            verbose: as for `log_likelihood`.

        Returns:
            NumPy array of shape `[n, *event_shape]`.

        Raises:
            ValueError: if n is not a positive integer, or `seed` not a valid seed.
        """
        n = arguments.integer("n", n)

        def samples(rows, seeds):
            return self.sample_joint(rows.shape[0], *seeds)[0]

        rows = [np.arange(n), *self._conditions(condition, n)]
        return self._in_batches(
            ("sample",), samples, [rows], n, batch_size, seed, verbose, num_seeds=2
        )

    # Serving

    def endpoints(self):
        """What `export` offers: a dict from names to `Endpoint`s, the first of them the default."""
        z = serving.batch_of(self.prior.event_shape, self.prior.density_dtype)
        n = {"n": serving.scalar()} if self.condition is None else {}
        return {
            "decode": serving.Endpoint(self._decoded, {"z": z, **self._condition_spec()}),
            "sample": serving.Endpoint(
                self._sampled, {**n, "seed": serving.scalar(), **self._condition_spec()}
            ),
        }

    def _condition_spec(self):
        if self.condition is None:
            return {}
        return {"condition": serving.batch_of(self.condition.shape, keras.config.floatx())}

    def _decoded(self, z, condition=None):
        def decoded(seed, z):
            return self._point_estimate("likelihood", self.decode(z), seed)

        return self._over_examples(decoded, self._estimate_seed(), z, condition)

    def _sampled(self, seed, n=None, condition=None):
        """x ~ p(x), one for each element of n; or p(x|y), one for each condition."""
        rows = n if condition is None else condition
        return self._over_examples(self._draws, _backend.seed_of(seed), rows, condition)

    def _draws(self, seed, rows):
        return self.sample_joint(ops.shape(rows)[0], *tfp.random.split_seed(seed))[0]

    def export(
        self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **kwargs
    ):
        """`keras.Model.export`: a file that runs without Keras, for batches of any size.

        A SavedModel has every endpoint of `endpoints()`: `serve(x)`, the reconstruction;
        `encode(x)`, a dict with the mean, the standard deviation and the parameters of q(z|x);
        `decode(z)`, the mean of p(x|z); `sample(n, seed)`, draws of p(x); `elbo(x, seed)`. With a
        condition each takes `condition` as the last argument, and `sample` no n. Where a
        distribution has no mean, `point_estimates` says what stands for it.

        The other formats hold one endpoint. Their runtimes have no random numbers: those of
        `sample` and `elbo` are in a SavedModel alone.

        Args:
            filepath: where to write.
            format: `"tf_saved_model"`, which needs TensorFlow, on JAX too; `"onnx"`, `"litert"`,
                or what else Keras has.
            verbose: whether to print what was written.
            input_signature: as for Keras, which then exports the call alone.
            **kwargs: `endpoint`, the name of the one that the other formats hold; and arguments of
                `keras.Model.export`.

        Raises:
            ValueError: if there is no such endpoint, or Keras has no such format on the backend.
        """
        if input_signature is not None:
            super().export(filepath, format, verbose, input_signature, **kwargs)
            return
        endpoints = self.endpoints()
        if format == "tf_saved_model" and not kwargs:
            serving.export_saved_model(self, filepath, endpoints, verbose is not False)
            return
        without_noise = [name for name, e in endpoints.items() if "seed" not in e.inputs]
        name = arguments.choice("endpoint", kwargs.pop("endpoint", without_noise[0]), without_noise)
        serving.export_endpoint(self, endpoints[name], filepath, format, verbose, **kwargs)

    def _conditions(self, condition, n):
        """A list with the checked condition of n examples, or an empty list."""
        if self.condition is None:
            self.given(condition)  # raises if there is one
            return []
        return [self.condition.checked(condition, n)]

    def sample_joint(self, n, z_seed, x_seed, training=False):
        """Draws n pairs (x, z) ~ p(x, z), as tensors."""
        z = self.sample_prior(n, z_seed)
        return self.decode(z, training).sample(seed=x_seed), z

    def log_likelihood(
        self,
        x,
        num_samples=None,
        method="importance",
        batch_size=100,
        seed=None,
        return_standard_error=False,
        condition=None,
        verbose="auto",
    ):
        """log p(x) of each example, estimated.

        Args:
            x: data of shape `[N, *event_shape]`, or a stream of batches, as for `predict`.
            num_samples: Monte Carlo samples for each example. Default: the method's own.
            method: `"importance"`, `"annealed"`, `"density"` (App. D), or an estimator of
                `keras_aevb.marginal_likelihood`.
            batch_size: examples that are evaluated together.
            seed: integer that fixes the noise. Default: the model's own stream.
            return_standard_error: whether to return the standard errors too.
            condition: y, of shape `[N, *condition.shape]`; the density is p(x|y). A stream brings
                it, as (x, y).
            verbose: 1 for a progress bar, 0 for none, `"auto"` for one if the work takes seconds.

        Returns:
            NumPy array of shape `[N]`, in nats; or a pair of them, estimates and standard errors.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero, the method is
                unknown, or it needs a recognition model and there is none.
        """
        estimator = self.estimator(method, num_samples)
        estimates = self.estimates(estimator, x, batch_size, seed, condition, verbose)
        estimator.check_estimates(estimates)
        if return_standard_error:
            return estimates["log_likelihood"], estimates["standard_error"]
        return estimates["log_likelihood"]

    def estimator(self, method, num_samples=None):
        """The `Estimator` of log p(x) that a method stands for, as for `log_likelihood`."""
        return marginal_likelihood.get(method, num_samples)

    def estimates(self, estimator, x, batch_size, seed, condition, verbose=0):
        """What an estimator of log p(x) returns, as NumPy arrays of all examples."""
        one_x = ops.zeros((1, *self.likelihood.event_shape))
        with self.given(None if self.condition is None else self.condition.example()):
            estimator.check(self._recognition(one_x), self.prior_distribution())

        def batch_log_likelihood(x, seed):
            q, prior = self._recognition(x), self.prior_distribution()
            return estimator(x, q, prior, self.decode, seed)

        key = (estimator.__class__, *estimator.get_config().items())
        return self._over_batches(
            key, batch_log_likelihood, x, batch_size, seed, condition, verbose
        )

    def _recognition(self, x):
        """q(z|x) of batch shape `[B]`, or `None` where the model has none."""
        return None

    # Programs on batches

    def _over_batches(
        self, key, function, x, batch_size, seed, condition=None, verbose=0, conditional=True
    ):
        """`function(batch, seed)`, which returns tensors of shape `[B, ...]`, over all of `x`.

        Args:
            key: of the function among the model's programs.
            function: of a batch of x as densities need it, and a seed.
            x: as `predict` takes it. The batches of a stream are regrouped, so that the results are
                those of the same examples in an array.
            batch_size: of the batches that the function gets.
            seed, condition, verbose: as for `log_likelihood`.
            conditional: whether the function depends on the model's condition.

        Returns:
            NumPy array of shape `[N, ...]`, or a structure of them, in the order of x.
        """
        parts, n = sources.examples(self, x, condition, conditional)

        def on_densities(x, seed):
            return function(ops.cast(x, self.likelihood.density_dtype), seed)

        return self._in_batches(key, on_densities, parts, n, batch_size, seed, verbose)

    def _in_batches(self, key, function, parts, n, batch_size, seed, verbose, num_seeds=1):
        """As `_over_batches`, of lists [rows, y] or [rows] of n rows in all.

        Args:
            num_seeds: seeds for each batch, which the function gets as a list if there are more.
        """
        seed = arguments.seed(seed)
        batch_size = arguments.integer("batch_size", batch_size)
        progress = Progress(verbose, n and -(-n // batch_size))
        results = []

        def run(seeds, rows, *y):
            with self.given(*y or [None]):
                return function(rows, seeds if num_seeds > 1 else seeds[0])

        for i, (batch, length) in enumerate(inputs.regrouped(parts, batch_size)):
            # One program for one batch size: on TensorFlow, TFP's loops need to know it.
            program = self._program((*key, len(batch[0])), run)
            seeds = [self._seed(seed, num_seeds * i + j) for j in range(num_seeds)]
            values = program(seeds, *batch)
            results.append(
                keras.tree.map_structure(lambda v, end=length: np.asarray(v)[:end], values)
            )
            progress.update(i + 1)
        progress.end()
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *results)

    def _seed(self, seed=None, index=0):
        """Number `index` of the seeds that an integer determines; by default the model's next."""
        if seed is None:
            return _backend.next_seed(self.seed_generator)
        return _backend.fixed_seed(seed, index)

    def _program(self, key, function):
        """`function` compiled as `compile` says, once for each key."""
        return self._programs.get(key, lambda: _backend.compiled(self, function))
