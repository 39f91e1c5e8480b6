"""Any TFP family as a conditional distribution, and as a prior."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_aevb.distributions.base import (
    CHUNK_SIZE,
    ConditionalDistribution,
    as_event_shape,
)
from keras_aevb.distributions.family import Family, as_fixed
from keras_aevb.distributions.priors import Prior
from keras_aevb.typing import Config, Distribution, Shape, ShapeLike, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class Conditional(ConditionalDistribution):
    r"""A distribution of any TFP family, whose parameters are computed from features.

    A head computes each parameter. TFP's bijector maps the head's output to valid values: softplus
    makes a scale, and a Cholesky factor becomes a triangular matrix with a positive diagonal.

    Args:
        family: name of a class of `tfp.distributions`, such as `"Gamma"`, or the class; or one of
            `"Reciprocal"`, `"Gompertz"`, `"F"` and `"MultivariateStudentT"`, which TFP lacks.
        event_shape: shape of an event, an integer or a tuple. The elements of a scalar family are
            independent; a family over vectors, such as `"MultivariateNormalTriL"` and
            `"Dirichlet"`, uses the last dimension.
        num_classes: number of classes, for families such as `"Categorical"`.
        **parameters: TFP's parameters by name, each a fixed number or array, or a Keras layer from
            features to the values before the constraint. `Trainable()` trains values that are the
            same for every example. Default: a dense layer. Also arguments of `keras.layers.Layer`.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Returns:
        The values before the constraint of each parameter that is not fixed, of shape
        `[B, *parameter_shape(name)]`.

    Raises:
        ValueError: if TFP has no such family or parameter; if all parameters are fixed; or if one
            is invalid, is neither a layer nor finite numbers, or needs `num_classes` or a fixed
            value.

    Reference: Kingma & Welling (2013), sec. 2.4; `parameter_properties` of TFP.

    Example:
        >>> import numpy as np
        >>> features = np.zeros((1, 5), "float32")
        >>> gamma = Conditional("Gamma", 8, concentration=2.0)
        >>> q = gamma.distribution(*gamma(features))
        >>> tuple(q.batch_shape), tuple(q.event_shape)
        ((1,), (8,))
        >>> full_covariance = Conditional("MultivariateNormalTriL", 8)
        >>> pixels = Conditional("Categorical", (28, 28), num_classes=256)
        >>> import keras_aevb as kv
        >>> student = Conditional("StudentT", 8, df=4.0, scale=kv.Trainable(()))
    """

    def __init__(
        self,
        family: str | type,
        event_shape: ShapeLike,
        num_classes: int | None = None,
        **parameters: Any,
    ) -> None:
        layer_arguments, fixed, heads = split_arguments(parameters)
        event_shape = as_event_shape(event_shape)
        self.family = Family(family, event_shape, fixed, heads, num_classes)
        if not self.family.parameters:
            raise ValueError(
                "Expected a parameter that depends on the features. Received only fixed ones: "
                f"{fixed}"
            )
        heads = {name: heads.get(name) for name in self.family.parameters}
        super().__init__(event_shape, heads, **layer_arguments)

    def parameter_shape(self, name: str) -> Shape:
        return self.family.raw_shapes[name]

    def distribution(self, *parameters: Tensor) -> Distribution:
        return self.family.distribution(parameters, self.density_dtype)

    def check_support(self, x: np.ndarray) -> None:
        if self.family.is_count:
            check_counts(x, self.family.name)
        elif self.family.num_classes is None:
            super().check_support(x)
        elif not np.isin(x, np.arange(self.family.num_classes)).all():  # TFP admits one more
            raise ValueError(
                f"Expected classes from 0 to {self.family.num_classes - 1}. "
                f"Received: values from {x.min()} to {x.max()}"
            )

    def get_config(self) -> Config:
        return {**super().get_config(), **family_config(self.family)}


@keras.saving.register_keras_serializable(package="keras_aevb")
class Unconditional(Prior):
    """A prior of any TFP family, with fixed or trained parameters.

    Args:
        family: as for `Conditional`.
        event_shape: as for `Conditional`.
        num_classes: as for `Conditional`.
        **parameters: TFP's parameters by name, each a fixed number or array. Default: trainable
            values, which start at 0 (`mean_direction`: at 1) before the constraint. Also arguments
            of `keras.layers.Layer`.

    Raises:
        ValueError: if TFP has no such family or parameter, or a parameter is invalid, is not finite
            numbers, or needs `num_classes` or a fixed value.

    Example:
        >>> prior = Unconditional("Gamma", 2, concentration=1.0, rate=1.0).distribution()
        >>> float(prior.log_prob([1.0, 2.0]))
        -3.0
    """

    def __init__(
        self,
        family: str | type,
        event_shape: ShapeLike,
        num_classes: int | None = None,
        **parameters: Any,
    ) -> None:
        layer_arguments, fixed, heads = split_arguments(parameters)
        if heads:
            raise ValueError(
                f"Expected fixed numbers for parameters of a prior. Received: {heads}. A parameter "
                "that is left out is trained"
            )
        super().__init__(event_shape, **layer_arguments)
        self.family = Family(family, self.event_shape, fixed, num_classes=num_classes)
        self.raw_values = [
            # A zero vector has no direction.
            self.add_weight(shape, "ones" if name == "mean_direction" else "zeros", name=name)
            for name, shape in self.family.raw_shapes.items()
        ]

    def distribution(self) -> Distribution:
        values = [keras.ops.cast(raw, self.density_dtype) for raw in self.raw_values]
        return self.family.distribution(values, self.density_dtype)

    def get_config(self) -> Config:
        return {**super().get_config(), **family_config(self.family)}


def check_counts(x: np.ndarray, family: str) -> None:
    """Raises a `ValueError` unless all values are 0, 1, 2, …"""
    whole = all(
        (chunk == np.floor(chunk)).all()
        for chunk in (x[i : i + CHUNK_SIZE] for i in range(0, len(x), CHUNK_SIZE))
    )
    if x.min() < 0 or not whole:
        kind = "whole" if whole else "fractional"
        raise ValueError(
            f"Expected counts, inside the support of {family}; other values have probability "
            f"zero. Received: {kind} numbers from {x.min()} to {x.max()}"
        )


def split_arguments(parameters: Mapping[str, Any]) -> tuple[Config, Config, dict[str, keras.Layer]]:
    """Arguments of `keras.layers.Layer`, fixed parameters, and layers that compute parameters."""
    layer_arguments, fixed, heads = {}, {}, {}
    for name, value in parameters.items():
        if name in ("name", "dtype", "trainable", "activity_regularizer", "autocast"):
            layer_arguments[name] = value
        elif isinstance(value, keras.layers.Layer):
            heads[name] = value
        elif value is not None:
            fixed[name] = as_fixed(name, value)
    return layer_arguments, fixed, heads


def family_config(family: Family) -> Config:
    return {"family": family.saved_name(), "num_classes": family.num_classes, **family.fixed}
