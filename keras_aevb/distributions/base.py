"""p(y | features): a Keras layer from features to the parameters of a TFP distribution."""

import math
from collections.abc import Sequence
from typing import Any, Self, Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import arguments
from keras_aevb._backend import tfd
from keras_aevb._backend.kinds import is_kind
from keras_aevb.distributions.precision import at_least_float32, check_precision
from keras_aevb.typing import Config, Distribution, LayerArguments, Shape, ShapeLike, Tensor

# Examples per check of the support.
CHUNK_SIZE = 1000


def as_event_shape(shape: ShapeLike) -> Shape:
    """An integer or a sequence of integers as a tuple.

    Raises:
        ValueError: if a dimension is not a positive integer, or an event has more elements than
            int32 can index.
    """
    sizes = shape if isinstance(shape, list | tuple | np.ndarray) else (shape,)
    try:
        sizes = tuple(arguments.integer("event_shape", size) for size in sizes)
        arguments.integer("event_shape", math.prod(sizes) if sizes else 0)
    except (TypeError, ValueError):
        raise ValueError(
            "Expected `event_shape` to be a positive integer or a tuple of them, of at most "
            f"{arguments.LARGEST_SIZE} elements. Received: {shape!r}"
        ) from None
    return sizes


def check_head(name: str, head: Any) -> None:
    """Raises a `ValueError` if the head of a parameter is neither a Keras layer nor `None`."""
    if head is not None and not isinstance(head, keras.layers.Layer):
        raise ValueError(f"Expected `{name}` to be a Keras layer or None. Received: {head!r}")


def validating(distribution: Any) -> Distribution:
    """A TFP distribution with `validate_args=True`, if its class has this argument."""
    if is_kind(distribution, tfd.Independent):
        inner = validating(distribution.distribution)
        return tfd.Independent(inner, distribution.reinterpreted_batch_ndims)
    if "validate_args" not in distribution.parameters:  # a user's own class
        return distribution
    return distribution.copy(validate_args=True)


@keras.saving.register_keras_serializable(package="keras_aevb")
class Trainable(keras.layers.Layer):
    """A head that ignores the features: trainable values, the same for every example.

    Args:
        shape: shape of the values, `()` for one number. Default: the shape of the parameter.
        initializer: initializer of the values, before the parameter's constraint.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:
        >>> import keras_aevb as kv
        >>> one_variance = kv.Normal(12, log_variance=Trainable(()))
        >>> one_variance_per_pixel = kv.Normal(12, log_variance=Trainable())
    """

    def __init__(
        self,
        shape: ShapeLike | None = None,
        initializer: str | keras.initializers.Initializer = "zeros",
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.is_scalar = isinstance(shape, list | tuple) and not len(shape)
        self.shape = None if shape is None or self.is_scalar else as_event_shape(shape)
        self.initializer = keras.initializers.get(initializer)
        self.parameter_shape = self.shape

    def build(self, features_shape: Shape) -> None:
        shape = () if self.is_scalar else self.shape or self.parameter_shape
        self.value = self.add_weight(shape, self.initializer, name="value")

    def call(self, features: Tensor) -> Tensor:
        flat = ops.reshape(features, (ops.shape(features)[0], -1))  # [B, F]
        zeros = ops.zeros_like(flat[:, :1], self.value.dtype)  # [B, 1]
        values = ops.broadcast_to(self.value, self.parameter_shape)
        # For one value, TensorFlow does not infer the width of the sum.
        return ops.reshape(zeros + ops.reshape(values, (1, -1)), (-1, math.prod(values.shape)))

    def get_build_config(self) -> Config:
        return {**super().get_build_config(), "parameter_shape": self.parameter_shape}

    def build_from_config(self, config: Config) -> None:
        self.parameter_shape = tuple(config["parameter_shape"])
        super().build_from_config({"input_shape": config["input_shape"]})

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "shape": () if self.is_scalar else self.shape,
            "initializer": keras.initializers.serialize(self.initializer),
        }


