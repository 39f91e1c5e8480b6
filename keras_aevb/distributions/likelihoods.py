"""Observation models p(x|z)."""

import math
from typing import Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import arguments, tfp_classes
from keras_aevb._backend import tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.normals import LOG_VARIANCE_BOUNDS, bounded_scale, diagonal_normal
from keras_aevb.typing import Config, Distribution, LayerArguments, ShapeLike, Tensor


def log_prob_of_pairs(likelihoods: Distribution, x: Tensor) -> Tensor:
    """log p(x|z) of every pair of z and image; for Bernoulli pixels a matrix product.

    Args:
        likelihoods: TFP distribution p(x|z) of batch shape `[S]`.
        x: data of shape `[B, *event_shape]`.

    Returns:
        Tensor of shape `[S, B]`, in nats.
    """
    pixels = getattr(likelihoods, "distribution", None)
    # A subclass of `Independent` may have another density.
    if type(likelihoods) is tfd.Independent and isinstance(pixels, tfp_classes.BernoulliFromLogits):
        return pixels.log_prob_of_pairs(x)
    # One image at a time: all pairs would take the memory of S · B images.
    return ops.transpose(ops.map(likelihoods.log_prob, x))


@keras.saving.register_keras_serializable(package="keras_aevb")
class Bernoulli(ConditionalDistribution):
    r"""Independent Bernoulli pixels with y = sigmoid(logits).

    $$\log p(x|z) = \sum_i x_i \log y_i + (1 - x_i) \log(1 - y_i)$$

    in nats. The logits are used directly, so saturated pixels lose no precision. Pixels x may be
    any numbers in [0, 1], as in the paper, which does not binarise MNIST.

    Args:
        event_shape: shape of x, an integer or a tuple such as `(28, 28, 1)`.
        logits: Keras layer from features to logits. Default: a dense layer.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Returns:
        A tuple with the logits, of shape `[B, *event_shape]`.

    Raises:
        ValueError: if the layer's output does not have the size of x.

    Reference: Kingma & Welling (2013), App. C.1, eq. 11.

    Example:
        >>> import numpy as np
        >>> likelihood = Bernoulli(3)
        >>> p = likelihood.distribution(*likelihood(np.zeros((1, 5), "float32")))
        >>> float(p.log_prob([[0.0, 0.5, 1.0]])[0])  # 3 log ½
        -2.079441547393799
    """

    def __init__(
        self,
        event_shape: ShapeLike,
        logits: keras.Layer | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(event_shape, {"logits": logits}, **kwargs)

    def distribution(self, logits: Tensor) -> Distribution:
        dtype = keras.backend.standardize_dtype(logits.dtype)
        return tfd.Independent(
            tfp_classes.BernoulliFromLogits(logits, dtype=dtype),
            reinterpreted_batch_ndims=len(self.event_shape),
        )

    def check_support(self, x: np.ndarray) -> None:
        low, high = x.min(), x.max()
        if low < 0 or high > 1:
            raise ValueError(
                "Expected pixels in [0, 1] for a Bernoulli distribution; scale the data, for "
                f"example `x / 255`. Received: values from {low} to {high}"
            )


@keras.saving.register_keras_serializable(package="keras_aevb")
class Normal(ConditionalDistribution):
    r"""Independent normal pixels, p(x|z) = N(x; μ, diag σ²).

    $$\mu = W_4 h + b_4, \qquad \log σ² = W_5 h + b_5$$

    with features h. A given `scale` makes it p(x|z) = N(x; μ, scale² I). The log-variance is
    clipped to [-20, 20], so that no density overflows.

    Args:
        event_shape: shape of x, an integer or a tuple.
        mean: Keras layer from features to μ. Default: a dense layer. The paper's Frey Face decoder
            is `keras.layers.Dense(560, "sigmoid")`.
        log_variance: Keras layer from features to log σ². Default: a dense layer.
        scale: the standard deviation σ, a positive number in the units of x, in place of
            `log_variance`.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Returns:
        The parameters μ and (unless `scale` is given) log σ², each of shape `[B, *event_shape]`.

    Raises:
        ValueError: if both `log_variance` and `scale` are given, `scale` is not a positive number
            that float32 can hold, or a layer's output does not have the size of x.

    Reference: Kingma & Welling (2013), App. C.2, eq. 12.

    Example:
        >>> import numpy as np
        >>> likelihood = Normal(2, scale=1.0)
        >>> p = likelihood.distribution(*likelihood(np.zeros((1, 5), "float32")))
        >>> float(p.log_prob([[0.0, 0.0]])[0])  # -log 2π
        -1.8378770351409912
    """

    def __init__(
        self,
        event_shape: ShapeLike,
        mean: keras.Layer | None = None,
        log_variance: keras.Layer | None = None,
        scale: float | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        if scale is None:
            heads = {"mean": mean, "log_variance": log_variance}
        elif log_variance is not None:
            raise ValueError(
                "Expected either `log_variance` or `scale`. "
                f"Received both: log_variance={log_variance}, scale={scale}"
            )
        else:
            scale = float(arguments.number("scale", scale))
            heads = {"mean": mean}
        super().__init__(event_shape, heads, **kwargs)
        self.scale = scale

    def distribution(self, mean: Tensor, log_variance: Tensor | None = None) -> Distribution:
        if log_variance is None:
            scale = ops.full_like(mean, self.scale)
        else:
            scale = bounded_scale(log_variance)
        return diagonal_normal(mean, scale, self.event_shape)

    def check_support(self, x: np.ndarray) -> None:
        low, high, limit = float(x.min()), float(x.max()), self.largest_value
        if max(-low, high) >= limit:
            raise ValueError(
                f"Expected values below {limit:.0e} in magnitude for a Normal distribution, whose "
                f"density overflows {self.density_dtype} otherwise; standardise the data, for "
                f"example `(x - x.mean()) / x.std()`. Received: values from {low} to {high}"
            )

    @property
    def largest_value(self) -> float:
        """The |x| from which Σ x²/σ² may overflow, with μ = 0 and the smallest σ."""
        scale = math.exp(LOG_VARIANCE_BOUNDS[0] / 2) if self.scale is None else self.scale
        largest = float(np.finfo(self.density_dtype).max)
        return scale * math.sqrt(largest / math.prod(self.event_shape))

    def get_config(self) -> Config:
        return {**super().get_config(), "scale": self.scale}
