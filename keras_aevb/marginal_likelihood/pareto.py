"""The Pareto k̂ diagnostic of importance weights: the shape of their distribution's upper tail.

Symbols: L importance weights, of which the M largest are the tail.
"""

import math

import numpy as np

# Above this k̂, means of any feasible number of weights and their standard errors are unreliable.
UNRELIABLE_ABOVE = 0.7
SMALLEST_TAIL = 5


def tail_size(num_samples: int) -> int:
    """M = min(L / 5, 3√L), rounded up."""
    return math.ceil(min(0.2 * num_samples, 3 * math.sqrt(num_samples)))


def pareto_k(largest_log_weights: np.ndarray) -> np.ndarray:
    r"""The shape k̂ of a generalised Pareto distribution, fitted to the largest weights.

    $$p(w) = \frac1σ \left(1 + k \frac{w - u}{σ}\right)^{-1 - 1/k}, \quad w > u$$

    where u is the largest weight below the tail. Weights have a finite mean if k < 1 and a finite
    variance if k < 1/2. Bounded weights have k ≤ 0.

    Args:
        largest_log_weights: array of shape `[..., M + 1]`, the largest log w of each example.

    Returns:
        NumPy array of shape `[...]`. Where fewer than 5 weights exceed the smallest, k̂ is ∞ if the
        smallest is 0 relative to the largest, else -∞. NaN where M < 5 or a log weight is NaN.

    Reference: Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto smoothed importance sampling,
        sec. 2.4 and 3; Zhang & Stephens (2009), for the fit.
    """
    return np.apply_along_axis(_shape_of, -1, np.sort(largest_log_weights).astype("float64"))


def worst_pareto_k(largest_log_weights: np.ndarray) -> np.ndarray:
    """The largest k̂ of each example, for arrays `[N, M + 1]` or, for S draws of θ, `[N, S, M + 1]`.

    Returns:
        NumPy array of shape `[N]`.
    """
    k = pareto_k(largest_log_weights)
    return np.fmax.reduce(k.reshape(len(k), -1), axis=1)


def _shape_of(log_weights: np.ndarray) -> float:
    """k̂ of one example, from ascending log weights."""
    if len(log_weights) <= SMALLEST_TAIL or np.isnan(log_weights).any():
        return np.nan
    weights = np.exp(log_weights - log_weights[-1])
    # Weights equal to the threshold, as for a discrete z, are not in the tail.
    excess = weights[weights > weights[0]] - weights[0]
    if len(excess) >= SMALLEST_TAIL:
        return _fit(excess)
    # Too few excesses: the other weights are 0 relative to the largest, or nearly all are equal.
    return np.inf if weights[0] < np.finfo("float64").tiny else -np.inf


def _fit(excess: np.ndarray) -> float:
    """k̂ from n ascending excesses: k at the posterior mean of b, shrunk towards 1/2."""
    n = len(excess)
    grid = 30 + math.isqrt(n)
    quartile = excess[int(n / 4 + 0.5) - 1]
    # Candidates for b = -k/σ, and the profile likelihood of each.
    b = 1 / excess[-1] + (1 - np.sqrt(grid / (np.arange(grid) + 0.5))) / (3 * quartile)
    k = np.log1p(-b[:, None] * excess).mean(axis=1)
    # 1/σ; for equal excesses, b = 0 may be a candidate: k = 0, the exponential distribution.
    rate = np.where(b == 0, 1 / excess.mean(), -b / np.where(b == 0, 1, k))
    log_likelihood = n * (np.log(rate) - k - 1)
    weights = np.exp(log_likelihood - log_likelihood.max())
    b = b @ weights / weights.sum()
    k = np.log1p(-b * excess).mean()
    return (n * k + 10 * 0.5) / (n + 10)  # Vehtari et al.'s prior: ten observations of k = 1/2
