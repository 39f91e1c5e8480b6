"""The curves of figures 2 and 3: runs joined over seeds, beside the paper's."""

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from replication import step_sizes
from replication.experiment import ALGORITHMS
from replication.paper import paper_curve, paper_value
from replication.records import Run

FIGURES = {"bound": 2, "likelihood": 3}
QUANTITIES = {2: "elbo", 3: "density"}


class Panel(NamedTuple):
    """One panel of a figure: figure 2 has one for each N_z, figure 3 for each N_train.

    Attributes:
        figure: 2 or 3.
        dataset: name of the data set.
        latent_dim: N_z.
        n_train: N_train in figure 3, `None` in figure 2.
    """

    figure: int
    dataset: str
    latent_dim: int
    n_train: int | None = None

    @property
    def quantity(self):
        """What the figure shows of either split."""
        return QUANTITIES[self.figure]

    @property
    def size(self):
        """What tells the figure's panels of one data set apart: N_z or N_train."""
        return self.latent_dim if self.n_train is None else self.n_train

    def paper(self, algorithm, split):
        """The paper's `paper_curve`."""
        return paper_curve(
            self.figure, self.dataset, algorithm, self.latent_dim, split, self.n_train
        )


@dataclasses.dataclass(frozen=True)
class Curve:
    """One step size in one panel, over all its seeds.

    Attributes:
        panel: `Panel`.
        algorithm: name of the algorithm.
        step_size: Adagrad's global step size.
        runs: list of `Run`, one per seed.
        role: `"chosen"` by the paper's rule, `"closest"` to the paper's test curve,
            `"chosen, closest"`, or `"given"` on the command line.
    """

    panel: Panel
    algorithm: str
    step_size: float
    runs: list[Run]
    role: str = "given"

    @property
    def counts(self):
        """All numbers of training samples after which a seed was evaluated, in order."""
        return sorted({point.samples for run in self.runs for point in _trained(run)})

    @property
    def end(self):
        """Number of training samples of the longest seed."""
        return self.counts[-1]

    def reaches(self, samples):
        """Whether a seed has a value after `samples`."""
        return any(_reaches(run, samples) for run in self.runs)

    def has(self, quantity, samples):
        """Whether every seed that reaches `samples` was measured so there, or on both sides."""
        around = [p for run in self.runs if _reaches(run, samples) for p in _around(run, samples)]
        return all(f"test_{quantity}" in point.metrics for point in around)

    def values(self, samples, split, quantity=None):
        """What each seed that reaches `samples` has there, linear in log samples in between.

        Args:
            samples: number of training samples.
            split: `"train"` or `"test"`.
            quantity: what was measured of the split; default: what the figure shows.

        Returns:
            Nats per example, of shape `[seeds]`.
        """
        name = f"{split}_{quantity or self.panel.quantity}"
        return np.array([_value(r, name, samples) for r in self.runs if _reaches(r, samples)])

    def mean(self, samples, split, quantity=None):
        return float(self.values(samples, split, quantity).mean())

    def paper(self, samples, split):
        """The paper's value, or `None` where its curve does not reach."""
        figure, dataset, latent_dim, n_train = self.panel
        return paper_value(figure, dataset, self.algorithm, latent_dim, split, n_train, at=samples)

    def difference(self, samples, split):
        """Our value minus the paper's, or `None` where the paper has none."""
        paper = self.paper(samples, split)
        return None if paper is None else self.mean(samples, split) - paper


def shown_curves(runs, pilots, closest=lambda curves, chosen: None):
    """The curves to show, ordered by panel, algorithm and step size.

    Diverged runs are left out. Where a step size was chosen it is shown, and beside it the one
    closest to the paper if that is another, and any that was trained for longer; where none was
    chosen, all are shown.

    Args:
        runs: list of `Run`, the runs of one figure.
        pilots: rows of `step_sizes.pilots`.
        closest: function from the curves of one panel and algorithm, and the chosen one, to the
            one closest to the paper, or `None`.

    Returns:
        List of `Curve`.
    """
    groups = {}
    for run in sorted((r for r in runs if _trained(r) and not r.diverged), key=_order):
        e = run.experiment
        key = (panel_of(e), e.algorithm)
        groups.setdefault(key, {}).setdefault(e.step_size, []).append(run)
    shown = []
    for (panel, algorithm), by_step in groups.items():
        curves = [Curve(panel, algorithm, *item) for item in by_step.items()]
        step = step_sizes.chosen(pilots, panel.dataset, algorithm, panel.latent_dim)
        shown += _with_roles(curves, step, closest)
    return shown


def panel_of(experiment):
    e = experiment
    return Panel(FIGURES[e.measure], e.dataset, e.latent_dim, e.n_train)


def _order(run):
    e = run.experiment
    dataset = list(step_sizes.PILOT_UPDATES).index(e.dataset)
    return dataset, panel_of(e).size, ALGORITHMS.index(e.algorithm), e.step_size, e.seed


def _with_roles(curves, chosen_step, closest_of):
    chosen = next((c for c in curves if c.step_size == chosen_step), None)
    if chosen is None:
        return curves
    closest = closest_of(curves, chosen)
    shown = []
    for curve in curves:
        roles = [name for name, c in (("chosen", chosen), ("closest", closest)) if c is curve]
        if roles or curve.end > chosen.end:
            shown.append(dataclasses.replace(curve, role=", ".join(roles) or "given"))
    return shown


def _trained(run):
    return [point for point in run.points if point.samples > 0]


def _reaches(run, samples):
    points = _trained(run)
    return points[0].samples <= samples <= points[-1].samples


def _around(run, samples):
    """The last point up to `samples` and the first from there on: one and the same if exact."""
    points = _trained(run)
    below = next(p for p in reversed(points) if p.samples <= samples)
    return below, next(p for p in points if p.samples >= samples)


def _value(run, name, samples):
    points = _around(run, samples)
    logs = np.log([point.samples for point in points])
    return np.interp(math.log(samples), logs, [point[name] for point in points])
