"""The curves of figures 2 and 3: their runs, budgets and choice of step size."""

import collections.abc
import dataclasses
import functools
import itertools

from replication.plan.experiment import LATENT_DIMS, STEP_SIZES, Experiment
from replication.plan.protocols import FIGURE3_N_TRAIN, figure2_experiment, figure3_experiment
from replication.plan.step_sizes import pilot_samples

# A function from a step size and a seed to an experiment.
ExperimentOf = collections.abc.Callable[..., Experiment]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A choice of step size, and the runs that share it.

    Attributes:
        pilot: function from a step size and a seed to the `Experiment` of a pilot run.
        budgets: pairs of such a function, for runs with the chosen step size, and their number of
            training samples.
    """

    pilot: ExperimentOf
    budgets: tuple[tuple[ExperimentOf, int], ...]

    def trials(self, seeds):
        """The pilot runs, for each step size and seed."""
        return [self.pilot(*setting) for setting in itertools.product(STEP_SIZES, range(seeds))]

    @property
    def pilot_samples(self):
        """Training samples of each pilot run."""
        return pilot_samples(self.first)

    @property
    def first(self):
        """The first pilot run, as a representative."""
        return self.pilot(STEP_SIZES[0])


def figure2_curves(datasets, algorithms, latent_dims, samples, text=False):
    """Figure 2's curves.

    Args:
        datasets: names of the data sets.
        algorithms: names.
        latent_dims: the N_z; default: the paper's for each data set.
        samples: training samples of each run.
        text: whether to use the settings of the paper's text.
    """
    return [
        Choice(of, ((of, samples),))
        for dataset in datasets
        for place in itertools.product([dataset], algorithms, latent_dims or LATENT_DIMS[dataset])
        for of in [functools.partial(figure2_experiment, *place, text=text)]
    ]


def figure3_curves(dataset, algorithms, budgets):
    """Figure 3's curves, whose step size is chosen on the smallest training set.

    Args:
        dataset: name of the data set.
        algorithms: names.
        budgets: dict from N_train to training samples.
    """
    curves = []
    for algorithm in algorithms:
        of = functools.partial(figure3_experiment, dataset, algorithm)
        longer = [(functools.partial(of, n), samples) for n, samples in budgets.items()]
        curves.append(Choice(functools.partial(of, min(FIGURE3_N_TRAIN[dataset])), (*longer,)))
    return curves
