"""The curves of figures 2 and 3: runs, how far each is trained, and what chooses its step size."""

import collections.abc
import dataclasses
import functools
import itertools

from replication.plan.experiment import LATENT_DIMS, STEP_SIZES, Experiment
from replication.plan.protocols import FIGURE3_N_TRAIN, figure2_experiment, figure3_experiment
from replication.plan.step_sizes import pilot_samples

# From a step size and a seed to an experiment.
ExperimentOf = collections.abc.Callable[..., Experiment]


@dataclasses.dataclass(frozen=True)
class Curve:
    """Runs that share a choice of step size.

    Attributes:
        pilot: function from a step size and a seed to the `Experiment` by which it is chosen.
        budgets: pairs of such a function, of runs that are trained with the chosen step size, and
            their training samples.
    """

    pilot: ExperimentOf
    budgets: tuple[tuple[ExperimentOf, int], ...]

    def trials(self, seeds):
        """The short runs, with each step size and each of so many seeds."""
        return [self.pilot(*setting) for setting in itertools.product(STEP_SIZES, range(seeds))]

    @property
    def pilot_samples(self):
        """Training samples of each trial."""
        return pilot_samples(self.first)

    @property
    def first(self):
        """The first trial, which stands for all."""
        return self.pilot(STEP_SIZES[0])


def figure2_curves(datasets, algorithms, latent_dims, samples, text=False):
    """Figure 2's curves.

    Args:
        datasets: names of the data sets.
        algorithms: names.
        latent_dims: the N_z; default: the paper's for each data set.
        samples: training samples of each run.
        text: whether to take the text's own settings where the figure has others.
    """
    return [
        _by_itself(functools.partial(figure2_experiment, *place, text=text), samples)
        for dataset in datasets
        for place in itertools.product([dataset], algorithms, latent_dims or LATENT_DIMS[dataset])
    ]


def figure3_curves(datasets, algorithms, budgets):
    """Figure 3's curves, whose step size is chosen on the smallest training set.

    Args:
        datasets: names of the data sets.
        algorithms: names.
        budgets: dict from N_train to training samples.
    """
    curves = []
    for place in itertools.product(datasets, algorithms):
        of = functools.partial(figure3_experiment, *place)
        longer = [(functools.partial(of, n), samples) for n, samples in budgets.items()]
        curves.append(Curve(functools.partial(of, min(FIGURE3_N_TRAIN[place[0]])), (*longer,)))
    return curves


def model_curves(datasets, latent_dims, samples):
    """AEVB with figure 2's settings and its choice of step size, as figures 4 and 5 take it."""
    return figure2_curves(datasets, ["aevb"], latent_dims, samples)


def _by_itself(of, samples):
    return Curve(of, ((of, samples),))
