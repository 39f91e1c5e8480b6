"""A run's folder: `run.json` says what was run and how, `metrics.csv` what came out."""

import csv
import dataclasses
import json
import math
import os
from pathlib import Path

from replication.experiment import Experiment

COLUMNS = ("samples", "train_elbo", "train_sem", "test_elbo", "test_sem", "seconds")


@dataclasses.dataclass(frozen=True)
class Point:
    """The bound after a number of training samples, in nats per example.

    Attributes:
        samples: training samples seen; 0 before training.
        train_elbo: mean bound on the fixed training subset.
        train_sem: its standard error over examples.
        test_elbo: mean bound on the fixed test subset.
        test_sem: its standard error over examples.
        seconds: training time so far, without evaluation.
    """

    samples: int
    train_elbo: float
    train_sem: float
    test_elbo: float
    test_sem: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as read back from its folder."""

    experiment: Experiment
    points: tuple[Point, ...]
    info: dict

    @property
    def diverged(self):
        """Whether training ended with a bound that is not finite or below the untrained one."""
        last = self.points[-1].train_elbo
        return not math.isfinite(last) or last < self.points[0].train_elbo

    def at(self, samples):
        """The point at exactly this number of samples, or `None`."""
        return next((p for p in self.points if p.samples == samples), None)


def runs_folder(results):
    return Path(results) / "runs"


def read_runs(results):
    """All runs below `results/runs` that have at least one point, in order of their ids."""
    folders = sorted(p.parent for p in runs_folder(results).glob("*/run.json"))
    return [run for run in map(read_run, folders) if run.points]


def read_run(folder):
    info = json.loads((Path(folder) / "run.json").read_text())
    return Run(Experiment(**info["experiment"]), tuple(read_points(folder)), info)


def read_points(folder):
    path = Path(folder) / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [Point(int(r["samples"]), *(float(r[c]) for c in COLUMNS[1:])) for r in rows]


def write_points(folder, points):
    lines = [",".join(COLUMNS)]
    for p in points:
        values = [repr(v) for v in (p.train_elbo, p.train_sem, p.test_elbo, p.test_sem)]
        lines.append(",".join([str(p.samples), *values, f"{p.seconds:.2f}"]))
    write_atomically(Path(folder) / "metrics.csv", "\n".join(lines) + "\n")


def write_atomically(path, text):
    """Writes a file that is either the old or the new one, whenever the process is killed."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
