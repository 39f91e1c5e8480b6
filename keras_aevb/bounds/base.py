"""What the estimators of a bound share."""

import keras

from keras_aevb import arguments
from keras_aevb._backend import tfp
from keras_aevb.distributions.precision import check_precision


class Bound(keras.layers.Layer):
    """An estimator of a lower bound on log p(x) from L samples of z.

    A subclass implements `__call__`, and `get_config` if its constructor has further arguments. It
    is a Keras layer: its variables are the model's, read by compiled steps, trained if they are
    trainable, and saved. A number that changes during training belongs in a variable:
    `self.beta = self.add_weight((), initializer="ones", trainable=False)`. Another attribute is a
    constant of the compiled step; a changed one makes `fit` compile again.

    Args:
        num_samples: L ≥ 1, the number of samples of z for each example.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `num_samples` is not a positive integer, or the layer's precision is not one
            for densities.

    Example:
        >>> import keras_aevb as kv
        >>> @keras.saving.register_keras_serializable("my_package")
        ... class Tempered(kv.Bound):
        ...     def __init__(self, beta=1.0, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.beta = beta
        ...
        ...     def __call__(self, x, q, prior, decode, seed):
        ...         z = q.sample(self.num_samples, seed=seed)
        ...         reconstruction = keras.ops.mean(decode(z).log_prob(x), axis=0)
        ...         kl = q.kl_divergence(prior)
        ...         elbo = reconstruction - self.beta * kl
        ...         return {"elbo": elbo, "reconstruction": reconstruction, "kl": kl}
        ...
        ...     def get_config(self):
        ...         return {**super().get_config(), "beta": self.beta}
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2), bound=Tempered(beta=0.5))
    """

    # The name of the term that is the bound, and the names of all that `__call__` returns.
    objective = "elbo"
    terms: tuple[str, ...] = ("elbo", "reconstruction", "kl")
    # Whether the gradient in q's parameters passes through the samples z.
    reparameterized = True

    def __init__(self, num_samples=1, **kwargs):
        super().__init__(**kwargs)
        check_precision(self)
        self.num_samples = arguments.integer("num_samples", num_samples)
        self.built = True

    def __call__(self, x, q, prior, decode, seed):
        """The bound and its terms for each example.

        Args:
            x: data of shape `[B, *event_shape]`.
            q: TFP distribution q(z|x) of batch shape `[B]`.
            prior: TFP distribution p(z) of batch shape `[]`.
            decode: function from z of shape `[L, B, ...]` to the TFP distribution p(x|z).
            seed: TFP seed of the samples.

        Returns:
            Dict from each of `terms` to a tensor of shape `[B]`, in nats.
        """
        raise NotImplementedError

    def with_num_samples(self, num_samples):
        """This bound with another L: the same variables and attributes."""
        other = object.__new__(type(self))
        vars(other).update(vars(self), num_samples=arguments.integer("num_samples", num_samples))
        return other

    def check(self, q, prior):
        """Raises a `ValueError` if the bound cannot be computed for q(z|x) and p(z)."""

    def check_gradient(self, q):
        """Raises a `ValueError` if the bound's gradient does not train q(z|x)."""
        fully = tfp.distributions.FULLY_REPARAMETERIZED
        if self.reparameterized and q.reparameterization_type != fully:
            raise ValueError(
                f"{self.__class__.__name__} needs a reparameterisable posterior. Expected "
                f"z = g(ε, x) with a gradient through g. Received: {q}. `WakeSleep`, or AEVB with "
                "`bound=ScoreFunctionELBO()`, trains any posterior; a bound of your own whose "
                "gradient does not pass through z says so with `reparameterized = False`"
            )

    def get_config(self):
        return {**super().get_config(), "num_samples": self.num_samples}
