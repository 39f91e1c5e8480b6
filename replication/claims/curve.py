"""A curve of figure 2 or 3 for claims: values with errors from seeds, examples and samples of z."""

import numpy as np
import pandas as pd

from replication.claims.rules import Estimate
from replication.claims.seeds import Spreads
from replication.figures.text import NAMES, SIZES


class Family:
    """The curves of a figure and data set, each with one step size.

    Args:
        rows: rows of `measurements.curves`.
    """

    def __init__(self, rows):
        size, symbol = SIZES[rows.figure.iloc[0]]
        self.rows = rows.assign(
            kind=[f"{NAMES[a]}, step {s:g}" for a, s in zip(rows.algorithm, rows.step_size)],
            curve=[f"{symbol} = {n}" for n in rows[size]],
        )
        self._spreads = {}

    def spreads(self, quantity, *arguments):
        """The `Spreads` of a quantity, a function from rows to a table with `value` and `error`."""
        key = (quantity, *arguments)
        if key not in self._spreads:
            self._spreads[key] = Spreads(quantity(self.rows, *arguments))
        return self._spreads[key]


class Curve:
    """One curve.

    Args:
        rows: rows of this curve, a part of those of `family`.
        family: `Family`, whose spread over seeds replaces that of a curve with one seed.
    """

    def __init__(self, rows, family):
        self.rows = rows
        self.family = family
        self.algorithm = NAMES[rows.algorithm.iloc[0]]
        self.kind, self.name = rows.kind.iloc[0], rows.curve.iloc[0]

    @property
    def end(self):
        """Training samples of the seed that trained longest."""
        return int(self.rows.end.max())

    def at(self, samples, split):
        """The value after `samples`, an `Estimate`."""
        return self._mean(samples, _values, split)

    def gain(self, samples, split):
        """The gain over the last doubling of samples, from the seeds that reach `samples`."""
        return self._mean(samples, _gains, split)

    def gap(self, samples):
        """The training value minus the test value."""
        return self._mean(samples, _gaps)

    def paper(self, samples, split):
        """The paper's value."""
        rows = self.rows[(self.rows.samples == samples) & (self.rows.split == split)]
        return rows.paper.iloc[0]

    def _mean(self, samples, quantity, *arguments):
        """The mean over seeds; its error combines those from seeds and from evaluation.

        Figure 2 evaluates all seeds on the same examples, so its error from examples, which
        includes that from samples of z, does not shrink with the number of seeds. The Monte Carlo
        error of figure 3 does.
        """
        rows = quantity(self.rows, *arguments)
        rows = rows[rows.samples == samples]
        spread, source = self.family.spreads(quantity, *arguments).of(self.kind, self.name, samples)
        is_monte_carlo = self.rows.figure.iloc[0] == 3
        evaluation = (rows.error**2).mean() / (len(rows) if is_monte_carlo else 1)
        error = float(np.sqrt(spread**2 / len(rows) + evaluation))
        over = (source, "samples of z" if is_monte_carlo else "examples")
        return Estimate(float(rows.value.mean()), error, over)


def _values(rows, split):
    return rows[rows.split == split][["kind", "curve", "seed", "samples", "value", "error"]]


def _gains(rows, split):
    now = _values(rows, split)
    half = now.assign(samples=2 * now.samples)
    return _differences(now, half)


def _gaps(rows):
    return _differences(_values(rows, "train"), _values(rows, "test"))


def _differences(rows, others):
    place = ["kind", "curve", "seed", "samples"]
    pairs = pd.merge(rows, others, on=place, suffixes=("", "_of_other"))
    value = pairs.value - pairs.value_of_other
    return pairs[place].assign(value=value, error=np.hypot(pairs.error, pairs.error_of_other))