class ConditionalDistribution(keras.layers.Layer):
    """A distribution over events y whose parameters are computed from features.

    The layer's `call` returns parameter tensors, each of shape `[B, *parameter_shape(name)]`;
    `distribution(*parameters)` makes a TFP distribution of batch shape `[B]` from them. A subclass
    passes a head for each parameter, a layer from features to values, and implements
    `distribution`. It also implements `parameter_shape` if a parameter does not have the shape of
    an event.

    Args:
        event_shape: shape of one event y, an integer or a tuple.
        heads: dict from a parameter's name to the Keras layer that computes it, or `None` for an
            affine map of the flattened features.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Raises:
        ValueError: if `event_shape` has a dimension that is not a positive integer, a head is not
            a Keras layer or its output does not have the size of its parameter, or densities cannot
            be computed in the layer's precision.

    Example:
        >>> if keras.backend.backend() == "jax":
        ...     from tensorflow_probability.substrates import jax as tfp
        ... else:
        ...     import tensorflow_probability as tfp
        >>> class Laplace(ConditionalDistribution):
        ...     # Independent Laplace distributions of one scale
        ...     def __init__(self, event_shape, scale=1.0, mean=None, **kwargs):
        ...         super().__init__(event_shape, {"mean": mean}, **kwargs)
        ...         self.scale = scale
        ...
        ...     def distribution(self, mean):
        ...         pixels = tfp.distributions.Laplace(mean, self.scale)
        ...         return tfp.distributions.Independent(pixels, len(self.event_shape))
        >>> likelihood = Laplace(3)
        >>> parameters = likelihood(np.zeros((2, 5)))  # two examples with five features
        >>> p = likelihood.distribution(*parameters)
        >>> [float(log_p) for log_p in p.log_prob(np.zeros((2, 3), "float32"))]  # -3 log 2
        [-2.0794415, -2.0794415]
    """

    def __init__(
        self,
        event_shape: ShapeLike,
        heads: dict[str, keras.Layer | None],
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        check_precision(self)
        self.event_shape = as_event_shape(event_shape)
        if not isinstance(heads, dict):
            raise ValueError(
                f"Expected `heads` to be a dict from names to Keras layers. Received: {heads!r}"
            )
        for name, head in heads.items():
            check_head(name, head)
        # Without the batch axis; set by the model.
        self.parameter_shapes: Sequence[Shape] | None = None
        self.heads = {
            name: self._default_head(name) if h is None else h for name, h in heads.items()
        }
        for name, head in self.heads.items():
            if isinstance(head, Trainable):
                head.parameter_shape = self.parameter_shape(name)

    def parameter_shape(self, name: str) -> Shape:
        """The shape of the head's output for one example."""
        return self.event_shape

    def _default_head(self, name: str) -> keras.Layer:
        size = math.prod(self.parameter_shape(name))
        layers = [keras.layers.Flatten(), keras.layers.Dense(size, dtype=self.dtype_policy)]
        return keras.Sequential(layers, name=name)

    def build(self, features_shape: Shape) -> None:
        for name, head in self.heads.items():
            if not head.built:
                head.build(features_shape)
            features = keras.KerasTensor(features_shape, self.compute_dtype)
            output_shape = head.compute_output_spec(features).shape
            shape = self.parameter_shape(name)
            if math.prod(output_shape[1:]) != math.prod(shape):
                raise ValueError(
                    f"Expected the layer for `{name}` of {self.__class__.__name__} to return "
                    f"{math.prod(shape)} values for each example, of shape {shape}, for "
                    f"event_shape={self.event_shape}. Received: output of shape {output_shape} for "
                    f"features of shape {features_shape}"
                )

    def call(self, features: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            ops.cast(
                ops.reshape(head(features), (-1, *self.parameter_shape(name))), self.density_dtype
            )
            for name, head in self.heads.items()
        )

    @property
    def density_dtype(self) -> str:
        """The precision of densities: the layer's, but at least float32."""
        return at_least_float32(self.compute_dtype)

    def distribution(self, *parameters: Any, **named: Any) -> Distribution:
        """The TFP distribution of batch shape `[B]` and event shape `event_shape`.

        Args:
            *parameters: the tensors that `call` returns, possibly with more leading batch
                dimensions. A subclass may give them names.
        """
        raise NotImplementedError

    def filled(self, x: Any) -> Any:
        """x for the encoder; a subclass may fill in missing values."""
        return x

    def check(self, x: np.ndarray) -> None:
        """Raises a `ValueError` if the NumPy array `x` is not a batch of events."""
        name = self.__class__.__name__
        if x.shape[1:] != self.event_shape or not len(x):
            hint = "; `x[None]` is a batch of one example" if x.shape == self.event_shape else ""
            raise ValueError(
                f"Expected examples of event shape {self.event_shape}, at least one, for a {name} "
                f"distribution. Received: an array of shape {x.shape}{hint}"
            )
        if not np.isfinite([x.min(), x.max()]).all():  # NaN if any value is
            raise ValueError(
                f"Expected finite data for a {name} distribution. Received: {np.isnan(x).sum()} "
                f"NaN and {np.isinf(x).sum()} infinite values"
            )
        self.check_support(x)

    def check_support(self, x: np.ndarray) -> None:
        """Raises a `ValueError` if a finite value of the NumPy array `x` has probability zero.

        TFP's validation finds these values by evaluating the density, with all parameters 1, once
        the layer is part of a model. A subclass that knows its support should override this method
        with a comparison, which is cheaper.
        """
        if self.parameter_shapes is None:
            return  # not part of a model yet
        parameters = [ops.ones((1, *shape), self.density_dtype) for shape in self.parameter_shapes]
        distribution = validating(self.distribution(*parameters))
        for start in range(0, len(x), CHUNK_SIZE):
            chunk = x[start : start + CHUNK_SIZE]
            try:
                possible = np.isfinite(np.asarray(distribution.log_prob(chunk)))
                cause = "a log density that is not finite"
            except Exception as error:  # TFP's errors differ between backends and distributions
                possible = np.zeros(1, bool)
                cause = f"the error {str(error).strip().splitlines()[0]!r}"
            if not possible.all():
                raise ValueError(
                    f"Expected examples inside the support of {distribution.name}; values outside "
                    f"have probability zero. Received: values from {chunk.min()} to "
                    f"{chunk.max()}, with {cause}"
                )

    def get_config(self) -> Config:
        heads = {n: keras.saving.serialize_keras_object(h) for n, h in self.heads.items()}
        return {**super().get_config(), "event_shape": self.event_shape, **heads}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})
