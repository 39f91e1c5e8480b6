"""Trains one experiment: evaluates, keeps checkpoints, continues where it stopped."""

import dataclasses
import json
import math
import shutil
import time

import keras

from replication import checkpoint, evaluation, model, provenance, records, schedule
from replication.errors import BackendMismatchError, MissingCheckpointError
from replication.minibatches import RandomMinibatches, WholeTrainingSet


def train(experiment, samples, dataset, results, progress, fresh=False):
    """Trains `experiment` up to `samples` training samples, from its last checkpoint on.

    A run that was killed and continued ends with the same numbers as one that was not: minibatches
    and noise depend on the seed and the step alone, and evaluation draws from seeds of its own.

    Args:
        experiment: `Experiment`.
        samples: training samples in all; rounded up to whole training steps.
        dataset: `Dataset`.
        results: folder below which `runs/<id>/` is kept.
        progress: `RunProgress`.
        fresh: whether to throw away what the folder holds.

    Returns:
        The `Run`.

    Raises:
        BackendMismatchError: if the run was begun on another Keras backend.
        MissingCheckpointError: if the run has numbers but no checkpoint to continue from.
    """
    folder = records.runs_folder(results) / experiment.id
    samples = schedule.whole(samples, experiment.samples_per_step)
    if fresh and folder.exists():
        shutil.rmtree(folder)
    run = _finished(folder, samples)
    if run is not None:
        return run
    folder.mkdir(parents=True, exist_ok=True)
    training = _Training(experiment, dataset, folder)
    progress.begin(str(experiment), training.samples, samples)
    training.run(samples, progress)
    return records.read_run(folder)


def _finished(folder, samples):
    """The folder's run if nothing is left to do."""
    if not (folder / "run.json").exists():
        return None
    run = records.read_run(folder)
    reached = run.points and run.at(samples) is not None
    return run if reached or run.info["status"] == "diverged" else None


class _Training:
    """The state of one run."""

    def __init__(self, experiment, dataset, folder):
        self.experiment = experiment
        self.dataset = dataset.first(experiment.n_train)
        self.folder = folder
        self.model = model.build(experiment, self.dataset)
        self.sessions = self._earlier_sessions()
        self.samples, self.seconds = checkpoint.restore(folder, self.model)
        # Rows after the checkpoint are of a training that was lost.
        points = records.read_points(folder)
        self.points = [p for p in points if p.samples <= self.samples]

    def _earlier_sessions(self):
        path = self.folder / "run.json"
        if not path.exists():
            return []
        sessions = json.loads(path.read_text())["sessions"]
        begun, backend = sessions[0]["backend"], keras.backend.backend()
        if begun != backend:
            raise BackendMismatchError(
                f"{self.folder} was begun on the {begun} backend and cannot be continued on "
                f"{backend}. Set KERAS_BACKEND={begun}, give another --results folder, or start "
                "over with --fresh"
            )
        if not (self.folder / checkpoint.FILE).exists():
            raise MissingCheckpointError(
                f"{self.folder} has the numbers of a run but not its {checkpoint.FILE}, without "
                "which it cannot be continued. Give another --results folder, or start this run "
                "over with --fresh"
            )
        return sessions

    def run(self, samples, progress):
        self.sessions.append({**provenance.session(), "samples_from": self.samples})
        if not self.points:
            self._evaluate()
        grid = (samples, self.experiment.samples_per_step, self.experiment.measure)
        evaluations = set(schedule.evaluations(*grid))
        for stop in schedule.stops(self.samples, *grid):
            self._fit(stop, progress)
            if stop in evaluations:
                self._evaluate(at_end=stop == samples)
            self._save("running")
            score = self.points[-1][self.experiment.score]
            progress.update(self.samples, score)
            if not math.isfinite(score):
                self._save("diverged")
                return
        self._save("complete")

    def _fit(self, stop, progress):
        """Trains until `stop` samples."""
        e, x = self.experiment, self.dataset.train
        first, last = self.samples // e.samples_per_step, stop // e.samples_per_step
        if e.algorithm == "mcem":
            batches = WholeTrainingSet(x, last - first)
        else:
            batches = RandomMinibatches(x, e.batch_size, e.seed, first, last - first)
        report = _Report(progress, self.samples, e.samples_per_step)
        start = time.perf_counter()
        self.model.fit(batches, verbose=0, shuffle=False, callbacks=[report])
        self.seconds += time.perf_counter() - start
        self.samples = stop

    def _evaluate(self, at_end=False):
        metrics = evaluation.measure(self.model, self.experiment, self.dataset, at_end)
        self.points.append(records.Point(self.samples, metrics, self.seconds))

    def _save(self, status):
        self.sessions[-1].update(samples_to=self.samples)
        evaluated = evaluation.examples(self.experiment, self.dataset)
        info = {
            "id": self.experiment.id,
            "experiment": dataclasses.asdict(self.experiment),
            "status": status,
            "samples": self.samples,
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
        # In this order a kill in between leaves no row unwritten and no run without a checkpoint.
        records.write_points(self.folder, self.points)
        checkpoint.save(self.folder, self.model, self.samples, self.seconds)
        records.write_atomically(self.folder / "run.json", json.dumps(info, indent=1) + "\n")


class _Report(keras.callbacks.Callback):
    """Shows how far `fit` is; reads the bound only when the display is due, for it waits for it."""

    def __init__(self, progress, samples, samples_per_step):
        super().__init__()
        self.progress = progress
        self.samples = samples
        self.samples_per_step = samples_per_step

    def on_train_batch_end(self, batch, logs=None):
        if self.progress.due():
            done = self.samples + (batch + 1) * self.samples_per_step
            self.progress.update(done, float(logs[self.model.rising_terms[0]]))
