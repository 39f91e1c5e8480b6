"""A Gaussian kernel density for each example, fitted to samples from several chains.

Symbols: B examples, L samples for each of them, P points, D dimensions.
"""

import math

from keras import ops

# Bandwidths h that are tried, in standard deviations of the samples: 0.1 to 1.1.
BANDWIDTHS = tuple(0.1 * 1.35**i for i in range(9))
# The variance of samples that float32 cannot tell apart.
SMALLEST_VARIANCE = 1e-12


class KernelDensity:
    r"""A mixture of normal kernels shaped like the samples' covariance Σ.

    $$q(z) = \frac1L \sum_l N(z; z_l, h² Σ)$$

    The bandwidth h is chosen for each example on held-out samples: the one of `BANDWIDTHS` that
    makes the samples of each chain likeliest under the kernels of the other chains. Σ is shrunk
    towards its diagonal with weight D / (L + D), so that few samples give a density too.

    Args:
        samples: tensor of shape `[B, L, D]`.
        chains: number of the chain that each sample comes from, of shape `[L]`.

    Reference: Kingma & Welling (2013), App. D, step 2.
    """

    def __init__(self, samples, chains):
        _, n, dim = samples.shape
        self.mean = ops.mean(samples, axis=1, keepdims=True)
        centred = samples - self.mean
        covariance = ops.matmul(ops.transpose(centred, (0, 2, 1)), centred) / n
        variances = ops.eye(dim, dtype=samples.dtype) * covariance  # [B, D, D], the diagonal
        smallest = SMALLEST_VARIANCE * ops.eye(dim, dtype=samples.dtype)
        self.cholesky = ops.cholesky((n * covariance + dim * variances) / (n + dim) + smallest)
        self.centres = self._whitened(samples)
        same_chain = chains[:, None] == chains

        def held_out_score(h):
            log_kernels = ops.where(same_chain, -math.inf, self._log_kernels(self.centres, h))
            return ops.sum(ops.logsumexp(log_kernels, axis=2), axis=1)  # [B]

        bandwidths = ops.array(BANDWIDTHS, samples.dtype)
        best = ops.argmax(ops.map(held_out_score, bandwidths), axis=0)
        self.bandwidth = ops.take(bandwidths, best)  # [B]

    def log_prob(self, z):
        """log q(z) for z of shape `[B, P, D]`, in nats of shape `[B, P]`."""
        log_kernels = self._log_kernels(self._whitened(z), self.bandwidth[:, None, None])
        log_mean = ops.logsumexp(log_kernels, axis=2) - math.log(self.centres.shape[1])
        log_scales = ops.log(ops.diagonal(self.cholesky, axis1=1, axis2=2))  # [B, D]
        return log_mean - ops.sum(log_scales, axis=1, keepdims=True)

    def _whitened(self, z):
        columns = ops.transpose(z - self.mean, (0, 2, 1))
        return ops.transpose(ops.solve_triangular(self.cholesky, columns, lower=True), (0, 2, 1))

    def _log_kernels(self, points, h):
        """log N(point; centre, h² I) in whitened coordinates, of shape `[B, P, L]`."""
        products = ops.matmul(points, ops.transpose(self.centres, (0, 2, 1)))
        squares = [ops.sum(ops.square(z), axis=2) for z in (points, self.centres)]
        distances = squares[0][:, :, None] + squares[1][:, None] - 2 * products
        log_normaliser = points.shape[2] * (ops.log(h) + 0.5 * math.log(2 * math.pi))
        return -0.5 * distances / ops.square(h) - log_normaliser
