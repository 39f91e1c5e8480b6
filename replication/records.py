"""A run's folder: `run.json` says what was run and how, `metrics.csv` what came out."""

import csv
import dataclasses
import io
import math
from pathlib import Path

from replication import atomic
from replication.errors import DamagedFileError
from replication.experiment import Experiment
from replication.read_back import (
    ANY,
    number,
    positive,
    read_json,
    read_text,
    reading,
    text,
    text_or_null,
    time,
    whole,
)

FILE = "run.json"
METRICS = "metrics.csv"

# What is read of `run.json`. The other settings have defaults.
SHAPE = {
    "experiment": {"dataset": text, "algorithm": text, "latent_dim": whole, "step_size": positive},
    "status": text,
    "samples": whole,
    "rows?": whole,
    "sessions": [
        {
            "commit": text_or_null,
            "started": time,
            "backend": text,
            "device": text,
            "machine": text,
            "python": text,
            "versions": {ANY: text},
            "samples_from": whole,
            "samples_to": whole,
            "side_by_side?": whole,
            "evaluation_seconds?": number,
        }
    ],
}


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
    """All runs below `results/runs`, in order of their ids."""
    return [read_run(path.parent) for path in sorted(runs_folder(results).glob(f"*/{FILE}"))]


def read_run(folder):
    """The run of a folder, whose name tells its settings.

    Raises:
        DamagedFileError: if a file is damaged, shortened or lost, comes from a newer version of
            this program, or is of a run with other settings.
    """
    folder = Path(folder).resolve()
    path, way_out = folder / FILE, _way_out(folder)
    info = read_json(path, SHAPE, way_out)
    settings = [field.name for field in dataclasses.fields(Experiment)]
    if unknown := [name for name in info["experiment"] if name not in settings]:
        raise DamagedFileError(
            f"Expected {path} to have no settings but {', '.join(settings)}. Received: "
            f"{', '.join(unknown)} too, as from a newer version of this program. Use that version, "
            "or give another --results folder"
        )
    with reading(path, "the record of a run", way_out):
        experiment = Experiment(**info["experiment"])
    if experiment.id != folder.name:
        copied = info.get("id") == experiment.id
        raise DamagedFileError(
            f"Expected {folder} to hold the run that it is named after. Received: "
            f"{experiment.id}, {_COPY if copied else _OTHER}"
        )
    points = tuple(read_points(folder))
    _require_whole(folder / METRICS, points, experiment, info)
    return Run(experiment, points, info)


_COPY = (
    "which was copied here or renamed: a copy under another name counts as no run. Delete it, or "
    "give it back its name"
)
_OTHER = (
    "so that its settings were changed by hand or by another version of this program. Bring "
    f"{FILE} back, move the folder away, or give another --results folder"
)


def _way_out(folder):
    return f"Bring it back, as from a copy or by git, or delete {folder} to train this run anew"


def read_points(folder):
    """The rows of a run's `metrics.csv`.

    Raises:
        DamagedFileError: if it is lost, or not a table of numbers with rows for more and more
            samples, from 0 on.
    """
    path = Path(folder) / METRICS
    text = read_text(path, _way_out(folder))
    with reading(path, "the table of what a run measured", _way_out(folder)):
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if header[:1] + header[-1:] != ["samples", "seconds"] or len({*header}) < len(header):
            raise ValueError(f"the columns {', '.join(header)}")
        points = []
        for line, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise ValueError(f"line {line} with {len(row)} of {len(header)} values")
            points.append(_point(**dict(zip(header, row))))
        counts = [point.samples for point in points]
        if counts[:1] != [0] or sorted({*counts}) != counts:
            raise ValueError(f"rows after {', '.join(map(str, counts)) or 'no'} samples")
        return points


def _require_whole(path, points, experiment, info):
    """Refuses a table that has lost rows or columns since it was written."""
    rows = [point for point in points if point.samples <= info["samples"]]
    expected = info.get("rows", 1)  # which older versions did not write down
    if len(rows) < expected:
        found = f"{len(rows)} of {expected} rows"
    elif info["status"] == "complete" and rows[-1].samples < info["samples"]:
        found = f"the last row after {rows[-1].samples}"
    else:
        missing = [(p.samples, n) for p in rows for n in experiment.measured if n not in p.metrics]
        if not missing:
            return
        found = "no {1} after {0} samples".format(*missing[0])
    raise DamagedFileError(
        f"Expected {path} to have all that was measured up to {info['samples']} samples. Received: "
        f"{found}. {_way_out(path.parent)}"
    )


def _point(samples, seconds, **metrics):
    return Point(int(samples), {n: float(v) for n, v in metrics.items() if v}, float(seconds))


def write_points(folder, points):
    # What is measured at the end alone leaves its cells empty before.
    names = list(dict.fromkeys(name for point in points for name in point.metrics))
    lines = [",".join(["samples", *names, "seconds"])]
    for p in points:
        values = [repr(p.metrics[name]) if name in p.metrics else "" for name in names]
        lines.append(",".join([str(p.samples), *values, f"{p.seconds:.2f}"]))
    atomic.write(Path(folder) / METRICS, "\n".join(lines) + "\n")
