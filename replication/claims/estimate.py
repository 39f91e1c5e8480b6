"""A number with its standard error, and what that error is over."""

import dataclasses
import math

import numpy as np

from replication.figures.curves import QUANTITIES
from replication.figures.tables import number, sem

# What stands in metrics.csv as the standard error of a figure's quantity, and over what it is.
ERRORS = {2: ("sem", "examples"), 3: (f"{QUANTITIES[3]}_error", "draws of z")}


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value and its standard error.

    Attributes:
        value: in nats per example, or as its name says.
        error: standard error; 0 if none is known.
        over: what the error is over: seeds where there are several.

    Example:
        >>> print(Estimate(-104.84, 0.27, "examples") - Estimate(-104.2, 0.36, "examples"))
        −0.64 ± 0.45
    """

    value: float
    error: float
    over: str

    def __sub__(self, other):
        over = " and ".join(dict.fromkeys((self.over, other.over)))
        return Estimate(self.value - other.value, math.hypot(self.error, other.error), over)

    def __str__(self):
        if not self.error > 0:
            return number(self.value, digits=4)
        digits = min(max(1 - math.floor(math.log10(self.error)), 0), 6)
        return f"{number(self.value, digits=digits)} ± {number(self.error, digits=digits)}"


def mean_over(values, what):
    """The mean with its standard error, which is 0 for a single value."""
    return Estimate(float(np.mean(values)), sem(values) or 0.0, f"{len(values)} {what}")


def at(curve, samples, split):
    """A curve's value after `samples`.

    Args:
        curve: `Curve`.
        samples: number of training samples that a seed reaches.
        split: `"train"` or `"test"`.

    Returns:
        `Estimate`, with its error over seeds, or that of the evaluation if there is one seed.
    """
    values = curve.values(samples, split)
    if len(values) > 1:
        return mean_over(values, "seeds")
    name, over = ERRORS[curve.panel.figure]
    return Estimate(float(values[0]), float(curve.values(samples, split, name)[0]), over)


def gain(curve, samples, split):
    """What a curve gained over its last doubling, by the seeds that reach `samples`."""
    runs = [run for run in curve.runs if run.points[-1].samples >= samples]
    longest = dataclasses.replace(curve, runs=runs)
    return at(longest, samples, split) - at(longest, samples // 2, split)
