"""Mixture priors."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_aevb import arguments
from keras_aevb._backend import tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.conditional import family_config, split_arguments
from keras_aevb.distributions.family import Family
from keras_aevb.distributions.priors import Prior
from keras_aevb.typing import Config, Distribution, Shape, ShapeLike, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class MixturePrior(Prior):
    r"""A mixture of K distributions of one TFP family, with trained weights and parameters.

    $$p(z) = \sum_k π_k \, p(z; η_k), \qquad π = softmax(w)$$

    Args:
        family: as for `Conditional`.
        event_shape: as for `Conditional`.
        num_components: K ≥ 1.
        num_classes: as for `Conditional`.
        initializer: initializer of the components' parameters before their constraint. Default:
            standard normal, so that components differ.
        **parameters: TFP's parameters by name, as fixed numbers or arrays for all components. Also
            arguments of `keras.layers.Layer`.

    Raises:
        ValueError: as for `Conditional`, or if K is not a positive integer.

    Reference: Dilokthanakul et al. (2016), arXiv:1611.02648, sec. 3.

    Example:
        >>> prior = MixturePrior("Normal", 2, num_components=5, scale=0.3)
        >>> [tuple(weight.shape) for weight in prior.trainable_variables]
        [(5,), (5, 2)]
    """

    def __init__(
        self,
        family: str | type,
        event_shape: ShapeLike,
        num_components: int,
        num_classes: int | None = None,
        initializer: str | keras.initializers.Initializer = "random_normal",
        **parameters: Any,
    ) -> None:
        layer_arguments, fixed, heads = split_arguments(parameters)
        if heads:
            raise ValueError(f"Expected fixed numbers for parameters of a prior. Received: {heads}")
        super().__init__(event_shape, **layer_arguments)
        self.num_components = arguments.integer("num_components", num_components)
        if initializer == "random_normal":  # Keras' has a standard deviation of 0.05
            initializer = keras.initializers.RandomNormal(stddev=1.0)
        self.initializer = keras.initializers.get(initializer)
        self.family = Family(family, self.event_shape, fixed, num_classes=num_classes)
        self.logits = self.add_weight((num_components,), "zeros", name="logits")
        self.raw_values = [
            self.add_weight((num_components, *shape), self.initializer, name=name)
            for name, shape in self.family.raw_shapes.items()
        ]

    def distribution(self) -> Distribution:
        logits, *raw_values = (
            ops.cast(value, self.density_dtype) for value in (self.logits, *self.raw_values)
        )
        components = self.family.distribution(raw_values, self.density_dtype)
        return tfd.MixtureSameFamily(tfd.Categorical(logits), components)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            **family_config(self.family),
            "num_components": self.num_components,
            "initializer": keras.initializers.serialize(self.initializer),
        }


@keras.saving.register_keras_serializable(package="keras_aevb")
class VampPrior(Prior):
    r"""A mixture of the posteriors of K trained pseudo-inputs.

    $$p(z) = \frac1K \sum_k q(z|u_k)$$

    The prior uses the encoder and posterior of its model; their variables remain part of q(z|x).
    It cannot be the base of a `FlowPrior` or a level of a `HierarchicalPrior`.

    Args:
        num_components: K ≥ 1.
        initializer: initializer of the pseudo-inputs u, of shape `[K, *event_shape of x]`.
            Default: uniform between 0 and 1. `keras.initializers.Constant(x[:K])` starts from
            examples.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if K is not a positive integer.

    Reference: Tomczak & Welling (2018), arXiv:1705.07120, eq. 9.

    Example:
        >>> import keras_aevb as kv
        >>> parts = kv.networks.bernoulli_mlp(16, latent_dim=2)
        >>> model = kv.AEVB(**{**parts, "prior": VampPrior(5)}, bound=kv.ELBO(kl="sampled"))
        >>> tuple(model.prior.pseudo_inputs.shape)
        (5, 16)
    """

    def __init__(
        self,
        num_components: int,
        initializer: str | keras.initializers.Initializer | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("event_shape", None)  # it comes from the posterior
        super().__init__(1, **kwargs)
        self.num_components = arguments.integer("num_components", num_components)
        self.initializer = keras.initializers.get(
            initializer or keras.initializers.RandomUniform(0.0, 1.0)
        )
        self._bound_to: tuple[int, int] | None = None
        self.recognition: Callable[[Tensor], Distribution] | None = None

    def bind(
        self, encoder: keras.Layer, posterior: ConditionalDistribution, x_shape: Shape
    ) -> None:
        """Sets the q(z|x) of the prior's model; `VariationalModel` calls it.

        Args:
            encoder, posterior: the model's parts.
            x_shape: shape of an example.

        Raises:
            ValueError: if it is already bound to another encoder or posterior.
        """
        if self.recognition is not None:
            if self._bound_to != (id(encoder), id(posterior)):
                raise ValueError(
                    "Expected a VampPrior that no other model uses: it depends on its model's "
                    f"encoder. Received: {self.name!r}, the VampPrior of another model"
                )
            return
        self._bound_to = id(encoder), id(posterior)  # `recognition` keeps both alive
        self.event_shape = posterior.event_shape
        # A function hides the layers from Keras, which would otherwise track them as sublayers.
        self.recognition = lambda x: posterior.distribution(*posterior(encoder(x)))
        self.pseudo_inputs = self.add_weight(
            (self.num_components, *x_shape), self.initializer, name="pseudo_inputs"
        )

    def distribution(self) -> Distribution:
        if self.recognition is None:
            raise ValueError(
                "Expected a VampPrior that is part of a model with an encoder. Received: a "
                "VampPrior without a model"
            )
        q = self.recognition(ops.cast(self.pseudo_inputs, self.density_dtype))
        weights = tfd.Categorical(ops.zeros(self.num_components, self.density_dtype))
        return tfd.MixtureSameFamily(weights, q)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "num_components": self.num_components,
            "initializer": keras.initializers.serialize(self.initializer),
        }


def check_base(name: str, prior: Prior) -> None:
    """Raises a `ValueError` if a part of another prior depends on a model, as `VampPrior` does."""
    if isinstance(prior, VampPrior):
        raise ValueError(
            f"VampPrior depends on its model's encoder. Expected another prior as {name}. "
            f"Received: {prior!r}"
        )
