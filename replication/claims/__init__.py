"""The paper's claims, their decision rules, and the verdicts."""

import dataclasses

import pandas as pd

from replication.claims.bounds import FASTER, SUPERFLUOUS
from replication.claims.cost import COST
from replication.claims.curve import Curve, Family
from replication.claims.gradients import GRADIENTS
from replication.claims.likelihoods import LIKELIHOOD
from replication.claims.rules import Judgement
from replication.errors import ReplicationError
from replication.measurements.records import read_runs, runs_folder
from replication.measurements.table import (
    FIRST_COMPARABLE,
    PANEL,
    TEXT,
    curves,
    table,
    with_roles,
)
from replication.plan.protocols import FIGURE3_LATENT_DIM
from replication.plan.schedule import is_decade
from replication.plan.step_sizes import pilots

CLAIMS = (FASTER, SUPERFLUOUS, LIKELIHOOD, GRADIENTS, COST)
POINT = [*PANEL, "algorithm", "split", "samples"]


def judge(evidence):
    """Judges each of `CLAIMS` by the `Evidence`; returns a list of `Judgement`."""
    return [Judgement(claim, claim.judge(evidence)) for claim in CLAIMS]


class Evidence:
    """All measurements in a results folder.

    Args:
        results: the folder.

    Attributes:
        results: the folder.
        runs: list of all `Run`.
        table: rows of `measurements.table`.
        curves: rows of `measurements.curves` for figures 2 and 3, with one step size for each panel
            and algorithm: the chosen one, or the only one. Figure 2's second curves, with the
            settings of the paper's text, are left out.

    Raises:
        ReplicationError: if there are no runs.
    """

    def __init__(self, results):
        self.results = results
        self.runs = read_runs(results)
        if not self.runs:
            raise ReplicationError(f"Expected runs in {runs_folder(results)}. Received: none")
        self.table = table(self.runs)
        self.curves = self._main_curves()
        self._panels = _by_panel(self.curves)

    def figure2(self, dataset, latent_dim, algorithm):
        """The `Curve` of an algorithm in a panel, or `None`."""
        return self._panels.get((2, dataset, latent_dim, 0, algorithm))

    def figure3(self, n_train, algorithm):
        """The `Curve` of an algorithm in a panel, or `None`."""
        return self._panels.get((3, "mnist", FIGURE3_LATENT_DIM, n_train, algorithm))

    def distances(self, points=()):
        """Our curves minus the paper's, at powers of ten and at curves' ends, from 10⁶ samples on.

        Args:
            points: further points, tuples of `POINT`.

        Returns:
            A row for each point where both curves have a value: the columns `POINT`, and
            `estimate`, our value minus the paper's, in nats per example.
        """
        unknown = {point[-1] for point in points} - {*self.curves.samples}
        rows = self._main_curves(unknown) if unknown else self.curves
        panels = _by_panel(rows) if unknown else self._panels
        rows = rows[rows.paper.notna()].drop_duplicates(POINT)
        main = rows.samples.map(is_decade) | (rows.samples == rows.curve_end)
        requested = pd.MultiIndex.from_frame(rows[POINT].astype(object)).isin(points)
        rows = rows[(main & (rows.samples >= FIRST_COMPARABLE)) | requested].sort_values(POINT)
        found = [
            dict(zip(POINT, point)) | {"estimate": _distance(panels[point[:5]], *point[5:])}
            for point in rows[POINT].itertuples(index=False, name=None)
        ]
        return pd.DataFrame(found, columns=[*POINT, "estimate"])

    def _main_curves(self, counts=()):
        shown = [curves(self.table.iloc[:0]).assign(role="")]
        for _, rows in self.table[self.table.figure > 0].groupby("figure"):
            shown.append(with_roles(curves(rows, counts), pilots(rows)))
        shown = pd.concat(shown)
        shown = shown[shown.settings != TEXT]
        by_algorithm = shown.groupby([*PANEL, "algorithm"], observed=True)
        num_step_sizes = by_algorithm.step_size.transform("nunique")
        return shown[shown.role.str.contains("chosen") | (num_step_sizes == 1)]


def _by_panel(rows):
    """Dict from panel and algorithm to `Curve`."""
    found = {}
    for _, own in rows.groupby(["figure", "dataset"], observed=True):
        family = Family(own)
        for key, curve in family.rows.groupby([*PANEL, "algorithm"], observed=True):
            found[key] = Curve(curve, family)
    return found


def _distance(curve, split, samples):
    ours = curve.at(samples, split)
    return dataclasses.replace(ours, value=ours.value - curve.paper(samples, split))
