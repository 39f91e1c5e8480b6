"""Trains the runs that a figure needs, and chooses step sizes on the way."""

import functools
import itertools
from typing import Any

from replication.errors import ProtocolError
from replication.measurements import lock
from replication.measurements.records import read_runs, runs_folder
from replication.measurements.table import TEXT, table
from replication.plan.experiment import LATENT_DIMS, SPLIT_SEED, STEP_SIZES
from replication.plan.protocols import (
    FIGURE3_N_TRAIN,
    figure2_experiment,
    figure3_experiment,
    figure_of,
    is_text,
)
from replication.plan.step_sizes import chosen, pilot_samples, pilots
from replication.train.datasets import load
from replication.train.progress import RunProgress


class Jobs:
    """Trains runs below one folder of results.

    Use as a context manager, for the progress display.

    Args:
        datasets: names of the data sets, loaded first: one that is missing is reported before
            anything is trained, and so is a damaged run.
        data_dir: folder with the data sets, or `None`.
        results: folder of the results.
        fresh: whether each run's folder is discarded before the run is trained first.
    """

    def __init__(self, datasets, data_dir, results, fresh=False):
        self._load = functools.cache(lambda name, split_seed: load(name, data_dir, split_seed))
        for name in datasets:
            self._load(name, SPLIT_SEED)
        if not fresh:
            read_runs(results)
        self.results = results
        self.fresh = fresh
        self.begun = set()
        self.progress = RunProgress()

    def __enter__(self):
        self.progress.__enter__()
        return self

    def __exit__(self, *exception):
        self.progress.__exit__(*exception)

    def dataset(self, experiment):
        """The data set of an experiment, split as it says."""
        return self._load(experiment.dataset, experiment.split_seed)

    def figure2(self, datasets, algorithms, latent_dims, samples, seeds, step_sizes=(), text=False):
        """Trains figure 2's runs.

        Args:
            datasets: names of the data sets.
            algorithms: names.
            latent_dims: the N_z; default: the paper's for each data set.
            samples: training samples of each run.
            seeds: number of seeds.
            step_sizes: Adagrad's step sizes; default: one is chosen for each N_z and algorithm.
            text: whether to take the text's own settings where the figure has others.

        Raises:
            ProtocolError: if the samples are too few to choose a step size, or all diverge.
            BusyError: if another command works on one of the runs that may be needed.
        """
        panels = [
            functools.partial(figure2_experiment, dataset, algorithm, latent_dim, text=text)
            for dataset in datasets
            for algorithm in algorithms
            for latent_dim in latent_dims or LATENT_DIMS[dataset]
        ]
        self._curves([(of, [of]) for of in panels], samples, seeds, step_sizes)

    def figure3(self, datasets, algorithms, n_trains, samples, seeds, step_sizes=()):
        """Trains figure 3's runs; arguments and errors as for `figure2`.

        Args:
            n_trains: the training set's sizes N_train; default: the paper's. The step size is
                chosen on the smallest.

        Raises:
            DatasetError: if a data set has less training images than an N_train.
        """
        for dataset, n_train in itertools.product(datasets, n_trains):
            self._load(dataset, SPLIT_SEED).first(n_train)
        curves = []
        for dataset, algorithm in itertools.product(datasets, algorithms):
            of = functools.partial(figure3_experiment, dataset, algorithm)
            sizes = FIGURE3_N_TRAIN[dataset]
            pilot = functools.partial(of, min(sizes))
            curves.append((pilot, [functools.partial(of, n) for n in n_trains or sizes]))
        self._curves(curves, samples, seeds, step_sizes)

    def aevb_models(self, datasets, latent_dims, samples):
        """Trains AEVB with figure 2's settings and its choice of step size, as figures 4 and 5 do.

        Returns:
            List of `Experiment`, one for each data set and N_z, trained for at least `samples`.

        Raises:
            ProtocolError: if the samples are too few to choose a step size, or all diverge.
            BusyError: if another command works on one of the runs that may be needed.
        """
        models = [
            functools.partial(figure2_experiment, dataset, "aevb", latent_dim)
            for dataset in datasets
            for latent_dim in latent_dims
        ]
        # A choice among runs that are being trained may become another one.
        self.require_free(of(step) for of in models for step in STEP_SIZES)
        steps = [self._chosen(of(STEP_SIZES[0])) for of in models]
        _require_pilots([of for of, step in zip(models, steps) if step is None], samples)
        experiments = [of(step or self.choose(of)) for of, step in zip(models, steps)]
        self.train(experiments, samples)
        return experiments

    def train(self, experiments, samples):
        """Trains each experiment up to `samples`, side by side where they can be."""
        from replication.train.runner import train  # loads Keras

        groups: dict[tuple[Any, bool], list[Any]] = {}
        for experiment in dict.fromkeys(experiments):
            discard = self.fresh and experiment not in self.begun
            self.begun.add(experiment)
            groups.setdefault((experiment.shape, discard), []).append(experiment)
        for (shape, discard), group in groups.items():
            dataset = self.dataset(shape)
            train(group, samples, dataset, self.results, self.progress, discard)

    def require_free(self, experiments):
        """Raises a `BusyError` if another command works on a run of these experiments."""
        lock.require_free(runs_folder(self.results) / e.id for e in experiments)

    def choose(self, experiment_of, seeds=1):
        """Chooses a step size as the paper does: short runs with each of them come first.

        Args:
            experiment_of: function from a step size and a seed to an `Experiment`.
            seeds: number of seeds with which each step size is tried.

        Returns:
            The step size.

        Raises:
            ProtocolError: if all of them diverge.
        """
        trials = [experiment_of(*s) for s in itertools.product(STEP_SIZES, range(seeds))]
        first = trials[0]
        self.train(trials, pilot_samples(first))
        step_size = self._chosen(first)
        if step_size is None:
            tried = ", ".join(map(str, STEP_SIZES))
            raise ProtocolError(
                f"Expected a step size that trains {first.curve}. Received: {tried}, which all "
                "diverged. Give another --step-size to figure 2 or 3"
            )
        self.progress.say(f"{first.curve}: step size {step_size:g} chosen")
        return step_size

    def _curves(self, curves, samples, seeds, step_sizes):
        """Trains curves: pairs of the runs that choose a step size and of those that use it."""
        if not step_sizes:
            _require_pilots([pilot for pilot, _ in curves], samples)
        settings = [*itertools.product(step_sizes or STEP_SIZES, range(seeds))]
        for pilot, of_sizes in curves:
            needed = [*of_sizes, *([] if step_sizes else [pilot])]
            self.require_free(of(*setting) for of in needed for setting in settings)
        steps = [step_sizes or [self.choose(pilot, seeds)] for pilot, _ in curves]
        for (_, of_sizes), own in zip(curves, steps):
            of_each = itertools.product(of_sizes, own, range(seeds))
            self.train([of(step, seed) for of, step, seed in of_each], samples)

    def _chosen(self, experiment):
        """The step size that the runs so far choose for an experiment's curve, or `None`."""
        e, figure = experiment, figure_of(experiment)
        runs = [run for run in read_runs(self.results) if figure_of(run.experiment) == figure]
        if not runs:
            return None
        settings = TEXT if is_text(e) else ""
        return chosen(pilots(table(runs)), e.dataset, e.algorithm, e.latent_dim, settings)


def _require_pilots(pilots_of, samples):
    """Raises a `ProtocolError` if choosing a step size takes more samples than were asked for."""
    for experiment in (of(STEP_SIZES[0]) for of in pilots_of):
        needed = pilot_samples(experiment)
        if samples < needed:
            raise ProtocolError(
                f"Expected --samples {needed} or more, after which the step size for "
                f"{experiment.dataset} with {experiment.algorithm} is chosen. Received: {samples}. "
                "Ask for more samples, or give figure 2 or 3 a --step-size"
            )
