"""The diagonal normal distribution of posteriors, likelihoods and priors."""

from collections.abc import Sequence

from keras import ops

from keras_aevb import tfp_classes
from keras_aevb._backend import tfd
from keras_aevb.typing import Distribution, Tensor

# Wide enough for any posterior or pixel, narrow enough that exp() stays finite in float32.
LOG_VARIANCE_BOUNDS = (-20.0, 20.0)


def diagonal_normal(mean: Tensor, scale: Tensor, event_shape: Sequence[int]) -> Distribution:
    """N(mean, diag scale²) as one event of shape `event_shape`."""
    elements = tfp_classes.Normal(mean, scale)
    return tfd.Independent(elements, reinterpreted_batch_ndims=len(event_shape))


def bounded_scale(log_variance: Tensor) -> Tensor:
    """σ from log σ², which is clipped to `LOG_VARIANCE_BOUNDS`."""
    return ops.exp(0.5 * ops.clip(log_variance, *LOG_VARIANCE_BOUNDS))
