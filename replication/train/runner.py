"""Trains experiments side by side: evaluates, saves checkpoints and resumes."""

import contextlib
import math
import time

from keras import ops

import keras_aevb as kv
from replication.measurements import lock, provenance, records
from replication.plan import schedule
from replication.plan.experiment import title
from replication.plan.step_sizes import pilot_samples
from replication.train.evaluation import has_final_measurements
from replication.train.training import Training

# Runs are saved at the first stop after this time. Saving takes some hundredths of a second; on a
# GPU, training on 10⁵ samples takes 0.2 s.
SECONDS_BETWEEN_CHECKPOINTS = 10


def train(experiments, samples, dataset, results, progress, patience=None):
    """Trains experiments of one `Experiment.shared_settings`, up to `samples` each.

    A run that was killed and resumed ends with the same numbers as an uninterrupted one:
    minibatches and noise depend only on the seed and the step, and evaluation uses separate seeds.
    Shorter runs catch up first; then all continue in one program. Training of a diverged run stops.

    Args:
        experiments: list of `Experiment` with the same `shared_settings`.
        samples: training samples of each; rounded up to whole training steps.
        dataset: `Dataset`.
        results: folder of the results, in which `runs/<id>/` is saved.
        progress: `RunProgress`.
        patience: seconds to wait for another command that trains one of the runs.

    Returns:
        List of `Run`.

    Raises:
        ReplicationError: if a run was started on another Keras backend.
        ReplicationError: if a run has numbers but no checkpoint to resume from.
        DamagedFileError: if a file of a run is damaged.
        DatasetError: if the data set has fewer than `n_train` training images.
        BusyError: if another command trains one of the runs; then none is trained.
    """
    folders = [records.runs_folder(results) / e.id for e in experiments]
    with lock.runs(folders, patience):
        return _train(experiments, folders, samples, dataset, progress)


def _train(experiments, folders, samples, dataset, progress):
    first = experiments[0]
    samples = schedule.whole(samples, first.samples_per_step)
    unfinished = [(e, f) for e, f in zip(experiments, folders) if not _finished(f, samples)]
    if unfinished:
        dataset = dataset.first(first.n_train)
        session = {**provenance.session(), "side_by_side": len(unfinished)}
        x_train = ops.convert_to_tensor(dataset.train)
        begin, pilot = schedule.FIRST_SAMPLES[first.dataset], pilot_samples(first)
        grid = schedule.Schedule(samples, first.samples_per_step, first.measure, begin, pilot)
        trainings = [Training(e, dataset, x_train, f, dict(session)) for e, f in unfinished]
        _Group(trainings, grid, progress).run()
    return [records.read_run(folder) for folder in folders]


def _finished(folder, samples):
    """Whether the folder's run has diverged, or has `samples` samples and all measurements."""
    if not (folder / records.RUN).exists():
        return False
    run = records.read_run(folder)
    done = run.info["samples"]
    row = run.at(samples)
    measured = row is not None and has_final_measurements(run.experiment, row)
    measured = measured or done > samples
    return run.info["status"] == "diverged" or (done >= samples and measured)


class _Group:
    """Runs that are trained side by side while they have the same number of samples."""

    def __init__(self, trainings, grid, progress):
        self.trainings = trainings
        self.grid = grid
        self.progress = progress
        self.replicas = {}  # from Python's ids of trainings to their `Replicas`
        self.models = {t.experiment.curve_settings: t.model for t in trainings}

    def run(self):
        done = min(t.samples for t in self.trainings)
        description = title([t.experiment for t in self.trainings])
        self.progress.begin(description, done, self.grid.samples)
        self._measure([t for t in self.trainings if not t.rows])
        self._finish([t for t in self.trainings if self._status(t) == "complete"])
        for training in [t for t in self.trainings if t.diverged]:
            training.save("diverged")
        while active := [t for t in self.trainings if self._status(t) == "running"]:
            position = min(t.samples for t in active)
            self._advance([t for t in active if t.samples == position])

    def _finish(self, trainings):
        """Adds the final evaluation to runs that stopped before it was saved."""
        for training in trainings:
            last = training.rows[-1]
            whole = has_final_measurements(training.experiment, last)
            if last["samples"] == training.samples and not whole:
                training.rows.pop()
        self._measure([t for t in trainings if t.rows[-1]["samples"] < t.samples], at_end=True)
        for training in trainings:
            training.save("complete")

    def _advance(self, trainings):
        """Trains to the next stop."""
        position = trainings[0].samples
        stop = self.grid.next_stop(position)
        samples_per_step = trainings[0].experiment.samples_per_step

        def report(steps, logs):
            if self.progress.due():
                bound = float(logs[trainings[0].model.maximize[0]])
                done = position + steps // len(trainings) * samples_per_step
                self.progress.update(done, bound, len(trainings))

        start = time.perf_counter()
        self._replicas(trainings).fit([t.batches(stop) for t in trainings], report=report)
        seconds = (time.perf_counter() - start) / len(trainings)
        for training in trainings:
            training.advance(stop, seconds)
        measured = stop in self.grid.evaluations
        if measured:
            self._measure(trainings, at_end=stop == self.grid.samples)
        unsaved = max(t.seconds_since_saved() for t in trainings)
        if measured or unsaved >= SECONDS_BETWEEN_CHECKPOINTS:
            for training in trainings:
                training.save(self._status(training))
        scores = [t.score for t in trainings if not t.diverged]
        self.progress.update(stop, max(scores, default=math.nan), len(trainings))

    def _replicas(self, trainings):
        key = tuple(map(id, trainings))
        if key not in self.replicas:
            self.replicas[key] = kv.Replicas([t.model for t in trainings])
        return self.replicas[key]

    def _measure(self, trainings, at_end=False):
        """Evaluates runs of equal `curve_settings` with one model's programs: one compilation."""
        for training in trainings:
            model = self.models[training.experiment.curve_settings]
            with _weights_of(training.model, model):
                training.measure(model, at_end)

    def _status(self, training):
        if training.diverged:
            return "diverged"
        return "complete" if training.samples >= self.grid.samples else "running"


@contextlib.contextmanager
def _weights_of(source, model):
    """A context in which `model` has the values of the variables of `source`."""
    if source is model:
        yield
        return
    own = [ops.copy(v.value) for v in model.variables]
    for variable, other in zip(model.variables, source.variables):
        variable.assign(other.value)
    try:
        yield
    finally:
        for variable, value in zip(model.variables, own):
            variable.assign(value)
