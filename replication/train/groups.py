"""A group of runs as a value: what one process trains at a time, here or elsewhere."""

import dataclasses
import functools
import os

from replication.plan.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that differ in step size and seed alone, trained side by side in one program.

    Attributes:
        experiments: of the runs.
        samples: training samples of each.
    """

    experiments: tuple[Experiment, ...]
    samples: int


@dataclasses.dataclass(frozen=True)
class Places:
    """The folders of a command, as any process finds them.

    Attributes:
        results: the folder of the results.
        data_dir: the folder with the data sets, or `None`.
    """

    results: str
    data_dir: str | None

    @classmethod
    def of(cls, results, data_dir):
        return cls(*(path and os.path.abspath(path) for path in (str(results), data_dir)))


def groups_of(experiments, samples):
    """The groups in which experiments are trained."""
    groups: dict[tuple, list[Experiment]] = {}
    for experiment in dict.fromkeys(experiments):
        groups.setdefault(experiment.shape, []).append(experiment)
    return [Group(tuple(group), samples) for group in groups.values()]


def train(group, places, progress, patience=None):
    """Trains a group in this process.

    Args:
        group: `Group`.
        places: `Places`.
        progress: `RunProgress`.
        patience: seconds to wait for another command that works on one of the runs.

    Returns:
        List of what the runs' `run.json` have in the end.
    """
    from replication.train import runner  # loads Keras

    first = group.experiments[0]
    dataset = _dataset(first.dataset, places.data_dir, first.split_seed)
    arguments = group.experiments, group.samples, dataset, places.results, progress, patience
    return [run.info for run in runner.train(*arguments)]


@functools.cache
def _dataset(name, data_dir, split_seed):
    from replication.train.datasets import load

    return load(name, data_dir, split_seed)
