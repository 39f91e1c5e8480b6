"""A Gaussian kernel density for each example, fitted to samples from several chains.

Symbols: B examples, L samples for each of them, P points, D dimensions.
"""

import math
from typing import Any

from keras import ops

from keras_aevb import _backend
from keras_aevb.typing import Tensor

# Candidate bandwidths h in standard deviations of the samples: from 0.01, for distant modes, to 1.
BANDWIDTHS = tuple(10 ** (-2 + i / 6) for i in range(13))
# The width of the density relative to the samples: tails thinner than those of p(z|x) keep
# q(z) / p(z|x) bounded.
NARROWING = 0.9
# Pairs of a point and a kernel evaluated at once for each example.
NUM_PAIRS = 100_000
# Lower limit of the variance, since float32 cannot distinguish closer samples.
SMALLEST_VARIANCE = 1e-12


class KernelDensity:
    r"""A mixture of normal kernels with slightly less than the samples' covariance Σ.

    $$q(z) = \frac1L \sum_l N(z; \bar z + c \sqrt{1 - h²} (z_l - \bar z), c² h² Σ),
    \qquad c = 0.9$$

    The kernels' centres are shrunk towards the mean $\bar z$, so q(z) has covariance c² Σ for every
    bandwidth h ≤ 1. With kernels centred at the samples, q(z) would have covariance (1 + h²) Σ,
    wider than p(z|x). App. D averages q(z) / p(x, z) over samples of p(z|x), and rare large values
    would dominate this mean.

    Each example selects the bandwidth in `BANDWIDTHS` with the highest held-out likelihood: that of
    each chain's samples under kernels at the samples of the other chains. Σ is shrunk towards its
    diagonal with weight D / (L + D), so that it is invertible for few samples.

    Args:
        samples: tensor of shape `[B, L, D]`.
        chains: chain number of each sample, of shape `[L]`.

    Reference: Kingma & Welling (2013), App. D, step 2; West (1993), Mixture models, Monte Carlo,
    Bayesian updating and dynamic models, for the centres.
    """

    def __init__(self, samples: Tensor, chains: Tensor) -> None:
        _, n, dim = samples.shape
        self.mean = _backend.mean(samples, axis=1, keepdims=True)
        centred = samples - self.mean
        covariance = ops.matmul(ops.transpose(centred, (0, 2, 1)), centred) / n
        variances = ops.eye(dim, dtype=samples.dtype) * covariance  # [B, D, D], the diagonal
        smallest = SMALLEST_VARIANCE * ops.eye(dim, dtype=samples.dtype)
        self.cholesky = ops.cholesky((n * covariance + dim * variances) / (n + dim) + smallest)
        whitened = self._whitened(samples)

        def held_out_score(h: Tensor) -> Tensor:
            return ops.sum(log_sum_of_kernels(whitened, whitened, h, chains), axis=1)  # [B]

        bandwidths = ops.array(BANDWIDTHS, samples.dtype)
        best = ops.argmax(ops.map(held_out_score, bandwidths), axis=0)
        self.bandwidth = ops.take(bandwidths, best)[:, None, None]  # [B, 1, 1]
        self.centres = NARROWING * ops.sqrt(1 - ops.square(self.bandwidth)) * whitened

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) for z of shape `[B, P, D]`, in nats of shape `[B, P]`."""
        width = NARROWING * self.bandwidth
        log_sum = log_sum_of_kernels(self._whitened(z), self.centres, width)
        log_mean = log_sum - math.log(self.centres.shape[1])
        log_scales = ops.log(ops.diagonal(self.cholesky, axis1=1, axis2=2))  # [B, D]
        return log_mean - ops.sum(log_scales, axis=1, keepdims=True)

    def _whitened(self, z: Tensor) -> Tensor:
        columns = ops.transpose(z - self.mean, (0, 2, 1))
        return ops.transpose(ops.solve_triangular(self.cholesky, columns, lower=True), (0, 2, 1))


def log_sum_of_kernels(
    points: Tensor, means: Tensor, scale: Any, chains: Tensor | None = None
) -> Tensor:
    """log of the sum over l of N(point; mean_l, scale² I), of shape `[B, P]`.

    Args:
        points: tensor of shape `[B, P, D]`.
        means: tensor of shape `[B, L, D]`.
        scale: standard deviation of the kernels, a scalar or of shape `[B, 1, 1]`.
        chains: chain numbers of both points and means, of shape `[P]` = `[L]`; the sum leaves out
            means of the point's own chain. Default: sum over all means.
    """
    n = points.shape[1]
    chunk_size = min(n, max(1, NUM_PAIRS // means.shape[1]))
    num_chunks = math.ceil(n / chunk_size)

    def of_chunk(rows: Tensor) -> Tensor:
        log_kernels = log_normals(ops.take(points, rows, axis=1), means, scale)
        if chains is not None:
            same_chain = ops.take(chains, rows)[:, None] == chains
            log_kernels = ops.where(same_chain, -math.inf, log_kernels)
        return ops.logsumexp(log_kernels, axis=2)  # [B, chunk_size]

    if num_chunks == 1:
        return of_chunk(ops.arange(n))
    rows = ops.minimum(ops.arange(num_chunks * chunk_size), n - 1)
    chunks = ops.map(of_chunk, ops.reshape(rows, (num_chunks, chunk_size)))  # [chunks, B, size]
    return ops.reshape(ops.transpose(chunks, (1, 0, 2)), (-1, num_chunks * chunk_size))[:, :n]


def log_normals(points: Tensor, means: Tensor, scale: Any) -> Tensor:
    """log N(point; mean, scale² I) of every point for every mean, of shape `[B, P, L]`."""
    products = ops.matmul(points, ops.transpose(means, (0, 2, 1)))
    squares = [ops.sum(ops.square(z), axis=2) for z in (points, means)]
    distances = squares[0][:, :, None] + squares[1][:, None] - 2 * products
    log_normaliser = points.shape[2] * (ops.log(scale) + 0.5 * math.log(2 * math.pi))
    return -0.5 * distances / ops.square(scale) - log_normaliser
