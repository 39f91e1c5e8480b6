"""How far our curves are from the paper's, at every decade and at their ends."""

import dataclasses

from replication.claims.estimate import Estimate, at
from replication.claims.rules import FIRST_SAMPLES
from replication.figures.curves import Panel
from replication.figures.tables import NAMES, count, csv_text

SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class Distance:
    """Our value minus the paper's, with the error of ours.

    Attributes:
        panel: `Panel`.
        algorithm: name of the algorithm.
        split: `"train"` or `"test"`.
        samples: number of training samples.
        estimate: `Estimate`, in nats per example.
    """

    panel: Panel
    algorithm: str
    split: str
    samples: int
    estimate: Estimate

    @property
    def place(self):
        return (*self.panel, self.algorithm, self.split, self.samples)

    def __str__(self):
        return (
            f"{panel_name(self.panel)}, {NAMES[self.algorithm]}, {self.split}, "
            f"{count(self.samples)}"
        )


def panel_name(panel):
    size = f"N_z={panel.latent_dim}" if panel.n_train is None else f"N_train={panel.n_train}"
    return f"figure {panel.figure}, {NAMES[panel.dataset]} {size}"


def distances(curves):
    """All distances of the curves where the paper has a value, from 10⁶ samples on.

    Args:
        curves: list of `Curve`.

    Returns:
        List of `Distance`, at every decade that a curve reaches and at its end.
    """
    found = [
        distance(curve, split, samples)
        for curve in curves
        for split in SPLITS
        for samples in _counts(curve)
    ]
    return [d for d in found if d is not None]


def distance(curve, split, samples):
    """The `Distance` at one place, or `None` if ours or the paper's curve does not reach it."""
    paper = curve.paper(samples, split)
    if paper is None or not curve.reaches(samples):
        return None
    ours = at(curve, samples, split)
    difference = dataclasses.replace(ours, value=ours.value - paper)
    return Distance(curve.panel, curve.algorithm, split, samples, difference)


def distances_csv(found):
    """One row per `Distance`."""
    columns = [*Panel._fields, "algorithm", "split", "samples"]
    rows = [
        {
            **dict(zip(columns, d.place)),
            "difference": d.estimate.value,
            "standard_error": d.estimate.error,
            "error_over": d.estimate.over,
        }
        for d in found
    ]
    return csv_text([*columns, "difference", "standard_error", "error_over"], rows)


def _counts(curve):
    decades = {10**k for k in range(6, 10) if 10**k <= curve.end}
    return sorted(s for s in decades | {curve.end} if s >= FIRST_SAMPLES)
