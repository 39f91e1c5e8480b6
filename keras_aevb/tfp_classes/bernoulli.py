"""Bernoulli pixels with a faster density."""

import math

from keras import ops

from keras_aevb._backend import Bernoulli
from keras_aevb.typing import Tensor

LARGEST_LOGIT = 1e30
# Σ x s and Σ log(1 + exp(s)) are summed separately; the bound keeps their difference accurate.
LARGEST_LOGIT_OF_PAIRS = 1e4


class BernoulliFromLogits(Bernoulli):
    """TFP's Bernoulli distribution, with a faster density: with gradient, a quarter of TFP's time.

    With y = sigmoid(s),

        x log y + (1 - x) log(1 - y) = x s - (s + |s|) / 2 - log(1 + exp(-|s|))

    This form takes one exponential, stays accurate where y rounds to 0 or 1, and has a gradient at
    s = 0. TFP computes a softplus for each of the two terms.
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        # Replace infinite logits, for example from overflow in a float16 layer, by large ones.
        logits = ops.clip(self.logits_parameter(), -LARGEST_LOGIT, LARGEST_LOGIT)
        x = ops.cast(x, logits.dtype)
        distance = ops.abs(logits)
        return x * logits - 0.5 * (logits + distance) - ops.log1p(ops.exp(-distance))

    def log_prob_of_pairs(self, x: Tensor) -> Tensor:
        """Implements `distributions.likelihoods.log_prob_of_pairs`, for images of any rank."""
        bound = LARGEST_LOGIT_OF_PAIRS
        logits = ops.clip(self.logits_parameter(), -bound, bound)  # [S, *event_shape]
        size = math.prod(logits.shape[1:])
        logits = ops.reshape(logits, (-1, size))
        x = ops.reshape(ops.cast(x, logits.dtype), (-1, size))
        log_normalizer = ops.sum(ops.softplus(logits), axis=1, keepdims=True)
        return ops.matmul(logits, ops.transpose(x)) - log_normalizer
