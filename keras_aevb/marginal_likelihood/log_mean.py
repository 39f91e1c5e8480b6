"""The logarithm of a mean of weights, and its standard error.

Symbols: B examples, L weights for each of them.
"""

import math
from typing import Any, NamedTuple, Self

from keras import ops

from keras_aevb import _backend
from keras_aevb.typing import Tensor


def log_mean_exp(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    r"""The logarithm of a mean of independent weights, and its standard error.

    $$\log \bar w, \quad \bar w = \frac1L \sum_l w_l, \qquad
    \frac{\operatorname{sd}(w)}{\bar w \sqrt L}$$

    The standard error uses the delta method; it is NaN for a single weight.

    Args:
        log_weights: log w of shape `[L, B]`.

    Returns:
        Two tensors of shape `[B]`, in nats.

    Example:
        >>> log_mean, error = log_mean_exp(ops.log([[1.0], [3.0]]))  # two weights, one example
        >>> float(log_mean[0]), float(error[0])  # log 2, and √2 / (2 √2)
        (0.6931472, 0.5)
    """
    n = log_weights.shape[0]
    log_mean = ops.logsumexp(log_weights, axis=0) - math.log(n)
    deviation = ops.exp(log_weights - log_mean) - 1  # [L, B]
    variance = ops.sum(ops.square(deviation), axis=0) / (n - 1.0)
    return log_mean, ops.sqrt(variance / n)


class RunningMean(NamedTuple):
    r"""`log_mean_exp` for weights in chunks, without storing all of them.

    Attributes:
        num_weights: L, the number of weights so far.
        log_mean: $\log \bar w$ of shape `[B]`.
        squares: $\sum_l (w_l / \bar w - 1)^2$ of shape `[B]`.
    """

    num_weights: Tensor
    log_mean: Tensor
    squares: Tensor

    @classmethod
    def empty(cls, batch_size: Any, dtype: Any) -> Self:
        zeros = ops.zeros(batch_size, dtype)
        return cls(ops.zeros((), dtype), zeros - math.inf, zeros)

    def updated(self, log_weights: Tensor, counts: Tensor) -> Self:
        """The running mean with one more chunk.

        Args:
            log_weights: log w of shape `[C, B]`.
            counts: which weights to include, booleans of shape `[C]`.
        """
        num_weights = self.num_weights + ops.sum(ops.cast(counts, log_weights.dtype))
        counts = counts[:, None]
        log_weights = ops.where(counts, log_weights, -math.inf)
        log_sum = _backend.logaddexp(
            self.log_mean + ops.log(self.num_weights), ops.logsumexp(log_weights, axis=0)
        )
        log_mean = log_sum - ops.log(num_weights)
        finite = ops.where(log_mean > -math.inf, log_mean, 0.0)
        ratio = ops.exp(self.log_mean - finite)  # of the old mean to the new one
        squares = ops.square(ratio) * self.squares + self.num_weights * ops.square(ratio - 1)
        deviations = ops.where(counts, ops.exp(log_weights - finite) - 1, 0.0)
        squares += ops.sum(ops.square(deviations), axis=0)
        return type(self)(num_weights, log_mean, squares)

    @property
    def standard_error(self) -> Tensor:
        """NaN for a single weight, and where all weights are zero."""
        error = ops.sqrt(self.squares / (self.num_weights - 1) / self.num_weights)
        return ops.where(self.log_mean > -math.inf, error, math.nan)
