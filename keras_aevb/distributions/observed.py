"""Likelihoods of examples with missing values."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import tfp_classes
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.family import as_fixed
from keras_aevb.distributions.wrapper import Wrapper
from keras_aevb.typing import ArrayLike, Config, Distribution, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class Observed(Wrapper):
    r"""A likelihood of the observed values only; NaN in x marks a missing value.

    $$\log p(x_{obs}|z) = \sum_{i \in obs} \log p(x_i|z)$$

    The model's bound is a bound on log p(x_obs). The encoder receives `fill` in place of missing
    values; `model.impute(x)` replaces them by estimates.

    Args:
        base: likelihood with independent elements, such as `Bernoulli`.
        fill: number or array inside the support; replaces missing values for the encoder.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `base` is not a `ConditionalDistribution`, or `fill` is not finite; when the
            model is built, if the elements of `base` are not independent.

    Reference: Nazabal et al. (2018), arXiv:1807.03653, sec. 3.1; Mattei & Frellsen (2019),
    arXiv:1812.02633.

    Example:
        >>> import keras_aevb as kv
        >>> parts = kv.networks.bernoulli_mlp(4, latent_dim=2)
        >>> model = kv.AEVB(**{**parts, "likelihood": Observed(kv.Bernoulli(4))})
        >>> model.compile()
        >>> x = np.array([[1.0, 0.0, np.nan, 1.0]])
        >>> model.impute(x)[0, [0, 1, 3]].tolist()
        [1.0, 0.0, 1.0]
    """

    def __init__(
        self, base: ConditionalDistribution, fill: ArrayLike | float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(base, **kwargs)
        self.fill = as_fixed("fill", fill)

    def distribution(self, *parameters: Tensor) -> Distribution:
        return tfp_classes.ObservedElements(self.base.distribution(*parameters), self.fill)

    def filled(self, x: Any) -> Any:
        """x with `fill` in place of missing values."""
        if isinstance(x, np.ndarray):
            return np.where(np.isnan(x), np.asarray(self.fill, x.dtype), x)
        return ops.where(ops.isnan(x), ops.convert_to_tensor(self.fill, x.dtype), x)

    def check(self, x: np.ndarray) -> None:
        if x.shape[1:] == self.event_shape:
            missing = np.isnan(x).reshape(len(x), -1).all(1)
            if missing.any():
                raise ValueError(
                    "Expected an observed value in every example. Received: "
                    f"{missing.sum()} of {len(x)} examples with only missing values"
                )
        self.base.parameter_shapes = self.parameter_shapes
        self.base.check(self.filled(x))

    def get_config(self) -> Config:
        return {**super().get_config(), "fill": self.fill}
