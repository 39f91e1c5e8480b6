"""Priors p(z)."""

from typing import Unpack

import keras
from keras import ops

from keras_aevb.distributions.base import as_event_shape
from keras_aevb.distributions.normals import diagonal_normal
from keras_aevb.distributions.precision import at_least_float32, check_precision
from keras_aevb.typing import Config, Distribution, LayerArguments, ShapeLike


class Prior(keras.layers.Layer):
    """A distribution over z without inputs, as a layer that can have trainable weights.

    A subclass implements `distribution`, and `get_config` if its constructor takes more arguments.

    Args:
        event_shape: shape of z, an integer or a tuple.

    Raises:
        ValueError: if `event_shape` has a dimension that is not a positive integer, or densities
            cannot be computed in the layer's precision.

    Example:
        >>> if keras.backend.backend() == "jax":
        ...     from tensorflow_probability.substrates import jax as tfp
        ... else:
        ...     import tensorflow_probability as tfp
        >>> class Shifted(Prior):
        ...     # N(m, I) with a trained mean
        ...     def __init__(self, event_shape, **kwargs):
        ...         super().__init__(event_shape, **kwargs)
        ...         self.mean = self.add_weight(self.event_shape, "ones", name="mean")
        ...
        ...     def distribution(self):
        ...         mean = ops.cast(self.mean, self.density_dtype)
        ...         return tfp.distributions.MultivariateNormalDiag(mean, ops.ones_like(mean))
        >>> float(Shifted(2).distribution().log_prob([1.0, 1.0]))  # -log 2π
        -1.8378770
    """

    def __init__(self, event_shape: ShapeLike, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        check_precision(self)
        self.event_shape = as_event_shape(event_shape)
        self.built = True

    @property
    def density_dtype(self) -> str:
        """The precision of densities: the layer's, but at least float32."""
        return at_least_float32(self.variable_dtype)

    def distribution(self) -> Distribution:
        """The TFP distribution of batch shape `[]` and event shape `event_shape`."""
        raise NotImplementedError

    def get_config(self) -> Config:
        return {**super().get_config(), "event_shape": self.event_shape}


@keras.saving.register_keras_serializable(package="keras_aevb")
class StandardNormal(Prior):
    """The centred isotropic normal distribution, p(z) = N(z; 0, I).

    Args:
        event_shape: shape of z, an integer or a tuple.

    Reference: Kingma & Welling (2013), sec. 3.

    Example:
        >>> prior = StandardNormal(2).distribution()
        >>> float(prior.log_prob([0.0, 0.0]))  # -log 2π
        -1.8378770351409912
    """

    def distribution(self) -> Distribution:
        zeros = ops.zeros(self.event_shape, self.density_dtype)
        return diagonal_normal(zeros, ops.ones_like(zeros), self.event_shape)
