"""What all algorithms share: p(x, z) and q(z|x), made of parts that the user hands in."""

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend
from keras_aevb.bounds import ELBO
from keras_aevb.distributions import ConditionalDistribution, Prior, StandardNormal
from keras_aevb.models import _examples
from keras_aevb.models.training_loop import TrainingLoop

PARTS = ("encoder", "decoder", "posterior", "likelihood", "prior", "bound")


class LatentVariableModel(TrainingLoop):
    """A generative model p(z) p(x|z) with a recognition model q(z|x).

    A subclass is an algorithm: it implements `objective`. All parts are built in the constructor,
    so that whatever does not fit together is known before any data is.

    Args:
        encoder: Keras model from x to features.
        decoder: Keras model from z to features.
        posterior: `ConditionalDistribution` from the encoder's features to q(z|x).
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z). Default: a standard normal of the posterior's event shape.
        bound: estimator of the lower bound on log p(x). Default: `ELBO()`.
        seed: integer that fixes all noise. Default: a random one.
    """

    # Names of what `objective` returns beside the terms of the bound.
    extra_terms: tuple[str, ...] = ()

    def __init__(
        self,
        encoder,
        decoder,
        posterior,
        likelihood,
        prior=None,
        bound=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _check_types(posterior, likelihood, prior)
        self.encoder = encoder
        self.decoder = decoder
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = StandardNormal(posterior.event_shape) if prior is None else prior
        self.bound = ELBO() if bound is None else bound
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.term_means = [keras.metrics.Mean(name) for name in self.bound.terms + self.extra_terms]
        self._programs = {}
        self._build_parts()

    def check_parts(self, q, prior):
        """Raises a `ValueError` if q(z|x) and p(z) do not fit together, or not this algorithm."""
        if q.event_shape != prior.event_shape:
            raise ValueError(
                "Posterior and prior must be distributions over the same z. Received: posterior "
                f"with event shape {tuple(q.event_shape)}, prior with event shape "
                f"{tuple(prior.event_shape)}"
            )
        self.bound.check(q, prior)

    # Distributions

    def encode(self, x, training=False):
        """q(z|x), a TFP distribution of batch shape `[B]`, for x of shape `[B, *event_shape]`.

        Raises:
            ValueError: if x does not have the likelihood's event shape.
        """
        return self.posterior.distribution(*self._encoder_parameters(x, training))

    def decode(self, z, training=False):
        """p(x|z), a TFP distribution of batch shape `[...]`, for z of shape `[..., *event_shape]`.

        Raises:
            ValueError: if z does not have the posterior's event shape.
        """
        z = ops.convert_to_tensor(z)
        rank = len(self.posterior.event_shape)
        self._check_shape("z", tuple(z.shape[z.ndim - rank :]), self.posterior.event_shape)
        batch_shape = ops.shape(z)[: z.ndim - rank]
        features = self.decoder(
            ops.reshape(z, (-1, *self.posterior.event_shape)), training=training
        )
        parameters = self.likelihood(features)  # each [product of batch_shape, *event_shape]
        return self.likelihood.distribution(
            *(ops.reshape(p, (*batch_shape, *self.likelihood.event_shape)) for p in parameters)
        )

    def decoder_of(self, training):
        """`decode` as a function of z alone, as bounds want it."""
        return lambda z: self.decode(z, training)

    def _encoder_parameters(self, x, training):
        x = ops.convert_to_tensor(x)
        self._check_shape("x", tuple(x.shape[1:]), self.likelihood.event_shape)
        return self.posterior(self.encoder(x, training=training))

    def _check_shape(self, name, received, expected):
        if received != expected:
            raise ValueError(
                f"Expected {name} with event shape {expected}. Received: event shape {received}"
            )

    # Arrays in, arrays out

    def call(self, x, training=False):
        """The mean of p(x|z) at the mean of q(z|x)."""
        return self.decode(self.encode(x, training).mean(), training).mean()

    def reconstruct(self, x):
        """The mean of p(x|z) at the mean of q(z|x), an array of the shape of `x`."""
        return self.predict(x, verbose=0)

    def sample(self, n, seed=None):
        """Draws x from the model: z ~ p(z), then x ~ p(x|z).

        Args:
            n: number of samples.
            seed: integer that fixes the samples. Default: the model's own stream.

        Returns:
            NumPy array of shape `[n, *event_shape]`.
        """
        program = self._program(("sample", n), lambda *seeds: self.draw(n, *seeds)[0])
        return np.asarray(program(self._seed(seed, 0), self._seed(seed, 1)))

    def draw(self, n, z_seed, x_seed, training=False):
        """A dream (x, z): n pairs of tensors from p(z) p(x|z)."""
        z = self.prior.distribution().sample(n, seed=z_seed)
        return self.decode(z, training).sample(seed=x_seed), z

    def elbo(self, x, num_samples=1, batch_size=1000, seed=None):
        """The model's bound on log p(x), estimated for each example.

        Args:
            x: data of shape `[N, *event_shape]`.
            num_samples: Monte Carlo samples of z for each example.
            batch_size: examples that are evaluated together.
            seed: integer that fixes the noise. Default: the model's own stream.

        Returns:
            NumPy array of shape `[N]`, in nats.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero.
        """
        config = {**self.bound.get_config(), "num_samples": num_samples}
        bound = self.bound.from_config(config)

        def batch_elbo(x, seed):
            x = ops.cast(x, self.likelihood.density_dtype)
            q, prior = self.encode(x), self.prior.distribution()
            return bound(x, q, prior, self.decode, seed)[bound.name]

        program = self._program(("elbo", num_samples), batch_elbo)
        x = _examples.as_array(x)
        self.likelihood.check(x)
        values = [
            np.asarray(program(batch, self._seed(seed, i)))[:length]
            for i, (batch, length) in enumerate(_examples.padded_batches(x, batch_size))
        ]
        return np.concatenate(values)

    # Building and saving

    def _build_parts(self):
        z_shape, x_shape = self.posterior.event_shape, self.likelihood.event_shape
        parameters = self.posterior(self.encoder(keras.Input(x_shape)))
        self.likelihood(self.decoder(keras.Input(z_shape)))
        self.built = True
        ones = [ops.ones((1, *p.shape[1:]), p.dtype) for p in parameters]
        self.check_parts(self.posterior.distribution(*ones), self.prior.distribution())

    def _seed(self, seed=None, index=0):
        """Number `index` of the seeds that an integer determines; by default the model's next."""
        if seed is None:
            return _backend.next_seed(self.seed_generator)
        return _backend.fixed_seed(seed, index)

    def _program(self, key, function):
        """`function` compiled as `compile` says, once for each key."""
        key = (*key, self.run_eagerly, self.jit_compile)
        if key not in self._programs:
            self._programs[key] = _backend.compiled(self, function)
        return self._programs[key]

    def get_config(self):
        parts = {p: keras.saving.serialize_keras_object(getattr(self, p)) for p in PARTS}
        return {**super().get_config(), **parts, "seed": self.seed}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            p: keras.saving.deserialize_keras_object(config[p], custom_objects=custom_objects)
            for p in PARTS
        }
        return cls(**{**config, **parts})


def _check_types(posterior, likelihood, prior):
    for name, part in (("posterior", posterior), ("likelihood", likelihood)):
        if not isinstance(part, ConditionalDistribution):
            raise ValueError(
                f"Expected `{name}` to be a ConditionalDistribution. Received: {part!r}"
            )
    if not isinstance(prior, Prior | None):
        raise ValueError(f"Expected `prior` to be a Prior. Received: {prior!r}")
