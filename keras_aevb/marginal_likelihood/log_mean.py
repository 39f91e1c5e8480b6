"""The logarithm of a mean of weights, and its standard error.

Symbols: B examples, L weights for each of them.
"""

import math
from typing import Any, NamedTuple, Self

from keras import ops

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

    The weights are divided by the largest one, so that the mean is not stored as a logarithm:
    where that is large, float32 would round its changes away.

    Attributes:
        num_weights: L, the number of weights so far.
        log_scale: the largest $\log w_l$, of shape `[B]`; −∞ if all weights are 0.
        mean: the mean $\bar v$ of $v_l = w_l / \text{scale}$, of shape `[B]`.
        squares: $\sum_l (v_l - \bar v)^2$, of shape `[B]`.
    """

    num_weights: Tensor
    log_scale: Tensor
    mean: Tensor
    squares: Tensor

    @classmethod
    def empty(cls, batch_size: Any, dtype: Any) -> Self:
        zeros = ops.zeros(batch_size, dtype)
        return cls(ops.zeros((), "int32"), zeros - math.inf, zeros, zeros)

    def updated(self, log_weights: Tensor, included: Tensor) -> Self:
        """The running mean with one more chunk.

        Args:
            log_weights: log w of shape `[C, B]`.
            included: which weights to include, booleans of shape `[C]`.
        """
        included = included[:, None]
        log_weights = ops.where(included, log_weights, -math.inf)
        log_scale = ops.maximum(self.log_scale, ops.max(log_weights, axis=0))
        finite = ops.where(log_scale > -math.inf, log_scale, 0.0)
        ratio = ops.exp(self.log_scale - finite)
        weights = ops.exp(log_weights - finite)
        num_new = ops.cast(ops.sum(included), "int32")  # the sum is int64 if JAX's x64 is on
        num_weights = self.num_weights + num_new
        n = ops.cast(num_new, weights.dtype)
        share = n / ops.cast(num_weights, weights.dtype)
        mean_of_new = ops.sum(weights, axis=0) / n
        squares_of_new = ops.sum(
            ops.where(included, ops.square(weights - mean_of_new), 0.0), axis=0
        )
        difference = mean_of_new - ratio * self.mean  # Chan et al. (1979), eq. 2.1
        mean = ratio * self.mean + share * difference
        squares = ops.square(ratio) * self.squares + squares_of_new
        squares += ops.square(difference) * share * ops.cast(self.num_weights, weights.dtype)
        return type(self)(num_weights, log_scale, mean, squares)

    @property
    def log_mean(self) -> Tensor:
        r"""$\log \bar w$, of shape `[B]`."""
        infinite = ops.equal(self.log_scale, math.inf)
        return ops.where(infinite, math.inf, self.log_scale + ops.log(self.mean))

    @property
    def standard_error(self) -> Tensor:
        """Standard error of `log_mean`, `[B]`; NaN for a single weight or where all are zero."""
        n = ops.cast(self.num_weights, self.mean.dtype)
        error = ops.sqrt(self.squares / (n - 1) / n) / self.mean
        return ops.where(self.mean > 0, error, math.nan)
