"""What the variational algorithms share: a recognition model q(z|x) beside p(x, z), and a bound."""

import keras
from keras import ops

from keras_aevb.bounds import ELBO
from keras_aevb.distributions import ConditionalDistribution, StandardNormal
from keras_aevb.models.latent_variable_model import LatentVariableModel, check_type


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

    Raises:
        ValueError: if a part is not of its type, does not accept what the one before it returns,
            or posterior, prior and bound do not fit together.
    """

    parts = ("encoder", "decoder", "posterior", "likelihood", "prior", "bound")

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
        check_type("posterior", posterior, ConditionalDistribution)
        prior = StandardNormal(posterior.event_shape) if prior is None else prior
        bound = ELBO() if bound is None else bound
        super().__init__(decoder, likelihood, prior, bound.terms + self.extra_terms, seed, **kwargs)
        self.encoder = encoder
        self.posterior = posterior
        self.bound = bound
        parameters = self.posterior(self.encoder(keras.Input(self.likelihood.event_shape)))
        ones = [ops.ones((1, *p.shape[1:]), p.dtype) for p in parameters]
        self.check_parts(self.posterior.distribution(*ones), self.prior.distribution())

    def check_parts(self, q, prior):
        """Raises a `ValueError` if q(z|x) and p(z) do not fit together, or not this algorithm."""
        if q.event_shape != prior.event_shape:
            raise ValueError(
                "Posterior and prior must be distributions over the same z. Received: posterior "
                f"with event shape {tuple(q.event_shape)}, prior with event shape "
                f"{tuple(prior.event_shape)}"
            )
        self.bound.check(q, prior)

    @property
    def rising_terms(self):
        return (self.bound.name, "reconstruction")

    def encode(self, x, training=False):
        """q(z|x), a TFP distribution of batch shape `[B]`, for x of shape `[B, *event_shape]`.

        Raises:
            ValueError: if x does not have the likelihood's event shape.
        """
        return self.posterior.distribution(*self._encoder_parameters(x, training))

    def _recognition(self, x):
        return self.encode(x)

    def _encoder_parameters(self, x, training):
        x = ops.convert_to_tensor(x)
        self._check_shape("x", tuple(x.shape[1:]), self.likelihood.event_shape)
        return self.posterior(self.encoder(x, training=training))

    def call(self, x, training=False):
        """The mean of p(x|z) at the mean of q(z|x)."""
        return self.decode(self.encode(x, training).mean(), training).mean()

    def reconstruct(self, x):
        """The mean of p(x|z) at the mean of q(z|x), an array of the shape of `x`."""
        return self.predict(x, verbose=0)

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
        bound = self.bound.from_config({**self.bound.get_config(), "num_samples": num_samples})

        def batch_elbo(x, seed):
            q, prior = self.encode(x), self.prior.distribution()
            return bound(x, q, prior, self.decode, seed)[bound.name]

        return self._over_batches(("elbo", num_samples), batch_elbo, x, batch_size, seed)
