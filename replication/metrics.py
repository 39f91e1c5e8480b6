"""A run's `metrics.csv`: a row for every evaluation."""

import csv
import dataclasses
import io
from pathlib import Path

from replication import atomic
from replication.errors import DamagedFileError
from replication.read_back import reading

FILE = "metrics.csv"


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


def read(folder):
    """The rows of a run's `metrics.csv`.

    Raises:
        DamagedFileError: if it is lost, or not a table of numbers with rows for more and more
            samples, from 0 on.
    """
    path = Path(folder) / FILE
    with reading(path, "the table of what a run measured", way_out(folder)):
        text = path.read_text(encoding="utf-8")
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


def require_whole(folder, points, experiment, info):
    """Refuses a table that has lost rows or columns since it was written.

    Args:
        folder: the run's folder.
        points: list of `Point`, as read back.
        experiment: the run's `Experiment`.
        info: what its `run.json` holds.

    Raises:
        DamagedFileError: if something is missing.
    """
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
        f"Expected {Path(folder) / FILE} to have all that was measured up to {info['samples']} "
        f"samples. Received: {found}. {way_out(folder)}"
    )


def _point(samples, seconds, **metrics):
    return Point(int(samples), {n: float(v) for n, v in metrics.items() if v}, float(seconds))


def write(folder, points):
    # What is measured at the end alone leaves its cells empty before.
    names = list(dict.fromkeys(name for point in points for name in point.metrics))
    lines = [",".join(["samples", *names, "seconds"])]
    for p in points:
        values = [repr(p.metrics[name]) if name in p.metrics else "" for name in names]
        lines.append(",".join([str(p.samples), *values, f"{p.seconds:.2f}"]))
    atomic.write(Path(folder) / FILE, "\n".join(lines) + "\n")


def way_out(folder):
    """What to do about a damaged file of a run."""
    return f"Bring it back, as from a copy or by git, or delete {folder} to train this run anew"
