"""The base class of distributions that wrap another conditional distribution."""

from typing import Any

import keras

from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.typing import Config, Shape, Tensor


class Wrapper(ConditionalDistribution):
    """A conditional distribution with the parameters of another one, its `base`.

    A subclass implements `distribution`.

    Args:
        base: `ConditionalDistribution`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `base` is not a `ConditionalDistribution`.
    """

    def __init__(self, base: ConditionalDistribution, **kwargs: Any) -> None:
        if not isinstance(base, ConditionalDistribution):
            raise ValueError(f"Expected a ConditionalDistribution as base. Received: {base!r}")
        kwargs.pop("event_shape", None)  # it comes from the base
        super().__init__(base.event_shape, {}, **kwargs)
        self.base = base

    def build(self, features_shape: Shape) -> None:
        if not self.base.built:
            self.base.build(features_shape)

    def call(self, features: Tensor) -> tuple[Tensor, ...]:
        return self.base(features)

    def get_config(self) -> Config:
        return {**super().get_config(), "base": keras.saving.serialize_keras_object(self.base)}
