"""Which runs a figure needs, in which order."""

import functools
import itertools

from replication import datasets as data_sets
from replication import lock
from replication import step_sizes as choice
from replication.errors import ProtocolError
from replication.experiment import (
    LATENT_DIMS,
    STEP_SIZES,
    Experiment,
)
from replication.progress import RunProgress
from replication.records import read_runs, runs_folder

# Section 5, figure 3: N_z, hidden units and N_train. The digits are ours.
FIGURE3_LATENT_DIM = 3
FIGURE3_HIDDEN_UNITS = {"mnist": 100, "digits": 50}
FIGURE3_N_TRAIN = {"mnist": (1000, 50_000), "digits": (300, 1500)}

MANIFOLD_LATENT_DIM = 2
SAMPLES_LATENT_DIMS = (2, 5, 10, 20)


# What algorithms have of their own in every figure.
ALGORITHM_SETTINGS = {
    "aevb": {},
    # c in log σ² = c W h + b of the encoder, from the authors' code of wake-sleep.
    "wake-sleep": {"log_variance_gain": 0.1},
    # The paper's curve is at -159 nats after 65 weight updates: they all moved the weights.
    "mcem": {"accumulate_only": 0},
}


def figure2_experiment(dataset, algorithm, latent_dim, step_size, seed=0):
    return Experiment(
        dataset, algorithm, latent_dim, step_size, seed, **ALGORITHM_SETTINGS[algorithm]
    )


def figure3_experiment(dataset, algorithm, n_train, step_size, seed=0):
    return Experiment(
        dataset,
        algorithm,
        FIGURE3_LATENT_DIM,
        step_size,
        seed,
        hidden_units=FIGURE3_HIDDEN_UNITS[dataset],
        n_train=n_train,
        measure="likelihood",
        **ALGORITHM_SETTINGS[algorithm],
    )


def of_figure2(runs):
    """The runs with figure 2's settings, whatever their step sizes and seeds."""
    return [
        run
        for run, e in ((run, run.experiment) for run in runs)
        if e == figure2_experiment(e.dataset, e.algorithm, e.latent_dim, e.step_size, e.seed)
    ]


def of_figure3(runs):
    """The runs with figure 3's settings, whatever their step sizes and seeds."""
    return [
        run
        for run, e in ((run, run.experiment) for run in runs)
        if e.dataset in FIGURE3_N_TRAIN
        and e == figure3_experiment(e.dataset, e.algorithm, e.n_train, e.step_size, e.seed)
    ]


def figure3_choice_runs(runs):
    """The runs of figure 3 among which its step sizes are chosen: those of the smallest N_train.

    There all three algorithms are affordable.
    """
    return [
        run
        for run in of_figure3(runs)
        if run.experiment.n_train == min(FIGURE3_N_TRAIN[run.experiment.dataset])
    ]


class Protocol:
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
        self.datasets = {name: data_sets.load(name, data_dir) for name in datasets}
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

    def train(self, experiments, samples):
        """Trains each experiment up to `samples`, side by side where they can be."""
        from replication.runner import train  # loads Keras

        groups = {}
        for experiment in dict.fromkeys(experiments):
            discard = self.fresh and experiment not in self.begun
            self.begun.add(experiment)
            groups.setdefault((experiment.shape, discard), []).append(experiment)
        for (shape, discard), group in groups.items():
            dataset = self.datasets[shape.dataset]
            train(group, samples, dataset, self.results, self.progress, discard)

    def require_free(self, experiments):
        """Raises a `BusyError` if another command works on a run of these experiments."""
        lock.require_free(runs_folder(self.results) / e.id for e in experiments)

    def choose(self, experiment_of, select, seeds=1):
        """Chooses a step size as the paper does: short runs with each of them come first.

        Args:
            experiment_of: function from a step size and a seed to an `Experiment`.
            select: function from all runs to those that are compared.
            seeds: number of seeds with which each step size is tried.

        Returns:
            The step size.

        Raises:
            ProtocolError: if all of them diverge.
        """
        pilots = [experiment_of(*s) for s in itertools.product(STEP_SIZES, range(seeds))]
        first = pilots[0]
        self.train(pilots, choice.pilot_samples(first))
        chosen = self.chosen(first, select)
        if chosen is None:
            tried = ", ".join(map(str, STEP_SIZES))
            raise ProtocolError(
                f"Expected a step size that trains {first.curve}. Received: {tried}, which all "
                "diverged. Give another --step-size to figure 2 or 3"
            )
        self.progress.say(f"{first.curve}: step size {chosen:g} chosen")
        return chosen

    def chosen(self, experiment, select):
        """The step size that the runs so far choose for an experiment's curve, or `None`."""
        e, runs = experiment, select(read_runs(self.results))
        return choice.chosen(choice.pilots(runs), e.dataset, e.algorithm, e.latent_dim)


