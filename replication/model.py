"""The model of an experiment: the paper's networks, algorithm and optimizer."""

import keras_aevb as kv
from replication import checkpoint, records
from replication.errors import MissingCheckpointError
from replication.experiment import MCEM_LEAPFROG_STEPS, MCEM_UPDATES
from replication.optimizer import Adagrad

# Settings of `compile`, as measured in benchmarks/.
FASTEST = {"steps_per_execution": 100, "jit_compile": True}


def build(experiment, dataset):
    """The compiled, untrained Keras model of `experiment` for `dataset`."""
    settings = {
        "x_dim": dataset.train.shape[1],
        "latent_dim": experiment.latent_dim,
        "hidden_units": experiment.hidden_units,
        "n_train": len(dataset.train),
        "stddev": experiment.initial_stddev,
        "bias_stddev": experiment.initial_bias_stddev,
        "seed": experiment.seed,
        "recognition": experiment.algorithm != "mcem",
        "log_variance_gain": experiment.log_variance_gain,
    }
    if experiment.dataset == "frey":
        parts = kv.networks.gaussian_mlp(**settings, mean_activation="sigmoid")
    else:
        parts = kv.networks.bernoulli_mlp(**settings)
    model = _ALGORITHMS[experiment.algorithm](experiment, parts, len(dataset.train))
    optimizer = Adagrad(experiment.step_size, accumulate_only=experiment.accumulate_only)
    # A step of Monte Carlo EM is long, and holds the whole training set.
    fastest = {} if experiment.algorithm == "mcem" else FASTEST
    model.compile(optimizer, **fastest)
    return model


def trained(experiment, dataset, results):
    """The model with the weights that the runner kept.

    Args:
        experiment: `Experiment`.
        dataset: `Dataset`.
        results: folder of the results.

    Returns:
        The model, and the training samples it has seen.

    Raises:
        MissingCheckpointError: if there are no weights, as in a fresh clone.
    """
    folder = records.runs_folder(results) / experiment.id
    if not (folder / checkpoint.FILE).exists():
        raise MissingCheckpointError(
            f"Expected the weights of {experiment} in {folder}. Received: no "
            f"{checkpoint.FILE}: the weights stay where they were trained. Train the run again "
            "with --fresh"
        )
    model = build(experiment, dataset.first(experiment.n_train))
    samples, _ = checkpoint.restore(folder, model)
    return model, samples


def _aevb(experiment, parts, n_train):
    return kv.AEVB(**parts, bound=kv.ELBO(experiment.num_samples), seed=experiment.seed)


def _wake_sleep(experiment, parts, n_train):
    return kv.WakeSleep(**parts, bound=kv.ELBO(experiment.num_samples), seed=experiment.seed)


def _mcem(experiment, parts, n_train):
    return kv.MonteCarloEM(
        **parts,
        num_leapfrog_steps=MCEM_LEAPFROG_STEPS,
        updates_per_sample=MCEM_UPDATES,
        n_train=n_train,
        seed=experiment.seed,
    )


_ALGORITHMS = {"aevb": _aevb, "wake-sleep": _wake_sleep, "mcem": _mcem}
