"""Trains every run of the results anew for a while, and compares what both measured on the way.

With the same versions on a like machine the numbers are the same to the last digit. Others differ
by rounding, which moved most of MNIST's bounds by less than a tenth of a nat after 10⁵ samples, and
Frey Face's, where training is chaotic, by ten. Which is which is found by training twins of the
runs that differ by more than `ROUNDING`: the same run, with every weight moved to the next number
at the start. Where a twin moves, a run has to be one more draw of what seeds give; where none does,
the difference is none of rounding.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np
import scipy.stats

from replication.claims.rules import SIGMAS
from replication.errors import ReplicationError
from replication.measurements import lock
from replication.measurements.records import (
    discard,
    read_run,
    read_runs,
    runs_folder,
    save_checkpoint,
    write_metrics,
)

FOLDER = "rerun"
ROUNDING = 0.1  # nats by which runs may differ
# A twin that moves further, in nats, shows that rounding grows: where it does not, twins move by
# 10⁻³ or less. If the difference and the twins' moves have one normal distribution, all three twins
# stay below a tenth of the difference once in a thousand cases.
CHAOS = 0.01
TWINS = 3
SEEDS = 5  # by which it is known how far seeds differ
# Two-sided odds that a normal variable lies further from its mean than `SIGMAS`.
ODDS = 0.0027


@dataclasses.dataclass(frozen=True)
class Number:
    """What a run and its rerun measured.

    Attributes:
        experiment: of both.
        samples: after how many.
        name: of the quantity.
        now: the rerun's value.
        then: the stored value.
        error: Monte Carlo standard error of the difference.
    """

    experiment: object
    samples: int
    name: str
    now: float
    then: float
    error: float

    @property
    def apart(self):
        """How far apart; 0 if both are not finite, infinite if one is."""
        if np.isfinite(self.now) and np.isfinite(self.then):
            return abs(self.now - self.then)
        return 0.0 if np.isfinite(self.now) == np.isfinite(self.then) else np.inf

    def agrees(self, within=ROUNDING):
        """Whether so many nats and the noise of the evaluation explain the difference."""
        return self.apart <= within + SIGMAS * self.error

    def __str__(self):
        return f"{self.name} after {self.samples:,} samples {self.now:.3f} (stored {self.then:.3f})"


def run(results, samples, echo, data_dir=None, **workers):
    """Compares all runs of the results with runs that are trained anew.

    Args:
        results: folder of the results, below which `rerun` is made and deleted again.
        samples: training samples of each new run.
        echo: function that prints a line.
        data_dir: folder with the data sets, or `None`.
        **workers: who trains, as for `Jobs`.

    Returns:
        Whether all numbers agree.

    Raises:
        ReplicationError: if there are no runs of this backend.
        BusyError: if another command does the same.
    """
    runs = _of_this_backend(results, echo)
    folder = Path(results) / FOLDER
    with lock.runs([folder]):
        # What is there is of a command that was killed, and perhaps of another state of the code.
        discard(folder)
        good = _Rerun(folder, samples, data_dir, workers).compare(runs, echo)
        discard(folder)
    return good


def _of_this_backend(results, echo):
    import keras

    backend, runs = keras.backend.backend(), []
    for run in read_runs(results):
        begun = run.info["sessions"][0]["backend"]
        if begun == backend:
            runs.append(run)
        else:
            echo(f"skipped   {run.experiment}: begun on {begun}, whose noise is another")
    if not runs:
        raise ReplicationError(
            f"Expected runs in {runs_folder(results)} that were begun on {backend}. Received: "
            "none. Set KERAS_BACKEND to their backend"
        )
    return runs


class _Rerun:
    """Runs that are trained anew, below a folder."""

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
        kinds = dict.fromkeys(_kind(number.experiment) for number in moved)
        seeds = {kind: [dataclasses.replace(kind, seed=i) for i in range(SEEDS)] for kind in kinds}
        self.train("runs", [e for experiments in seeds.values() for e in experiments])
        failures = 0
        for run in runs:
            own = [number for number in numbers if number.experiment == run.experiment]
            wrong: list = []
            chaotic: list = []
            for number in own:
                if number.agrees():
                    continue
                others = [self.at(e, number) for e in seeds.get(_kind(run.experiment), ())]
                within = number in moved and is_one_of(number.then, others)
                (chaotic if within else wrong).append(number)
            status = "regressed" if wrong else "seeds" if chaotic else "ok"
            failures += bool(wrong)
            echo(f"{status:9} {run.experiment}: {_words(own, wrong, chaotic)}")
        echo(f"{len(runs) - failures} of {len(runs)} runs agree")
        return not failures

    def train(self, name, experiments, prepare=None):
        """Trains experiments below a folder of their own, after `prepare(dataset, experiment)`."""
        from replication.train.jobs import Jobs

        if not experiments:
            return
        names = dict.fromkeys(experiment.dataset for experiment in experiments)
        with Jobs(names, self.data_dir, self.folder / name, **self.workers) as jobs:
            for experiment in experiments if prepare else ():
                prepare(jobs.dataset(experiment), experiment)
            jobs.train(experiments, self.samples)

    def read(self, experiment, name="runs"):
        return read_run(self.place(experiment, name))

    def place(self, experiment, name="runs"):
        return runs_folder(self.folder / name) / experiment.id

    def at(self, experiment, number, name="runs"):
        """What another run measured in place of a number."""
        row = self.read(experiment, name).at(number.samples)
        return math.nan if row is None else row[number.name]

    def numbers(self, run):
        """What a run and its rerun measured after the same numbers of samples."""
        rerun = self.read(run.experiment)
        return [
            Number(
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
        """Those numbers that a change of the weights' last digit moves as well."""
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

    def begin_twin(self, dataset, experiment, twin):
        """Writes the checkpoint of an untrained run with every weight one rounding off."""
        from replication.train.model import build

        model = build(experiment, dataset.first(experiment.n_train))
        chance = np.random.default_rng(int(twin))
        for variable in model.trainable_variables:
            value = np.asarray(variable)
            aims = np.where(chance.random(value.shape) < 0.5, -np.inf, np.inf)
            variable.assign(np.nextafter(value, aims.astype(value.dtype)))
        folder = self.place(experiment, twin)
        write_metrics(folder, self.read(experiment).rows[:1])
        save_checkpoint(folder, model, samples=0, seconds=0.0)


