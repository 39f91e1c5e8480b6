"""q(θ), a distribution over the generative weights, whose means are the Keras variables."""

import itertools
import math
from collections.abc import Sequence

import keras
from keras import ops

from keras_aevb.distributions.normals import bounded_scale, diagonal_normal
from keras_aevb.typing import Distribution, Tensor


class WeightPosterior:
    r"""A diagonal normal distribution over weights, beside their standard normal prior.

    $$q(θ) = N(θ; μ, diag σ²), \qquad p(θ) = N(θ; 0, I)$$

    Both are TFP distributions over one vector θ of all D weights, which is faster to sample than
    one variable at a time. The log-variance is clipped to [-20, 20].

    Args:
        means: Keras variables μ.
        log_variances: Keras variables log σ², of the same shapes.
        dtype: precision of the densities.

    Reference: Kingma & Welling (2013), App. F.

    Example:
        >>> mean, log_variance = keras.Variable([[3.0, 4.0]]), keras.Variable([[0.0, 0.0]])
        >>> weights = WeightPosterior([mean], [log_variance], "float32")
        >>> float(weights.distribution().kl_divergence(weights.prior()))  # |μ|² / 2
        12.5
    """

    def __init__(
        self, means: Sequence[keras.Variable], log_variances: Sequence[keras.Variable], dtype: str
    ) -> None:
        self.means = means
        self.log_variances = log_variances
        self.dtype = dtype
        sizes = (math.prod(v.shape) for v in means)
        self.edges = list(itertools.accumulate(sizes, initial=0))

    def distribution(self) -> Distribution:
        """q(θ), of event shape `[D]`."""
        scale = bounded_scale(self._flat(self.log_variances))
        return diagonal_normal(self._flat(self.means), scale, self.edges[-1:])

    def prior(self) -> Distribution:
        """p(θ), of event shape `[D]`."""
        zeros = ops.zeros(self.edges[-1], self.dtype)
        return diagonal_normal(zeros, ops.ones_like(zeros), self.edges[-1:])

    def split(self, weights: Tensor) -> list[Tensor]:
        """θ of shape `[D]` as a list of tensors, shaped like the variables."""
        parts = [weights[start:end] for start, end in itertools.pairwise(self.edges)]
        return [ops.reshape(part, v.shape) for part, v in zip(parts, self.means)]

    def _flat(self, variables: Sequence[keras.Variable]) -> Tensor:
        return ops.concatenate([ops.cast(ops.ravel(v), self.dtype) for v in variables])
