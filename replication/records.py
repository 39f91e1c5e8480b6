"""A run's folder: `run.json` says what was run and how, `metrics.csv` what came out."""

import dataclasses
import math
import os
from pathlib import Path

from replication import metrics
from replication.errors import DamagedFileError
from replication.experiment import Experiment
from replication.metrics import Point
from replication.read_back import read_json, reading
from replication.shapes import ANY, number, positive, text, text_or_null, time, whole

FILE = "run.json"

# What is read of `run.json`. The other settings have defaults.
SHAPE = {
    "experiment": {"dataset": text, "algorithm": text, "latent_dim": whole, "step_size": positive},
    "status": text,
    "samples": whole,
    "rows?": whole,
    "data?": {"train?": whole},
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


_COPY = (
    "which was copied here or renamed: a copy under another name counts as no run. Delete it, or "
    "give it back its name"
)
_OTHER = (
    "so that its settings were changed by hand or by another version of this program. Bring "
    f"{FILE} back, move the folder away, or give another --results folder"
)


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
    runs = []
    for path in sorted(runs_folder(results).glob(f"*/{FILE}")):
        try:
            runs.append(read_run(path.parent))
        except DamagedFileError:
            if os.path.lexists(path):  # else another command has just discarded the run
                raise
    return runs


def read_run(folder):
    """The run of a folder, whose name tells its settings.

    Another command may train it meanwhile: files that do not fit together are read again if the run
    was saved or discarded in between.

    Raises:
        DamagedFileError: if a file is damaged, shortened or lost, comes from a newer version of
            this program, or is of a run with other settings.
    """
    folder = Path(folder).resolve()
    while True:
        version = _version(folder / FILE)
        try:
            return _read(folder)
        except DamagedFileError:
            if _version(folder / FILE) == version:
                raise


def _version(path):
    """What changes whenever the file at a path is replaced; `None` if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(folder):
    path, way_out = folder / FILE, metrics.way_out(folder)
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
    trained = info.get("data", {}).get("train", experiment.n_train)
    if experiment.n_train not in (None, trained):
        raise DamagedFileError(
            f"Expected {folder} to hold a run of {experiment.n_train} training images. Received: "
            f"one of {trained}, all that there are. Delete it"
        )
    points = tuple(metrics.read(folder))
    metrics.require_whole(folder, points, experiment, info)
    return Run(experiment, points, info)
