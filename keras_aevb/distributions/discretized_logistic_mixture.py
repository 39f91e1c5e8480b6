"""Likelihoods of whole numbers in a range, such as pixels from 0 to 255."""

from typing import Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import arguments, tfp_classes
from keras_aevb._backend import tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.typing import Config, Distribution, LayerArguments, Shape, ShapeLike, Tensor

# log s, with s in units of half the range from low to high: from about 1/1000 to 1000.
LOG_SCALE_BOUNDS = (-7.0, 7.0)


@keras.saving.register_keras_serializable(package="keras_aevb")
class DiscretizedLogisticMixture(ConditionalDistribution):
    r"""Independent whole numbers, each from a mixture of K logistic distributions.

    $$p(x) = \sum_k π_k \left[σ\left(\frac{x + ½ - μ_k}{s_k}\right)
    - σ\left(\frac{x - ½ - μ_k}{s_k}\right)\right]$$

    The first term is 1 for x = `high`, and the second 0 for x = `low`, so the end values include
    the tails. π, μ and s differ between elements and examples. The heads compute the logits of π,
    and μ and log s on a scale where `low` is -1 and `high` is 1. log s is clipped to [-7, 7].

    Pass the whole numbers themselves as x. Scale them inside the encoder, for example with
    `keras.layers.Rescaling(1 / 255)`.

    Args:
        event_shape: shape of x, an integer or a tuple such as `(28, 28, 1)`.
        num_components: K ≥ 1.
        low, high: the smallest and the largest value of x, integers.
        logits, loc, log_scale: Keras layers from features to K values for each element. Default:
            dense layers.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Returns:
        The logits of π, μ and log s, each of shape `[B, *event_shape, K]`.

    Raises:
        ValueError: if K is not a positive integer, `low` and `high` are not integers with
            `low < high`, or a layer's output does not have K values for each element.

    Reference: Salimans et al. (2017), arXiv:1701.05517, eqs. 1 and 2, without the dependence
    between pixels (eq. 3).

    Example:
        >>> features = np.zeros((1, 5), "float32")
        >>> likelihood = DiscretizedLogisticMixture(2, num_components=3, low=0, high=1)
        >>> p = likelihood.distribution(*likelihood(features))
        >>> float(p.log_prob([[0.0, 1.0]])[0])  # 2 log ½
        -1.3862943
    """

    def __init__(
        self,
        event_shape: ShapeLike,
        num_components: int = 5,
        low: int = 0,
        high: int = 255,
        logits: keras.Layer | None = None,
        loc: keras.Layer | None = None,
        log_scale: keras.Layer | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        self.num_components = arguments.integer("num_components", num_components)
        self.low = arguments.integer("low", low, at_least=-(2**24))
        self.high = arguments.integer("high", high, at_least=self.low + 1, at_most=2**24)
        heads = {"logits": logits, "loc": loc, "log_scale": log_scale}
        super().__init__(event_shape, heads, **kwargs)

    def parameter_shape(self, name: str) -> Shape:
        return (*self.event_shape, self.num_components)

    def distribution(self, logits: Tensor, loc: Tensor, log_scale: Tensor) -> Distribution:
        scale = ops.exp(ops.clip(log_scale, *LOG_SCALE_BOUNDS))
        components = tfp_classes.DiscretizedLogistic(loc, scale, self.low, self.high)
        mixture = tfd.MixtureSameFamily(tfd.Categorical(logits), components)
        return tfd.Independent(mixture, reinterpreted_batch_ndims=len(self.event_shape))

    def check_support(self, x: np.ndarray) -> None:
        if x.min() < self.low or x.max() > self.high or (x != np.round(x)).any():
            raise ValueError(
                f"Expected whole numbers from {self.low} to {self.high} for a "
                "DiscretizedLogisticMixture, such as pixels before any scaling. "
                f"Received: values from {x.min()} to {x.max()}, of which "
                f"{np.sum(x != np.round(x))} are not whole"
            )

    def get_config(self) -> Config:
        numbers = {name: getattr(self, name) for name in ("num_components", "low", "high")}
        return {**super().get_config(), **numbers}
