r"""Ratios of gamma functions in float32, without special functions.

$$\log Γ(y) = S(y + 8) - \log \prod_{k<8} (y + k), \qquad
S(y) = (y - ½) \log y - y + ½ \log 2π + \frac{1}{12 y} - \frac{1}{360 y^3}$$

has an absolute error below 3 · 10⁻⁸ for y > 0. In a ratio, the large terms of S cancel before they
are rounded.

The derivatives are written out: XLA's code for automatic ones takes up to three times as long.

Reference: Abramowitz & Stegun (1964), eq. 6.1.15 and 6.1.41.
"""

import math

from keras import ops

from keras_aevb._backend import with_derivatives
from keras_aevb.typing import Tensor

# Products of four such numbers are finite in float32.
LARGEST = 1e9


def _log_coefficient(x: Tensor, r: Tensor) -> Tensor:
    shifted_x, shifted_r, shifted_n = x + 9, r + 8, x + r + 8
    return (
        (shifted_r - 0.5) * ops.log1p(x / shifted_r)
        + (shifted_x - 0.5) * ops.log1p((r - 1) / shifted_x)
        - 8.5 * ops.log(shifted_n)
        + (9 - 0.5 * math.log(2 * math.pi))
        + remainder(shifted_n)
        - remainder(shifted_r)
        - remainder(shifted_x)
        + log_product(r)
        + log_product(x + 1)
        - log_product(x + r)
    )


def _derivative_in_x(x: Tensor, r: Tensor) -> Tensor:
    log_ratio = ops.log1p((r - 1) / (x + 9))
    return log_ratio + digamma_remainder(x + r) - digamma_remainder(x + 1)


def _derivative_in_r(x: Tensor, r: Tensor) -> Tensor:
    log_ratio = ops.log1p(x / (r + 8))
    return log_ratio + digamma_remainder(x + r) - digamma_remainder(r)


def remainder(y: Tensor) -> Tensor:
    """The last two terms of S(y)."""
    return (1 / 12 - 1 / (360 * y * y)) / y


def log_product(y: Tensor) -> Tensor:
    """log y (y + 1) … (y + 7), by two products of four that do not overflow."""
    t = y * (y + 7)
    return ops.log(t * (t + 12)) + ops.log((t + 6) * (t + 10))


def digamma_remainder(y: Tensor) -> Tensor:
    """The derivative of log Γ(y), without its term log(y + 8)."""
    inverse, t = 1 / (y + 8), y * (y + 7)
    series = inverse * (0.5 + inverse * (1 / 12 - inverse * inverse / 120))
    of_product = (2 * t + 12) / (t * (t + 12)) + (2 * t + 16) / ((t + 6) * (t + 10))
    return -series - (2 * y + 7) * of_product


_coefficient = with_derivatives(_log_coefficient, _derivative_in_x, _derivative_in_r)


def log_coefficient(x: Tensor, r: Tensor) -> Tensor:
    """log(Γ(r + x) / (Γ(r) x!)), accurate in float32 for x = 1, 2, …

    Args:
        x: whole numbers up to `LARGEST`. The value at 0 has a rounding error.
        r: positive numbers up to `LARGEST`, of a shape that broadcasts with that of x.

    Example:
        >>> float(log_coefficient(ops.array(2.0), ops.array(3.0)))  # log 4! / (2! 2!)
        1.7918
    """
    zeros = ops.zeros_like(x + r)
    return _coefficient(x + zeros, r + zeros)
