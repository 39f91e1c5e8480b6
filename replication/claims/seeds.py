"""The spread over seeds, taken from similar curves if a curve has only one seed."""

import math

from replication.figures.text import count


class Spreads:
    """Standard deviations of a quantity over seeds.

    Args:
        values: a row for each curve, seed and number of training samples, with the columns `kind`
            and `curve` (names; curves of the same kind are similar), `samples` and `value`.
    """

    def __init__(self, values):
        groups = values.groupby(["kind", "curve", "samples"], observed=True, sort=False).value
        table = groups.agg(spread="std", seeds="size").reset_index()
        self.table = table[table.seeds > 1].sort_values("samples", kind="stable")

    def of(self, kind, curve, samples):
        """The standard deviation over seeds of a curve after `samples`.

        If the curve has several seeds at `samples`, it is theirs. Otherwise it is taken at the last
        count up to `samples` that several seeds reached: from the same curve, else the largest of
        its kind, else the largest of all.

        Returns:
            The standard deviation, and its origin in words. NaN if no curve has several seeds.
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
