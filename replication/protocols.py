"""Which runs a figure needs, in which order."""

import itertools

from replication import datasets as data_sets
from replication import step_sizes as choice
from replication.errors import ProtocolError
from replication.experiment import LATENT_DIMS, STEP_SIZES, Experiment
from replication.progress import RunProgress
from replication.records import read_runs


def figure2_runs(
    datasets, latent_dims, algorithms, samples, seeds, step_sizes, data_dir, results, fresh
):
    """Trains the runs of Figure 2; arguments as in the command's help.

    Without `step_sizes`, short runs with each of the paper's step sizes come first, and those with
    the chosen one go on to the end.
    """
    for name in datasets:
        if not step_sizes and samples < choice.PILOT_SAMPLES[name]:
            raise ProtocolError(
                f"The step size for {name} is chosen after {choice.PILOT_SAMPLES[name]} training "
                f"samples, more than --samples {samples}: ask for more samples or give --step-size"
            )
    loaded = {name: data_sets.load(name, data_dir) for name in datasets}
    # Keras loads with the runner; a data set that is missing should be reported before.
    from replication.runner import train

    with RunProgress() as progress:
        discard = set(
            _experiments(datasets, algorithms, latent_dims, step_sizes or STEP_SIZES, seeds)
            if fresh
            else ()
        )

        def train_all(name, algorithm, steps, seeds, samples):
            for experiment in _experiments([name], [algorithm], latent_dims, steps, seeds):
                train(experiment, samples, loaded[name], results, progress, experiment in discard)
                discard.discard(experiment)

        for name, algorithm in itertools.product(datasets, algorithms):
            steps = step_sizes
            if not steps:
                train_all(name, algorithm, STEP_SIZES, 1, choice.PILOT_SAMPLES[name])
                chosen = choice.chosen(choice.pilots(read_runs(results)), name, algorithm)
                if chosen is None:
                    raise ProtocolError(f"Every step size diverged for {name} with {algorithm}")
                progress.say(f"{name} {algorithm}: step size {chosen:g} chosen")
                steps = [chosen]
            train_all(name, algorithm, steps, seeds, samples)


def _experiments(datasets, algorithms, latent_dims, step_sizes, seeds):
    return [
        Experiment(name, algorithm, dim, step, seed)
        for name, algorithm in itertools.product(datasets, algorithms)
        for dim, step, seed in itertools.product(
            latent_dims or LATENT_DIMS[name], step_sizes, range(seeds)
        )
    ]