def is_one_of(value, others):
    """Whether a value may be one more draw of what others are draws of.

    By Student's t, with the odds of `SIGMAS` standard errors: n others of mean m and standard
    deviation s expect the next within m ± t s √(1 + 1/n). What is not finite is compared with
    what is not finite.

    Example:
        >>> is_one_of(3.0, [1.0, 1.5, 2.0]), is_one_of(30.0, [1.0, 1.5, 2.0])
        (True, False)
        >>> is_one_of(math.nan, [1.0, 1.5, 2.0]), is_one_of(math.nan, [1.0, math.nan])
        (False, True)
    """
    finite = np.array(others)[np.isfinite(others)]
    if not math.isfinite(value):
        return len(finite) < len(others)
    n = len(finite)
    if n < 2:
        return False
    reach = scipy.stats.t.isf(ODDS / 2, n - 1) * finite.std(ddof=1) * math.sqrt(1 + 1 / n)
    return bool(abs(value - finite.mean()) <= reach)


def _kind(experiment):
    return dataclasses.replace(experiment, seed=0)


def _words(own, wrong, chaotic):
    if wrong:
        return ", ".join(map(str, wrong))
    if chaotic:
        far = ", ".join(map(str, chaotic))
        return f"moved by rounding, and no further than seeds differ: {far}"
    return f"{len(own)} numbers, at most {max((n.apart for n in own), default=0.0):.3f} apart"
