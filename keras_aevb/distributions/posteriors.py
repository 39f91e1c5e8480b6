"""Recognition models q(z|x)."""

from typing import Unpack

import keras

from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.normals import bounded_scale, diagonal_normal
from keras_aevb.typing import Distribution, LayerArguments, ShapeLike, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class DiagonalNormal(ConditionalDistribution):
    r"""A normal distribution with diagonal covariance, q(z|x) = N(z; μ, diag σ²).

    $$μ = W_4 h + b_4, \qquad \log σ² = W_5 h + b_5$$

    with features h. The log-variance is clipped to [-20, 20], so that no density overflows.

    Args:
        event_shape: shape of z, an integer or a tuple.
        mean: Keras layer from features to μ. Default: a dense layer.
        log_variance: Keras layer from features to log σ². Default: a dense layer.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Returns:
        The parameters μ and log σ², each of shape `[B, *event_shape]`.

    Raises:
        ValueError: if a layer's output does not have the size of z.

    Reference: Kingma & Welling (2013), App. C.2, eq. 12.

    Example:
        >>> import numpy as np
        >>> posterior = DiagonalNormal(2)
        >>> q = posterior.distribution(*posterior(np.zeros((3, 5), "float32")))
        >>> tuple(q.batch_shape), tuple(q.event_shape)
        ((3,), (2,))
    """

    def __init__(
        self,
        event_shape: ShapeLike,
        mean: keras.Layer | None = None,
        log_variance: keras.Layer | None = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(event_shape, {"mean": mean, "log_variance": log_variance}, **kwargs)

    def distribution(self, mean: Tensor, log_variance: Tensor) -> Distribution:
        return diagonal_normal(mean, bounded_scale(log_variance), self.event_shape)
