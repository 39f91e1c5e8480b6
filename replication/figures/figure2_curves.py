"""The curves of figure 2: runs joined over seeds, and which step sizes are worth showing."""

import dataclasses

import numpy as np

from replication import step_sizes
from replication.paper import paper_value
from replication.records import Point

# The paper's earlier points look smoothed.
FIRST_COMPARABLE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Curve:
    """One step size in one panel, over all its seeds.

    Attributes:
        dataset: name of the data set.
        latent_dim: N_z.
        algorithm: name of the algorithm.
        step_size: Adagrad's global step size.
        points: the evaluations after each number of training samples, one per seed.
        role: `"chosen"` by the paper's rule, `"closest"` to the paper's test curve,
            `"chosen, closest"`, or `"given"` on the command line.
    """

    dataset: str
    latent_dim: int
    algorithm: str
    step_size: float
    points: dict[int, list[Point]]
    role: str = "given"

    @property
    def end(self):
        """Number of training samples of the longest seed."""
        return max(self.points)

    def bounds(self, samples, split):
        """The bound on `split` after `samples`, in nats per example, of shape `[seeds]`."""
        return np.array([getattr(point, f"{split}_elbo") for point in self.points[samples]])

    def mean(self, samples, split):
        return float(self.bounds(samples, split).mean())

    def paper(self, samples, split):
        """The paper's bound, or `None` where its curve does not reach."""
        return paper_value(2, self.dataset, self.algorithm, self.latent_dim, split, at=samples)

    def difference(self, samples, split):
        """Our bound minus the paper's, or `None` where the paper has none."""
        paper = self.paper(samples, split)
        return None if paper is None else self.mean(samples, split) - paper


def shown_curves(runs, pilots):
    """The curves to show, ordered by panel, algorithm and step size.

    Diverged runs are left out. Where a step size was chosen it is shown, and beside it the one
    closest to the paper if that is another, and any that was trained for longer; where none was
    chosen, all are shown.

    Args:
        runs: list of `Run`, the runs of figure 2.
        pilots: their rows of `step_sizes.pilots`.

    Returns:
        List of `Curve`.
    """
    panels = {}
    for run in sorted((r for r in runs if not r.diverged), key=_order):
        e = run.experiment
        key = (e.dataset, e.latent_dim, e.algorithm)
        points = panels.setdefault(key, {}).setdefault(e.step_size, {})
        for point in run.points:
            if point.samples > 0:
                points.setdefault(point.samples, []).append(point)
    shown = []
    for (dataset, latent_dim, algorithm), by_step in panels.items():
        curves = [
            Curve(dataset, latent_dim, algorithm, step, points)
            for step, points in by_step.items()
            if points
        ]
        shown += _with_roles(curves, step_sizes.chosen(pilots, dataset, algorithm))
    return shown


def _order(run):
    e = run.experiment
    datasets = list(step_sizes.PILOT_SAMPLES)
    return datasets.index(e.dataset), e.latent_dim, e.algorithm, e.step_size, e.seed


def _with_roles(curves, chosen_step):
    chosen = next((c for c in curves if c.step_size == chosen_step), None)
    if chosen is None:
        return curves
    closest = _closest([c for c in curves if c.end >= min(chosen.end, FIRST_COMPARABLE)])
    shown = []
    for curve in curves:
        roles = [name for name, c in (("chosen", chosen), ("closest", closest)) if c is curve]
        if roles or curve.end > chosen.end:
            shown.append(dataclasses.replace(curve, role=", ".join(roles) or "given"))
    return shown


def _closest(curves):
    """The curve with the least mean distance to the paper's test curve, `None` if undecided.

    Measured at the decades from `FIRST_COMPARABLE` on that all curves share.
    """
    shared = set.intersection(*(set(curve.points) for curve in curves))
    comparable = [s for s in shared if curves[0].paper(s, "test") is not None]
    samples = [s for s in comparable if s >= FIRST_COMPARABLE and is_decade(s)] or comparable
    if len(curves) < 2 or not samples:
        return None
    return min(curves, key=lambda c: np.mean([abs(c.difference(s, "test")) for s in samples]))


def is_decade(samples):
    return str(samples).rstrip("0") == "1"
