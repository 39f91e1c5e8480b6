"""Groups of runs that one process trains at a time, here or on another machine."""

import dataclasses
import functools
import os

from replication.plan.experiment import Experiment


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs of one `Experiment.shared_settings`, trained side by side in one program.

    Attributes:
        experiments: experiments of the runs.
        samples: training samples of each run.
    """

    experiments: tuple[Experiment, ...]
    samples: int


@dataclasses.dataclass(frozen=True)
class Folders:
    """The folders of a command, as absolute paths.

    Attributes:
        results: the folder of the results.
        data_dir: the folder with the data sets, or `None`.
    """

    results: str
    data_dir: str | None

    @classmethod
    def of(cls, results, data_dir):
        return cls(
            os.path.abspath(results),
            data_dir and os.path.abspath(os.path.expanduser(data_dir)),
        )


def groups_of(experiments, samples):
    """Groups the experiments that differ only in step size and seed."""
    groups: dict[Experiment, list[Experiment]] = {}
    for experiment in dict.fromkeys(experiments):
        groups.setdefault(experiment.curve_settings, []).append(experiment)
    return [Group(tuple(group), samples) for group in groups.values()]


def merged(groups):
    """Joins groups of one `Experiment.shared_settings` and number of samples.

    Returns:
        Dict from each of the groups to the one that contains it.
    """
    alike: dict[tuple, list[Group]] = {}
    for group in groups:
        alike.setdefault((group.experiments[0].shared_settings, group.samples), []).append(group)
    return {
        group: Group(tuple(dict.fromkeys(e for g in parts for e in g.experiments)), group.samples)
        for parts in alike.values()
        for group in parts
    }


def train(group, folders, progress, patience=None):
    """Trains a group in this process.

    Args:
        group: `Group`.
        folders: `Folders`.
        progress: `RunProgress`.
        patience: seconds to wait for another command that trains one of the runs.

    Returns:
        List of the runs' final `run.json` contents.
    """
    from replication.train import runner  # imports Keras

    first = group.experiments[0]
    dataset = _dataset(first.dataset, folders.data_dir, first.split_seed)
    arguments = group.experiments, group.samples, dataset, folders.results, progress, patience
    return [run.info for run in runner.train(*arguments)]


@functools.cache
def _dataset(name, data_dir, split_seed):
    from replication.train.datasets import load

    return load(name, data_dir, split_seed)
