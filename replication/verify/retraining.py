"""Retrains every run of the results for some samples, and compares the measurements.

With the same versions and number of threads on the same kind of CPU, the numbers are equal to the
last digit. Otherwise they differ by rounding, and where training is chaotic, rounding moves them
far. To distinguish the two cases, a run that does not agree within `agreement.ROUNDING` and its
errors is repeated up to `TWINS` times, with every initial weight moved to an adjacent
floating-point number. If no twin moves, rounding does not explain the difference. If one does,
training is chaotic, and the run's last number must be within the spread over seeds.
"""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np

from replication.errors import ReplicationError
from replication.measurements import files, lock, provenance
from replication.measurements.records import (
    RUN,
    discard,
    read_run,
    read_runs,
    runs_folder,
    save_checkpoint,
    write_metrics,
)
from replication.plan.schedule import whole
from replication.verify.agreement import Pair, is_consistent

FOLDER = "rerun"
ORIGIN = "origin.json"  # in this folder: the settings, code and machine of its runs
# Training is chaotic if a twin moves by more than this, in nats; otherwise twins move by 10⁻³ or
# less. If the difference and the twins' moves have the same normal distribution, all three twins
# stay below a tenth of the difference once in a thousand cases.
CHAOS = 0.01
TWINS = 3
SEEDS = 10  # number of seeds that estimate the spread over seeds


def run(results, samples, echo, data_dir=None, **workers):
    """Compares all runs of the results with retrained runs.

    An interrupted command continues where it stopped if neither code, versions nor machine changed.

    Args:
        results: folder of the results, in which the folder `rerun` is made and deleted again.
        samples: training samples of each new run.
        echo: function that prints a line.
        data_dir: folder with the data sets, or `None`.
        **workers: `jobs` and `scheduler`, as for `Jobs`.

    Returns:
        Whether all numbers agree.

    Raises:
        ReplicationError: if there are no runs of this backend, or `samples` is below the first
            measurement of a run.
        BusyError: if another command reruns the same results.
    """
    runs = _of_this_backend(results, echo)
    _check_samples(runs, samples)
    folder = Path(results) / FOLDER
    with lock.runs([folder]):
        settings = {"samples": samples, "jobs": workers.get("jobs")}
        settings["cluster"] = workers.get("scheduler") is not None
        _keep_if_comparable(folder, {**settings, **provenance.origin()})
        good = _Rerun(folder, samples, data_dir, workers).compare(runs, echo)
        discard(folder)
    return good


def _of_this_backend(results, echo):
    import keras

    backend, runs, others = keras.backend.backend(), [], False
    for run in read_runs(results):
        begun = run.info["sessions"][0]["backend"]
        if run.rows[-1]["samples"] == 0:
            echo(f"skipped   {run.experiment}: not evaluated since training began")
        elif begun == backend:
            runs.append(run)
        else:
            others = True
            echo(f"skipped   {run.experiment}: started on {begun}, whose noise differs")
    if not runs:
        remedy = ". Set KERAS_BACKEND to their backend" if others else ""
        raise ReplicationError(
            f"Expected trained runs in {runs_folder(results)} that were started on {backend}. "
            f"Received: none{remedy}"
        )
    return runs


def _check_samples(runs, samples):
    """Raises a `ReplicationError` if a run has no measurement of a trained model so early."""
    for run in runs:
        first = next(row["samples"] for row in run.rows if row["samples"] > 0)
        if whole(samples, run.experiment.samples_per_step) < first:
            raise ReplicationError(
                "Expected --rerun to reach each run's first measurement of a trained model. "
                f"{run.experiment} has it after {first:,} samples. Received: {samples:,}"
            )


def _keep_if_comparable(folder, origin):
    """Discards the runs of an interrupted command unless it had the same origin."""
    path, data = folder / ORIGIN, json.dumps(origin, indent=1).encode()
    if not path.exists() or path.read_bytes() != data:
        discard(folder)
        files.write(path, data)