def figure2(protocol, datasets, algorithms, latent_dims, samples, seeds, step_sizes=()):
    """Figure 2's runs.

    Args:
        protocol: `Protocol`.
        datasets: names of the data sets.
        algorithms: names.
        latent_dims: the N_z; default: the paper's for each data set.
        samples: training samples of each run.
        seeds: number of seeds.
        step_sizes: Adagrad's step sizes; default: one is chosen for each N_z and algorithm.

    Raises:
        ProtocolError: if the samples are too few to choose a step size.
        BusyError: if another command works on one of the runs that may be needed.
    """
    panels = [
        functools.partial(figure2_experiment, dataset, algorithm, latent_dim)
        for dataset in datasets
        for algorithm in algorithms
        for latent_dim in latent_dims or LATENT_DIMS[dataset]
    ]
    if not step_sizes:
        _require_pilots([of(STEP_SIZES[0]) for of in panels], samples)
    settings = [*itertools.product(step_sizes or STEP_SIZES, range(seeds))]
    protocol.require_free(of(*setting) for of in panels for setting in settings)
    steps = [step_sizes or [protocol.choose(of, of_figure2, seeds)] for of in panels]
    for of, own in zip(panels, steps):
        settings = itertools.product(own, range(seeds))
        protocol.train([of(*setting) for setting in settings], samples)


def figure3(protocol, datasets, algorithms, n_trains, samples, seeds, step_sizes=()):
    """Figure 3's runs; arguments as for `figure2`.

    Args:
        n_trains: the training set's sizes N_train; default: the paper's. The step size is chosen
            on the smallest.

    Raises:
        DatasetError: if a data set has less training images than an N_train.
        ProtocolError: if the samples are too few to choose a step size.
        BusyError: if another command works on one of the runs that may be needed.
    """
    for dataset, n_train in itertools.product(datasets, n_trains):
        protocol.datasets[dataset].first(n_train)
    curves = [
        (dataset, functools.partial(figure3_experiment, dataset, algorithm))
        for dataset in datasets
        for algorithm in algorithms
    ]
    pilots = [functools.partial(of, min(FIGURE3_N_TRAIN[dataset])) for dataset, of in curves]
    if not step_sizes:
        _require_pilots([pilot(STEP_SIZES[0]) for pilot in pilots], samples)
    for dataset, of in curves:
        sizes = {*(n_trains or FIGURE3_N_TRAIN[dataset])}
        if not step_sizes:
            sizes.add(min(FIGURE3_N_TRAIN[dataset]))
        settings = itertools.product(sizes, step_sizes or STEP_SIZES, range(seeds))
        protocol.require_free(of(*setting) for setting in settings)
    for (dataset, of), pilot in zip(curves, pilots):
        steps = step_sizes or [protocol.choose(pilot, figure3_choice_runs, seeds)]
        sizes = n_trains or FIGURE3_N_TRAIN[dataset]
        settings = itertools.product(sizes, steps, range(seeds))
        protocol.train([of(*setting) for setting in settings], samples)


def aevb_models(protocol, datasets, latent_dims, samples):
    """The models of figures 4 and 5: AEVB with figure 2's settings and its choice of step size.

    Returns:
        List of `Experiment`, one for each data set and N_z, trained for at least `samples`.

    Raises:
        ProtocolError: if the samples are too few to choose a step size.
        BusyError: if another command works on one of the runs that may be needed.
    """
    models = [
        functools.partial(figure2_experiment, dataset, "aevb", latent_dim)
        for dataset in datasets
        for latent_dim in latent_dims
    ]
    # A choice among runs that are being trained may become another one.
    protocol.require_free(of(step) for of in models for step in STEP_SIZES)
    steps = [protocol.chosen(of(STEP_SIZES[0]), of_figure2) for of in models]
    unknown = [of(STEP_SIZES[0]) for of, step in zip(models, steps) if step is None]
    _require_pilots(unknown, samples)
    experiments = [of(step or protocol.choose(of, of_figure2)) for of, step in zip(models, steps)]
    protocol.train(experiments, samples)
    return experiments


def _require_pilots(experiments, samples):
    """Raises a `ProtocolError` if choosing a step size takes more samples than were asked for."""
    for experiment in experiments:
        needed = choice.pilot_samples(experiment)
        if samples < needed:
            raise ProtocolError(
                f"Expected --samples {needed} or more, after which the step size for "
                f"{experiment.dataset} with {experiment.algorithm} is chosen. Received: {samples}. "
                "Ask for more samples, or give figure 2 or 3 a --step-size"
            )
