"""A run's folder: `run.json` says what was run and how, `metrics.csv` what came out."""

import csv
import dataclasses
import json
import math
import os
from pathlib import Path

from replication.errors import ReplicationError
from replication.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class Point:
    """What was measured after a number of training samples.

    Attributes:
        samples: training samples seen; 0 before training.
        metrics: names and values, as `evaluation.measure` gives them.
        seconds: training time so far, without evaluation.
    """

    samples: int
    metrics: dict[str, float]
    seconds: float

    def __getitem__(self, name):
        return self.metrics[name]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as read back from its folder."""

    experiment: Experiment
    points: tuple[Point, ...]
    info: dict

    @property
    def diverged(self):
        """Whether training ended with a score that is not finite or below the untrained one."""
        first, last = (point[self.experiment.score] for point in (self.points[0], self.points[-1]))
        return not math.isfinite(last) or last < first

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
    """The run of a folder, whose name tells its settings.

    Raises:
        ReplicationError: if it holds a run of other settings.
    """
    folder = Path(folder).resolve()
    info = json.loads((folder / "run.json").read_text())
    experiment = Experiment(**info["experiment"])
    if experiment.id != folder.name:
        raise ReplicationError(
            f"Expected {folder} to hold the run that it is named after. Found {experiment.id}: it "
            "comes from another version of this program. Move it away or give another --results "
            "folder"
        )
    return Run(experiment, tuple(read_points(folder)), info)


def read_points(folder):
    path = Path(folder) / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [_point(**row) for row in rows]


def _point(samples, seconds, **metrics):
    return Point(int(samples), {n: float(v) for n, v in metrics.items() if v}, float(seconds))


def write_points(folder, points):
    # What is measured at the end alone leaves its cells empty before.
    names = list(dict.fromkeys(name for point in points for name in point.metrics))
    lines = [",".join(["samples", *names, "seconds"])]
    for p in points:
        values = [repr(p.metrics[name]) if name in p.metrics else "" for name in names]
        lines.append(",".join([str(p.samples), *values, f"{p.seconds:.2f}"]))
    write_atomically(Path(folder) / "metrics.csv", "\n".join(lines) + "\n")


def write_atomically(path, text):
    """Writes a file that is either the old or the new one, whenever the process is killed."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
