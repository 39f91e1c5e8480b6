"""A run's folder: `run.json` has the settings and provenance, `metrics.csv` the measurements.

`checkpoint.npz` has the weights, the optimizer's state and the seeds. It is not committed.
"""

import csv
import dataclasses
import io
import os
import shutil
from pathlib import Path

import numpy as np

from replication.errors import DamagedFileError
from replication.measurements import files
from replication.measurements.shapes import (
    ANY,
    known,
    number,
    positive,
    text,
    text_or_null,
    time,
    whole,
)
from replication.plan.experiment import Experiment

RUN = "run.json"
METRICS = "metrics.csv"
CHECKPOINT = "checkpoint.npz"

# The content of `run.json`; names with a question mark are optional. Settings that are not listed
# have defaults.
SHAPE = {
    "experiment": {"dataset": text, "algorithm": text, "latent_dim": whole, "step_size": positive},
    "status": known(("running", "complete", "diverged")),
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
    "which was copied or renamed: a folder under another name is not a run. Delete it, or restore "
    "its name"
)
_OTHER = (
    "so its settings were changed by hand or by another version of this program. Restore "
    f"{RUN}, move the folder away, or choose another --results folder"
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run read from its folder.

    Attributes:
        experiment: its settings.
        rows: a dict for each evaluation: `samples` (0 before training), the measurements, and
            `seconds` of training so far.
        info: content of `run.json`.
    """

    experiment: Experiment
    rows: list[dict]
    info: dict

    def at(self, samples):
        """The row at exactly this number of samples, or `None`."""
        return next((row for row in self.rows if row["samples"] == samples), None)


def runs_folder(results):
    return Path(results) / "runs"


def read_runs(results):
    """All runs in `results/runs`, in order of their ids."""
    runs = []
    for path in sorted(runs_folder(results).glob(f"*/{RUN}")):
        try:
            runs.append(read_run(path.parent))
        except DamagedFileError:
            if os.path.lexists(path):  # otherwise another command has just discarded the run
                raise
    return runs


def read_run(folder):
    """Reads a run from its folder.

    If another command saves or discards the run meanwhile, inconsistent files are read again.

    Raises:
        DamagedFileError: if a file is damaged, incomplete or missing, comes from a newer version of
            this program, or belongs to a run with other settings.
    """
    folder = Path(folder).resolve()
    while True:
        version = _version(folder / RUN)
        try:
            return _read(folder)
        except DamagedFileError:
            if _version(folder / RUN) == version:
                raise


def read_metrics(folder):
    """The rows of a run's `metrics.csv` as dicts, without empty cells.

    Raises:
        DamagedFileError: if it is missing, or not a table of numbers for increasing numbers of
            samples from 0.
    """
    path = Path(folder) / METRICS
    with files.reading(path, "the table of a run's measurements", remedy(folder)):
        text = path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("an incomplete last line")
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        if header[:1] + header[-1:] != ["samples", "seconds"] or len({*header}) < len(header):
            raise ValueError(f"the columns {', '.join(header)}")
        rows = []
        for i, cells in enumerate(lines, 2):
            if len(cells) != len(header):
                raise ValueError(f"line {i} with {len(cells)} of {len(header)} values")
            numbers = {name: float(cell) for name, cell in zip(header, cells) if cell}
            rows.append({**numbers, "samples": int(cells[0]), "seconds": float(cells[-1])})
        counts = [row["samples"] for row in rows]
        if counts[:1] != [0] or sorted({*counts}) != counts:
            raise ValueError(f"rows after {', '.join(map(str, counts)) or 'no'} samples")
        return rows


def write_metrics(folder, rows):
    """Writes `metrics.csv`. Final measurements have empty cells in earlier rows."""
    known = dict.fromkeys(name for row in rows for name in row)
    names = ["samples", *(n for n in known if n not in ("samples", "seconds")), "seconds"]
    texts = [{**row, "seconds": f"{row['seconds']:.2f}"} for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(texts)
    files.write(Path(folder) / METRICS, file.getvalue())


def save_checkpoint(folder, model, samples, seconds):
    """Saves the checkpoint of the folder's run, exact to the bit."""
    arrays = [np.asarray(v) for v in _variables(model)]
    file = io.BytesIO()
    np.savez(file, *arrays, samples=samples, seconds=seconds, run=folder.name)
    files.write(folder / CHECKPOINT, file.getvalue())


def restore_checkpoint(folder, model):
    """Loads the checkpoint into the model.

    Returns:
        The samples seen and the seconds trained so far; (0, 0.0) if there is no checkpoint.

    Raises:
        DamagedFileError: if it cannot be read, or belongs to another run.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0, 0.0
    expected = f"the checkpoint of {folder.name}"
    with files.reading(path, expected, f"Restore it, or delete {folder} to retrain this run"):
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        owner = arrays.get("run", folder.name)  # missing in older checkpoints
        if owner != folder.name:
            raise ValueError(f"that of {owner}")
        for i, variable in enumerate(_variables(model)):
            variable.assign(arrays[f"arr_{i}"])
        return int(arrays["samples"]), float(arrays["seconds"])


def discard(folder):
    """Deletes a run, if it exists; the run must be locked."""
    # The record first: a concurrent reader finds a complete run or none. Then the weights: a run
    # starts over if a kill interrupts its deletion.
    for name in (RUN, CHECKPOINT):
        if (folder / name).is_file():
            (folder / name).unlink()
    if folder.exists():
        shutil.rmtree(folder)


def remedy(folder):
    """The remedy for a damaged file of a run."""
    return f"Restore it from a copy or from git, or delete {folder} to retrain this run"


def _variables(model):
    """The model's and the optimizer's variables; unlike `weights`, `variables` includes seeds."""
    return model.variables + model.optimizer.variables


def _version(path):
    """A value that changes whenever the file is replaced; `None` if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(folder):
    path = folder / RUN
    info = files.read_json(path, SHAPE, remedy(folder))
    settings = [field.name for field in dataclasses.fields(Experiment)]
    if unknown := [name for name in info["experiment"] if name not in settings]:
        raise DamagedFileError(
            f"Expected {path} to have only the settings {', '.join(settings)}. Received: "
            f"{', '.join(unknown)} too, perhaps from a newer version of this program. Use that "
            "version, or choose another --results folder"
        )
    with files.reading(path, "the record of a run", remedy(folder)):
        experiment = Experiment(**info["experiment"])
    if experiment.id != folder.name:
        copied = info.get("id") == experiment.id
        raise DamagedFileError(
            f"Expected {folder} to contain the run that it is named after. Received: "
            f"{experiment.id}, {_COPY if copied else _OTHER}"
        )
    trained = info.get("data", {}).get("train", experiment.n_train)
    if experiment.n_train not in (None, trained):
        raise DamagedFileError(
            f"Expected {folder} to contain a run of {experiment.n_train} training images. "
            f"Received: a run of {trained}, the whole training set. Delete it"
        )
    rows = read_metrics(folder)
    if missing := _missing(rows, experiment, info):
        raise DamagedFileError(
            f"Expected {folder / METRICS} to have all measurements up to {info['samples']} "
            f"samples. Received: {missing}. {remedy(folder)}"
        )
    return Run(experiment, rows, info)


def _missing(rows, experiment, info):
    """What is missing in the table, in words; `None` if it is complete."""
    kept = [row for row in rows if row["samples"] <= info["samples"]]
    expected = info.get("rows", 1)  # older versions did not record it
    if len(kept) < expected:
        return f"{len(kept)} of {expected} rows"
    if info["status"] == "complete" and kept[-1]["samples"] < info["samples"]:
        return f"a last row at {kept[-1]['samples']} samples"
    lost = [(row["samples"], n) for row in kept for n in experiment.measured if n not in row]
    return "no {1} after {0} samples".format(*lost[0]) if lost else None
