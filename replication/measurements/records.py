"""A run's folder: `run.json` says what was run and how, `metrics.csv` what came out.

`checkpoint.npz` beside them, which stays where it was trained, has weights, optimizer and seeds.
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
from replication.measurements.shapes import ANY, number, positive, text, text_or_null, time, whole
from replication.plan.experiment import Experiment

RUN = "run.json"
METRICS = "metrics.csv"
CHECKPOINT = "checkpoint.npz"

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
    f"{RUN} back, move the folder away, or give another --results folder"
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run as read back from its folder.

    Attributes:
        experiment: its settings.
        rows: a dict for each evaluation: `samples` (0 before training), what was measured, and
            `seconds` of training so far.
        info: what `run.json` holds.
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
    """All runs below `results/runs`, in order of their ids."""
    runs = []
    for path in sorted(runs_folder(results).glob(f"*/{RUN}")):
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
        version = _version(folder / RUN)
        try:
            return _read(folder)
        except DamagedFileError:
            if _version(folder / RUN) == version:
                raise


def read_metrics(folder):
    """The rows of a run's `metrics.csv`, a dict each; cells that are empty are left out.

    Raises:
        DamagedFileError: if it is lost, or not a table of numbers with rows for more and more
            samples, from 0 on.
    """
    path = Path(folder) / METRICS
    with files.reading(path, "the table of what a run measured", way_out(folder)):
        text = path.read_text(encoding="utf-8")
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
    """Writes `metrics.csv`. What is measured at the end alone leaves its cells empty before."""
    known = dict.fromkeys(name for row in rows for name in row)
    names = ["samples", *(n for n in known if n not in ("samples", "seconds")), "seconds"]
    texts = [{**row, "seconds": f"{row['seconds']:.2f}"} for row in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(texts)
    files.write(Path(folder) / METRICS, file.getvalue())


def save_checkpoint(folder, model, samples, seconds):
    """Replaces the checkpoint of the run that the folder is named after, exact to the bit."""
    arrays = [np.asarray(v) for v in _variables(model)]
    file = io.BytesIO()
    np.savez(file, *arrays, samples=samples, seconds=seconds, run=folder.name)
    files.write(folder / CHECKPOINT, file.getvalue())


def restore_checkpoint(folder, model):
    """Loads the checkpoint into the model.

    Returns:
        The samples seen and the seconds trained so far; (0, 0.0) if there is no checkpoint.

    Raises:
        DamagedFileError: if it cannot be read, or is that of another run.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0, 0.0
    expected = f"the checkpoint of {folder.name}"
    with files.reading(path, expected, f"Bring it back, or delete {folder} to train this run anew"):
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        owner = arrays.get("run", folder.name)  # which older checkpoints do not know
        if owner != folder.name:
            raise ValueError(f"that of {owner}")
        for i, variable in enumerate(_variables(model)):
            variable.assign(arrays[f"arr_{i}"])
        return int(arrays["samples"]), float(arrays["seconds"])


def discard(folder):
    """Deletes a run, if there is one; it is to be locked."""
    # The record first: who reads the folder meanwhile finds a whole run or none. Then the weights:
    # numbers that a kill leaves without them are begun anew.
    for name in (RUN, CHECKPOINT):
        if (folder / name).is_file():
            (folder / name).unlink()
    if folder.exists():
        shutil.rmtree(folder)


def way_out(folder):
    """What to do about a damaged file of a run."""
    return f"Bring it back, as from a copy or by git, or delete {folder} to train this run anew"


def _variables(model):
    """Keras leaves the seeds out of `.keras` files; `model.variables` has them."""
    return model.variables + model.optimizer.variables


def _version(path):
    """What changes whenever the file at a path is replaced; `None` if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _read(folder):
    path = folder / RUN
    info = files.read_json(path, SHAPE, way_out(folder))
    settings = [field.name for field in dataclasses.fields(Experiment)]
    if unknown := [name for name in info["experiment"] if name not in settings]:
        raise DamagedFileError(
            f"Expected {path} to have no settings but {', '.join(settings)}. Received: "
            f"{', '.join(unknown)} too, as from a newer version of this program. Use that version, "
            "or give another --results folder"
        )
    with files.reading(path, "the record of a run", way_out(folder)):
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
    rows = read_metrics(folder)
    if missing := _missing(rows, experiment, info):
        raise DamagedFileError(
            f"Expected {folder / METRICS} to have all that was measured up to {info['samples']} "
            f"samples. Received: {missing}. {way_out(folder)}"
        )
    return Run(experiment, rows, info)


def _missing(rows, experiment, info):
    """What the table has lost since it was written, in words; `None` if nothing."""
    kept = [row for row in rows if row["samples"] <= info["samples"]]
    expected = info.get("rows", 1)  # which older versions did not write down
    if len(kept) < expected:
        return f"{len(kept)} of {expected} rows"
    if info["status"] == "complete" and kept[-1]["samples"] < info["samples"]:
        return f"the last row after {kept[-1]['samples']}"
    lost = [(row["samples"], n) for row in kept for n in experiment.measured if n not in row]
    return "no {1} after {0} samples".format(*lost[0]) if lost else None
