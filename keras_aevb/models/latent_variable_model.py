"""What all algorithms share: p(x, z), made of parts that the user hands in."""

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments, marginal_likelihood
from keras_aevb.distributions import ConditionalDistribution, Prior
from keras_aevb.distributions.precision import check_precision
from keras_aevb.models import parts
from keras_aevb.models.serialization import SerializableModel
from keras_aevb.models.training_loop import TrainingLoop
from keras_aevb.training import inputs


class LatentVariableModel(SerializableModel, TrainingLoop):
    """A generative model p(x, z) = p(z) p(x|z).

    A subclass is an algorithm: it implements `objective`. All parts are built in the constructor,
    so that whatever does not fit together is known before any data is.

    Args:
        decoder: Keras model from z to features.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z).
        terms: names of what `objective` returns for the logs.
        seed: integer that fixes all noise. Default: a random one.

    Raises:
        ValueError: if a part is not of its type, or does not accept what the one before it
            returns.
    """

    # The constructor's arguments that are objects, in order.
    parts: tuple[str, ...] = ("decoder", "likelihood", "prior")

    def __init__(self, decoder, likelihood, prior, terms, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_precision(self)
        parts.check_type("likelihood", likelihood, ConditionalDistribution)
        parts.check_type("prior", prior, Prior)
        parts.check_network("decoder", decoder)
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.seed = arguments.seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.term_means = [keras.metrics.Mean(name) for name in terms]
        features = self.decoder(keras.Input(prior.event_shape, dtype=prior.density_dtype))
        p = parts.example_distribution(likelihood, features)
        parts.check_distribution("likelihood", p, (parts.BATCH,), likelihood.event_shape)
        parts.check_distribution("prior", prior.distribution(), (), prior.event_shape)
        self.built = True

    # Distributions

    def decode(self, z, training=False):
        """p(x|z), a TFP distribution of batch shape `[...]`, for z of shape `[..., *event_shape]`.

        Raises:
            ValueError: if z does not have the prior's event shape.
        """
        z = ops.convert_to_tensor(z)
        rank = len(self.prior.event_shape)
        self._check_shape("z", tuple(z.shape[z.ndim - rank :]), self.prior.event_shape)
        batch_shape = ops.shape(z)[: z.ndim - rank]
        features = self.decoder(ops.reshape(z, (-1, *self.prior.event_shape)), training=training)
        parameters = self.likelihood(
            features, training=training
        )  # each [product of batch_shape, *event_shape]
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

    # Arrays in, arrays out

    def sample(self, n, seed=None):
        """Draws x from the model: z ~ p(z), then x ~ p(x|z).

        Args:
            n: number of samples.
            seed: integer that fixes the samples. Default: the model's own stream.

        Returns:
            NumPy array of shape `[n, *event_shape]`.

        Raises:
            ValueError: if n is not a positive integer, or `seed` not a valid seed.
        """
        n, seed = arguments.integer("n", n), arguments.seed(seed)
        program = self._program(("sample", n), lambda *seeds: self.sample_joint(n, *seeds)[0])
        return np.asarray(program(self._seed(seed, 0), self._seed(seed, 1)))

    def sample_joint(self, n, z_seed, x_seed, training=False):
        """Draws n pairs (x, z) ~ p(x, z), as tensors."""
        z = self.prior.distribution().sample(n, seed=z_seed)
        return self.decode(z, training).sample(seed=x_seed), z

    def log_likelihood(
        self,
        x,
        num_samples=None,
        method="importance",
        batch_size=100,
        seed=None,
        return_standard_error=False,
    ):
        """log p(x) of each example, estimated.

        Args:
            x: data of shape `[N, *event_shape]`.
            num_samples: Monte Carlo samples for each example. Default: the method's own.
            method: `"importance"`, `"annealed"`, `"density"` (App. D), or an estimator of
                `keras_aevb.marginal_likelihood`.
            batch_size: examples that are evaluated together.
            seed: integer that fixes the noise. Default: the model's own stream.
            return_standard_error: whether to return the standard errors too.

        Returns:
            NumPy array of shape `[N]`, in nats; or a pair of them, estimates and standard errors.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero, the method is
                unknown, or it needs a recognition model and there is none.
        """
        estimator = marginal_likelihood.get(method, num_samples)
        one_x = ops.zeros((1, *self.likelihood.event_shape))
        estimator.check(self._recognition(one_x), self.prior.distribution())

        def batch_log_likelihood(x, seed):
            q, prior = self._recognition(x), self.prior.distribution()
            return estimator(x, q, prior, self.decode, seed)

        key = (estimator.__class__, *estimator.get_config().items())
        estimates = self._over_batches(key, batch_log_likelihood, x, batch_size, seed)
        if return_standard_error:
            return estimates["log_likelihood"], estimates["standard_error"]
        return estimates["log_likelihood"]

    def _recognition(self, x):
        """q(z|x) of batch shape `[B]`, or `None` where the model has none."""
        return None

    # Programs on batches

    def _over_batches(self, key, function, x, batch_size, seed):
        """`function(batch, seed)`, which returns tensors of shape `[B]`, over all of `x`.

        Returns:
            NumPy array of shape `[N]`, or a structure of them.
        """
        seed = arguments.seed(seed)
        batch_size = arguments.integer("batch_size", batch_size)
        x = inputs.as_array(x)
        self.likelihood.check(x)

        def cast_first(x, seed):
            return function(ops.cast(x, self.likelihood.density_dtype), seed)

        # One program for one batch size: on TensorFlow, TFP's loops need to know it.
        program = self._program((*key, min(batch_size, len(x))), cast_first)
        results = [
            keras.tree.map_structure(
                lambda values, length=length: np.asarray(values)[:length],
                program(batch, self._seed(seed, i)),
            )
            for i, (batch, length) in enumerate(inputs.padded_batches(x, batch_size))
        ]
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *results)

    def _seed(self, seed=None, index=0):
        """Number `index` of the seeds that an integer determines; by default the model's next."""
        if seed is None:
            return _backend.next_seed(self.seed_generator)
        return _backend.fixed_seed(seed, index)

    def _program(self, key, function):
        """`function` compiled as `compile` says, once for each key."""
        return self._programs.get(key, lambda: _backend.compiled(self, function))
