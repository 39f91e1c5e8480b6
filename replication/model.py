"""The model of an experiment: the paper's networks, algorithm and optimizer."""

import keras_aevb as kv
from replication.optimizer import Adagrad

ALGORITHMS = {"aevb": kv.AEVB, "wake-sleep": kv.WakeSleep}


def build(experiment, dataset):
    """The compiled, untrained Keras model of `experiment` for `dataset`."""
    settings = {
        "x_dim": dataset.train.shape[1],
        "latent_dim": experiment.latent_dim,
        "hidden_units": experiment.hidden_units,
        "n_train": len(dataset.train),
        "stddev": experiment.initial_stddev,
        "seed": experiment.seed,
    }
    if experiment.dataset == "frey":
        parts = kv.networks.gaussian_mlp(**settings, mean_activation="sigmoid")
    else:
        parts = kv.networks.bernoulli_mlp(**settings)
    model = ALGORITHMS[experiment.algorithm](
        **parts, bound=kv.ELBO(num_samples=experiment.num_samples), seed=experiment.seed
    )
    model.compile(Adagrad(experiment.step_size, accumulate_only=experiment.accumulate_only))
    return model
