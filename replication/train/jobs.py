"""Trains the runs that a figure needs, and chooses step sizes."""

import concurrent.futures
import contextlib
import functools
import itertools

import pandas as pd

from replication.errors import ReplicationError
from replication.measurements import lock, provenance
from replication.measurements.records import discard, read_runs, runs_folder
from replication.measurements.table import TEXT, table
from replication.plan.curves import figure2_curves
from replication.plan.experiment import SPLIT_SEED, STEP_SIZES
from replication.plan.protocols import figure_of, is_text
from replication.plan.step_sizes import CHOICE, COLUMNS, chosen, pilots
from replication.train import workers
from replication.train.datasets import load
from replication.train.groups import Folders, Group, groups_of, merged
from replication.train.progress import Display


class Jobs:
    """Trains runs in a results folder.

    Use it as a context manager, which starts and ends the progress display and the processes.

    Args:
        datasets: names of the data sets. They are loaded first, so that a missing data set or a
            damaged run is reported before training.
        data_dir: folder with the data sets, or `None`.
        results: folder of the results.
        fresh: whether to discard each run's folder before its first training.
        jobs: number of processes; default: the fastest number for this machine.
        scheduler: address of a Dask scheduler, whose workers replace local processes.
    """

    def __init__(self, datasets, data_dir, results, fresh=False, jobs=None, scheduler=None):
        self._load = functools.cache(lambda name, split_seed: load(name, data_dir, split_seed))
        for name in datasets:
            self._load(name, SPLIT_SEED)
        if not fresh:
            read_runs(results)
        self.results = results
        self.folders = Folders.of(results, data_dir)
        self.fresh = fresh
        self.jobs = jobs
        self.scheduler = scheduler
        self.begun = set()
        self.display = Display()
        self._stack = contextlib.ExitStack()  # closes the workers
        self._number = 0

    def __enter__(self):
        self.display.__enter__()
        return self

    def __exit__(self, *exception):
        try:
            self._stack.__exit__(*exception)
        finally:
            self.display.__exit__(*exception)

    def dataset(self, experiment):
        """The data set of an experiment, split by its `split_seed`."""
        return self._load(experiment.dataset, experiment.split_seed)

    def curves(self, curves, seeds, step_sizes=()):
        """Trains curves.

        Args:
            curves: list of `Choice`.
            seeds: number of seeds.
            step_sizes: Adagrad's step sizes; default: one is chosen for each curve.

        Raises:
            ReplicationError: if there are too few samples to choose a step size, or all diverge.
            DatasetError: if a data set has fewer training images than a run needs.
            BusyError: if another command trains a run that may be needed.
        """
        if not step_sizes:
            _require_pilot_samples(curves)
        for experiment in (of(STEP_SIZES[0]) for curve in curves for of, _ in curve.budgets):
            if experiment.n_train:
                self.dataset(experiment).first(experiment.n_train)
        settings = [*itertools.product(step_sizes or STEP_SIZES, range(seeds))]
        for curve in curves:
            needed = [*(of for of, _ in curve.budgets), *([] if step_sizes else [curve.pilot])]
            self.require_free(of(*setting) for of in needed for setting in settings)
        plans = [self._plan(curve, seeds, step_sizes) for curve in curves]
        self._train(plans, _width(curves))

    def aevb_models(self, datasets, latent_dims, samples):
        """Trains the models of figures 4 and 5: AEVB with figure 2's settings and step sizes.

        Returns:
            List of `Experiment`, one for each data set and N_z, trained for at least `samples`.

        Raises:
            ReplicationError: if there are too few samples to choose a step size, or all diverge.
            BusyError: if another command trains a run that may be needed.
        """
        curves = figure2_curves(datasets, ["aevb"], latent_dims, samples)
        # The choice may change while its runs are being trained.
        self.require_free(experiment for curve in curves for experiment in curve.trials(1))
        # It may also change if a killed command left trials out, or if runs will be discarded.
        steps = [self._chosen(curve.first) if self._are_tried(curve) else None for curve in curves]
        _require_pilot_samples([curve for curve, step in zip(curves, steps) if step is None])
        plans = [self._plan(curve, 1, step and [step]) for curve, step in zip(curves, steps)]
        self._train(plans, _width(curves))
        return [curve.pilot(self._chosen(curve.first)) for curve in curves]

    def train(self, experiments, samples):
        """Trains experiments up to `samples`, each in a group of its own.

        Experiments that differ only in step size and seed reuse one program, from JAX's compilation
        cache. Compiling a program for several runs at once would take longer than short runs do.
        """
        groups = [Group((experiment,), samples) for experiment in dict.fromkeys(experiments)]
        self._train([iter([groups])], len(groups), merge=False)

    def require_free(self, experiments):
        """Raises a `BusyError` if another command trains a run of these experiments."""
        patience = lock.SECONDS_FOR_A_WORKER if self.scheduler else None
        lock.require_free((runs_folder(self.results) / e.id for e in experiments), patience)

    def _plan(self, curve, seeds, step_sizes):
        """Yields lists of groups; each list must be trained before the next is requested."""
        if not step_sizes:
            yield groups_of(curve.trials(seeds), curve.pilot_samples)
            step_sizes = [self._choice(curve)]
        settings = [*itertools.product(step_sizes, range(seeds))]
        budgets = ((itertools.starmap(of, settings), samples) for of, samples in curve.budgets)
        yield [group for budget in budgets for group in groups_of(*budget)]

    def _train(self, plans, width, merge=True):
        """Runs all plans concurrently, the steps of each in order.

        Args:
            plans: list of generators, results of `_plan`.
            width: largest number of groups to train at a time.
            merge: whether groups may share a program. One run leaves a GPU mostly idle.
        """
        workers = self._workers(width)
        waiting: dict = {}  # for each plan, the futures of its groups
        ready = plans
        while ready or waiting:
            # Make all possible choices before any long run.
            requested = {plan: groups for plan in ready if (groups := next(plan, ()))}
            groups = [*itertools.chain(*requested.values())]
            on_a_gpu = self._number == 1 and provenance.gpus()
            programs = merged(groups) if merge and on_a_gpu else dict(zip(groups, groups))
            futures = {g: self._submit(workers, g) for g in dict.fromkeys(programs.values())}
            waiting |= {
                plan: {programs[group]: futures[programs[group]] for group in groups}
                for plan, groups in requested.items()
            }
            pending = {future for of_plan in waiting.values() for future in of_plan.values()}
            done, _ = concurrent.futures.wait(pending, return_when="FIRST_COMPLETED")
            for of_plan in waiting.values():
                for group in [g for g, future in of_plan.items() if future in done]:
                    workers.collect(of_plan.pop(group))
                    self.display.finish(group)
            ready = [plan for plan, of_plan in waiting.items() if not of_plan]
            waiting = {plan: of_plan for plan, of_plan in waiting.items() if of_plan}

    def _workers(self, width):
        """As many workers as are useful, reusing existing ones."""
        number = -1 if self.scheduler else min(self.jobs or workers.default_number(), width)
        if number != self._number:
            self._stack.close()
            self._working = self._stack.enter_context(self._new_workers(number))
            self._number = number
        return self._working

    def _new_workers(self, number):
        if self.scheduler:
            from replication.train.cluster import Cluster

            return Cluster(self.scheduler, self.folders, self.display)
        if number > 1:
            return workers.Processes(number, self.folders, self.display)
        return workers.ThisProcess(self.folders, self.display)

    def _submit(self, workers, group):
        if self.fresh:
            self._discard([e for e in group.experiments if e not in self.begun])
            self.begun.update(group.experiments)
        return workers.submit(group)

    def _discard(self, experiments):
        folders = [runs_folder(self.results) / e.id for e in experiments]
        with lock.runs(folders):
            for folder in folders:
                discard(folder)

    def _choice(self, curve):
        """The step size chosen by the curve's pilot runs."""
        step_size = self._chosen(curve.first)
        if step_size is None:
            tried = ", ".join(map(str, STEP_SIZES))
            raise ReplicationError(
                f"Expected a step size that trains {curve.first.curve}. Received: {tried}, which "
                "all diverged. `figure2` and `figure3` accept another --step-size"
            )
        self.display.say(f"{curve.first.curve}: step size {step_size:g} chosen")
        return step_size

    def _chosen(self, experiment):
        """The step size that existing runs choose for an experiment's curve, or `None`."""
        return chosen(self._pilots(experiment), *_choice_of(experiment))

    def _are_tried(self, curve):
        """Whether all trials of a curve with its first seed have ended and will be kept."""
        if self.fresh and not self.begun.issuperset(curve.trials(1)):
            return False
        rows = self._pilots(curve.first).set_index(CHOICE)
        return {*STEP_SIZES} == {*rows.step_size[rows.index == _choice_of(curve.first)]}

    def _pilots(self, experiment):
        """The pilots of an experiment's figure."""
        figure = figure_of(experiment)
        runs = [run for run in read_runs(self.results) if figure_of(run.experiment) == figure]
        return pilots(table(runs)) if runs else pd.DataFrame(columns=COLUMNS)


def _choice_of(experiment):
    """The values of the columns `CHOICE` for an experiment."""
    e = experiment
    return e.dataset, e.algorithm, e.latent_dim, TEXT if is_text(e) else ""


def _width(curves):
    return sum(len(curve.budgets) for curve in curves)


def _require_pilot_samples(curves):
    """Raises a `ReplicationError` if choosing a step size needs more samples than requested."""
    for curve in curves:
        needed, samples = curve.pilot_samples, min(samples for _, samples in curve.budgets)
        if samples < needed:
            raise ReplicationError(
                f"Expected --samples {needed} or more, to choose the step size for "
                f"{curve.first.dataset} with {curve.first.algorithm}. Received: {samples}. Use "
                "more samples; `figure2` and `figure3` also accept a --step-size"
            )
