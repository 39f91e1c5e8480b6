"""The state of a run: its model, measurements and files."""

import dataclasses
import json
import math
import time

import keras

import keras_aevb as kv
from replication.errors import ReplicationError
from replication.measurements import files, records
from replication.train import evaluation
from replication.train.model import WholeTrainingSet, build


class Training:
    """A run that resumes from its last checkpoint.

    Args:
        experiment: `Experiment`.
        dataset: `Dataset`.
        x_train: the training images, as a tensor on the device.
        folder: the run's folder.
        session: dict that describes this process.

    Raises:
        ReplicationError: if the run was started on another Keras backend.
        ReplicationError: if the run has numbers but no checkpoint to resume from.
        DamagedFileError: if a file of the run is damaged, or rows before the checkpoint are
        missing.
    """

    def __init__(self, experiment, dataset, x_train, folder, session):
        self.experiment = experiment
        self.dataset = dataset
        self.x_train = x_train
        self.folder = folder
        earlier, rows = self._earlier()
        self.model = build(experiment, dataset)
        self.samples, self.seconds = records.restore_checkpoint(folder, self.model)
        here = {"samples_from": self.samples, "evaluation_seconds": 0.0}
        self.sessions = [*earlier, {**session, **here}]
        # Rows after the checkpoint belong to lost training.
        self.rows = [row for row in rows if row["samples"] <= self.samples]
        self.saved = time.monotonic()

    def _earlier(self):
        """The sessions and rows of the run so far."""
        if not (self.folder / records.RUN).exists():
            # If a kill in the first save or a deletion left only metrics, the run starts over.
            begun = (self.folder / records.CHECKPOINT).exists()
            return [], records.read_metrics(self.folder) if begun else []
        run = records.read_run(self.folder)
        sessions = run.info["sessions"]
        begun, backend = sessions[0]["backend"], keras.backend.backend()
        if begun != backend:
            raise ReplicationError(
                f"Expected the {begun} backend, on which {self.folder} was started. Received: "
                f"{backend}. Set KERAS_BACKEND={begun}, choose another --results folder, or start "
                "this run over with --fresh"
            )
        if not (self.folder / records.CHECKPOINT).exists():
            raise ReplicationError(
                f"Expected {records.CHECKPOINT} in {self.folder}, to resume the run. Received: the "
                "numbers only, as in a fresh clone. Choose another --results folder, or start this "
                "run over with --fresh"
            )
        return sessions, run.rows

    def batches(self, stop):
        """The minibatches from the current position to `stop` samples."""
        e = self.experiment
        first, last = self.samples // e.samples_per_step, stop // e.samples_per_step
        if e.algorithm == "mcem":
            return WholeTrainingSet(self.x_train, last - first)
        return kv.RandomMinibatches(self.x_train, e.batch_size, e.seed, first, last - first)

    def advance(self, stop, seconds):
        """Records training up to `stop` samples."""
        self.samples = stop
        self.seconds += seconds

    def measure(self, model, at_end):
        """Evaluates `model`, which has this run's weights, and adds a row."""
        start = time.perf_counter()
        at_start = self.samples == 0
        measured = evaluation.measure(model, self.experiment, self.dataset, at_start, at_end)
        session = self.sessions[-1]
        seconds = session["evaluation_seconds"] + time.perf_counter() - start
        session["evaluation_seconds"] = round(seconds, 2)
        self.rows.append({"samples": self.samples, **measured, "seconds": self.seconds})

    @property
    def score(self):
        """The last measured value of the experiment's score."""
        return self.rows[-1][self.experiment.score]

    @property
    def diverged(self):
        return not math.isfinite(self.score)

    def save(self, status):
        self.sessions[-1].update(samples_to=self.samples)
        evaluated = evaluation.examples(self.experiment, self.dataset)
        info = {
            "id": self.experiment.id,
            "experiment": dataclasses.asdict(self.experiment),
            "status": status,
            "samples": self.samples,
            "rows": len(self.rows),
            "seconds": round(self.seconds, 2),
            "parameters": self.model.count_params(),
            "data": {
                "digest": self.dataset.digest,
                "train": len(self.dataset.train),
                "test": len(self.dataset.test),
                **{f"evaluated_{split}": len(x) for split, x in evaluated.items()},
            },
            "sessions": self.sessions,
        }
        # In this order, a kill in between loses no row and leaves no run without a checkpoint.
        records.write_metrics(self.folder, self.rows)
        records.save_checkpoint(self.folder, self.model, self.samples, self.seconds)
        files.write(self.folder / records.RUN, json.dumps(info, indent=1) + "\n")
        self.saved = time.monotonic()

    def seconds_since_saved(self):
        return time.monotonic() - self.saved