class _Rerun:
    """Retrained runs in a folder of their own."""

    def __init__(self, folder, samples, data_dir, workers):
        self.folder = folder
        self.samples = samples
        self.data_dir = data_dir
        self.workers = workers

    def compare(self, runs, echo):
        """Prints a line for each run; returns whether all agree."""
        self.train("runs", [run.experiment for run in runs])
        numbers = [number for run in runs for number in self.numbers(run)]
        moved = self.moved_by_rounding([number for number in numbers if not number.agrees()])
        last = {number.experiment: number for number in numbers}
        outside = self.outside_of_seeds([number for number in moved if number in last.values()])
        failures = 0
        for run in runs:
            own = [number for number in numbers if number.experiment == run.experiment]
            apart = [number for number in own if not number.agrees()]
            wrong = [number for number in apart if number not in moved or number in outside]
            failures += bool(wrong)
            status = "regressed" if wrong else "seeds" if apart else "ok"
            words = _words(own, wrong, apart)
            if apart:
                words += self.environment_difference(run)
            echo(f"{status:9} {run.experiment}: {words}")
        echo(f"{len(runs) - failures} of {len(runs)} runs agree")
        return not failures

    def train(self, name, experiments, prepare=None):
        """Trains experiments in a subfolder, after `prepare(dataset, experiment)` for each."""
        from replication.train.jobs import Jobs

        if not experiments:
            return
        names = dict.fromkeys(experiment.dataset for experiment in experiments)
        with Jobs(names, self.data_dir, self.folder / name, **self.workers) as jobs:
            for experiment in experiments if prepare else ():
                prepare(jobs.dataset(experiment), experiment)
            jobs.train(experiments, self.samples)

    def environment_difference(self, run):
        """How the stored run's machine, threads and versions differ from the rerun's, in words."""
        then = _environment(run, self.samples)
        now = _environment(self.read(run.experiment), self.samples)
        sides = (("stored", then, now), ("now", now, then))
        words = {side: ", ".join(x for x in own if x not in other) for side, own, other in sides}
        return "".join(f"; {side} with {parts}" for side, parts in words.items() if parts)

    def read(self, experiment, name="runs"):
        return read_run(self.place(experiment, name))

    def place(self, experiment, name="runs"):
        return runs_folder(self.folder / name) / experiment.id

    def at(self, experiment, number, name="runs"):
        """The value of another run for the same quantity and number of samples."""
        row = self.read(experiment, name).at(number.samples)
        return math.nan if row is None else row[number.name]

    def numbers(self, run):
        """The measurements of a run and its rerun at the same sample counts."""
        rerun = self.read(run.experiment)
        return [
            Pair(
                run.experiment,
                then["samples"],
                name,
                now[name],
                then[name],
                math.hypot(*(row.get(f"{name}_error", 0.0) for row in (now, then))),
            )
            for then in run.rows
            if (now := rerun.at(then["samples"]))
            for name in run.experiment.scores
        ]

    def moved_by_rounding(self, numbers):
        """The numbers that also move when the last digit of the initial weights changes."""
        moved: list = []
        for twin in map(str, range(TWINS)):
            still = [number for number in numbers if number not in moved]
            experiments = [*dict.fromkeys(number.experiment for number in still)]

            def prepare(dataset, experiment, twin=twin):
                self.begin_twin(dataset, experiment, twin)

            self.train(twin, experiments, prepare)
            for number in still:
                value = self.at(number.experiment, number, twin)
                if not dataclasses.replace(number, then=value).agrees(CHAOS):
                    moved.append(number)
        return moved

    def outside_of_seeds(self, numbers):
        """The numbers whose stored values are inconsistent with those of seeds 0 to `SEEDS` − 1."""
        kinds = dict.fromkeys(_kind(number.experiment) for number in numbers)
        seeds = {kind: [dataclasses.replace(kind, seed=i) for i in range(SEEDS)] for kind in kinds}
        self.train("runs", [experiment for own in seeds.values() for experiment in own])
        outside = []
        for number in numbers:
            others = [self.at(experiment, number) for experiment in seeds[_kind(number.experiment)]]
            if not is_consistent(number.then, others, tests=len(numbers)):
                outside.append(number)
        return outside

    def begin_twin(self, dataset, experiment, twin):
        """Writes the checkpoint of an untrained twin: every weight moves to an adjacent number."""
        from replication.train.model import build

        folder = self.place(experiment, twin)
        if (folder / RUN).exists():  # an interrupted command has begun it
            return
        model = build(experiment, dataset.first(experiment.n_train))
        chance = np.random.default_rng(int(twin))
        for variable in model.trainable_variables:
            value = np.asarray(variable)
            aims = np.where(chance.random(value.shape) < 0.5, -np.inf, np.inf)
            variable.assign(np.nextafter(value, aims.astype(value.dtype)))
        write_metrics(folder, self.read(experiment).rows[:1])
        save_checkpoint(folder, model, samples=0, seconds=0.0)


def _kind(experiment):
    return dataclasses.replace(experiment, seed=0)


def _environment(run, samples):
    """A list of the machines and versions that made a run's first samples."""
    sessions = [s for s in run.info["sessions"] if s["samples_from"] < samples]
    names = ("keras", "numpy", sessions[0]["backend"])
    versions = [f"{n} {v}" for s in sessions for n, v in s["versions"].items() if n in names]
    return [*dict.fromkeys([*(s["machine"] for s in sessions), *versions])]


def _words(own, wrong, apart):
    if wrong:
        return ", ".join(map(str, wrong))
    if apart:
        far = ", ".join(map(str, apart))
        return f"moved by rounding, but within the spread over seeds at the end: {far}"
    return f"{len(own)} numbers, at most {max((n.apart for n in own), default=0.0):.3f} apart"
