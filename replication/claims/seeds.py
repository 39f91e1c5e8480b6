"""The spread over seeds of a number that decides, borrowed where the number has one seed."""

import math

from replication.figures.text import count


class Spreads:
    """Standard deviations over seeds, of one quantity.

    Args:
        values: a row for each seed and number of training samples of each curve, with the columns
            `kind` and `curve` (names for readers; curves of a kind are alike), `samples`, `value`.
    """

    def __init__(self, values):
        groups = values.groupby(["kind", "curve", "samples"], observed=True, sort=False).value
        table = groups.agg(spread="std", seeds="size").reset_index()
        self.table = table[table.seeds > 1].sort_values("samples", kind="stable")

    def of(self, kind, curve, samples):
        """What seeds of a curve differ by after `samples`.

        Of the curve's own seeds there. Otherwise, of the counts up to `samples` the last that
        several seeds reached: of the curve itself, else the largest spread of its kind, else the
        largest of all.

        Returns:
            The standard deviation and where it is from, in words. NaN where no curve has seeds.
        """
        known = self.table[self.table.samples <= samples]
        last = known.groupby(["kind", "curve"], sort=False).tail(1)
        alike = last[last.kind == kind]
        own = alike[alike.curve == curve]
        pool = next((rows for rows in (own, alike, last) if len(rows)), None)
        if pool is None:
            return math.nan, "one seed"
        row = pool.loc[pool.spread.idxmax()]
        if len(own):
            after = "" if row.samples == samples else f" after {count(row.samples)}"
            return row.spread, f"{row.seeds} seeds{after}"
        kind = "" if len(alike) else f"{row.kind}, "
        return row.spread, f"seeds of {kind}{row.curve}"
