"""The diagonal normal distribution of posteriors, likelihoods and priors."""

import math

from keras import ops

from keras_aevb import _backend
from keras_aevb._backend import tfp

tfd = tfp.distributions

# Wide enough for any posterior or pixel, narrow enough that exp() stays finite in float32.
LOG_VARIANCE_BOUNDS = (-20.0, 20.0)


class Normal(_backend.Normal):
    """TFP's normal distribution, with a density that stays accurate for small σ.

    TFP computes x/σ - μ/σ, a difference of large numbers; this class computes (x - μ)/σ.
    """

    def _log_prob(self, x):
        residual = (x - self.loc) / self.scale
        return -0.5 * ops.square(residual) - ops.log(self.scale) - 0.5 * math.log(2 * math.pi)


def diagonal_normal(mean, scale, event_shape):
    """N(mean, diag scale²) as one event of shape `event_shape`."""
    return tfd.Independent(Normal(mean, scale), reinterpreted_batch_ndims=len(event_shape))


def bounded_scale(log_variance):
    """σ from log σ², which is clipped to `LOG_VARIANCE_BOUNDS`."""
    return ops.exp(0.5 * ops.clip(log_variance, *LOG_VARIANCE_BOUNDS))
