"""Whether the measurements of a run and of its rerun agree.

Rounding moved most of MNIST's bounds by less than a tenth of a nat in 10⁵ samples, and those of
Frey Face, where training is chaotic, by ten. The value of a chaotic run must be within the spread
over seeds.

Among many chaotic runs, one is far from the other seeds by chance. Therefore each run is tested at
the level `ODDS` divided by the number of chaotic runs. If seeds are normally distributed, the whole
command fails by chance with a probability of at most `ODDS`. Only the last number of a run is
tested, because the earlier ones mostly repeat it. With 10 seeds the interval has a half-width of
8.0 standard deviations for 80 runs. It would be 22 with 5 seeds.

Monte Carlo errors take no share of `ODDS`: in the stored results, the tolerance, `ROUNDING` plus
`SIGMAS` standard errors, exceeds five standard errors for every number up to 10⁵ samples, and ten
for nine in ten of them.
"""

import dataclasses
import math

import numpy as np
import scipy.stats

from replication.claims.rules import SIGMAS

ROUNDING = 0.1  # nats by which runs may differ
RESOLUTION = 2**-21  # four times that of float32, relative to the value
# Probability that chance alone makes a command fail: that of a normal variable to be more than
# `SIGMAS` standard deviations from its mean.
ODDS = 0.0027


@dataclasses.dataclass(frozen=True)
class Pair:
    """A measurement of a run and of its rerun.

    Attributes:
        experiment: the run's settings.
        samples: number of training samples.
        name: name of the quantity.
        now: the rerun's value.
        then: the stored value.
        error: Monte Carlo standard error of the difference.
    """

    experiment: object
    samples: int
    name: str
    now: float
    then: float
    error: float

    @property
    def apart(self):
        """The distance; 0 if neither value is finite, infinite if only one is."""
        if np.isfinite(self.now) and np.isfinite(self.then):
            return abs(self.now - self.then)
        return 0.0 if np.isfinite(self.now) == np.isfinite(self.then) else np.inf

    def agrees(self, within=ROUNDING):
        """Whether the difference is at most `within` nats plus evaluation and rounding errors.

        Diverged runs have values of 10¹⁰, where neighbouring float32 numbers are about 10³ apart.
        """
        resolution = RESOLUTION * abs(self.then) if np.isfinite(self.then) else 0.0
        return self.apart <= within + SIGMAS * self.error + resolution

    def __str__(self):
        return f"{self.name} after {self.samples:,} samples {self.now:.3f} (stored {self.then:.3f})"


def is_consistent(value, others, tests=1):
    """Whether a value is consistent with others from the same normal distribution.

    n values of mean m and standard deviation s predict the next within m ± t s √(1 + 1/n), with
    Student's t of n − 1 degrees of freedom, which is exceeded with the probability
    `ODDS` / `tests`. Then the probability that at least one of `tests` values is outside by chance
    is at most `ODDS`, however the values depend on each other. If the value is not finite, at least
    one of the others must not be finite either.

    Args:
        value: a number.
        others: list of numbers.
        tests: number of values that are tested in one command.

    Example:
        >>> is_consistent(3.0, [1.0, 1.5, 2.0]), is_consistent(30.0, [1.0, 1.5, 2.0])
        (True, False)
        >>> is_consistent(30.0, [1.0, 1.5, 2.0], tests=10)
        True
        >>> is_consistent(math.nan, [1.0, 1.5, 2.0]), is_consistent(math.nan, [1.0, math.nan])
        (False, True)
    """
    finite = np.array(others)[np.isfinite(others)]
    if not math.isfinite(value):
        return len(finite) < len(others)
    n = len(finite)
    if n < 2:
        return False
    t = scipy.stats.t.isf(ODDS / tests / 2, n - 1)  # two-sided
    return bool(abs(value - finite.mean()) <= t * finite.std(ddof=1) * math.sqrt(1 + 1 / n))
