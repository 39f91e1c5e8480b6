"""The model of an experiment: the paper's networks, algorithm and optimizer."""

import keras
from keras import ops

import keras_aevb as kv
from keras_aevb.batches import row_indices
from replication.errors import ReplicationError
from replication.measurements.records import CHECKPOINT, restore_checkpoint, runs_folder
from replication.plan.experiment import MCEM_LEAPFROG_STEPS, MCEM_UPDATES

# The fastest settings of `compile`, by the measurements in benchmarks/. On a GPU a step takes 0.2
# milliseconds, so one call makes more of them.
STEPS_PER_EXECUTION = 100
STEPS_PER_EXECUTION_ON_A_GPU = 1000


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
        "decoder_layers": experiment.decoder_layers,
    }
    if experiment.dataset == "frey":
        parts = kv.networks.gaussian_mlp(**settings, mean_activation="sigmoid")
    else:
        parts = kv.networks.bernoulli_mlp(**settings)
    optimizer = Adagrad(experiment.step_size, experiment.accumulate_only)
    if experiment.algorithm == "mcem":
        model = kv.MonteCarloEM(
            **parts,
            num_leapfrog_steps=MCEM_LEAPFROG_STEPS,
            updates_per_sample=MCEM_UPDATES,
            n_train=len(dataset.train),
            seed=experiment.seed,
        )
        model.compile(optimizer)  # a step is slow: its batch is the whole training set
        return model
    algorithm = {"aevb": kv.AEVB, "wake-sleep": kv.WakeSleep}[experiment.algorithm]
    model = algorithm(**parts, bound=kv.ELBO(experiment.num_samples), seed=experiment.seed)
    on_a_gpu = any(device.startswith("gpu") for device in keras.distribution.list_devices())
    steps = STEPS_PER_EXECUTION_ON_A_GPU if on_a_gpu else STEPS_PER_EXECUTION
    model.compile(optimizer, steps_per_execution=steps, jit_compile=True)
    return model


def trained(experiment, dataset, results):
    """The model with the run's saved weights.

    Args:
        experiment: `Experiment`.
        dataset: `Dataset`.
        results: folder of the results.

    Returns:
        The model, and the number of training samples it has seen.

    Raises:
        ReplicationError: if the weights are missing, as in a fresh clone.
    """
    folder = runs_folder(results) / experiment.id
    if not (folder / CHECKPOINT).exists():
        raise ReplicationError(
            f"Expected the weights of {experiment} in {folder}. Received: no {CHECKPOINT}, which "
            "is not committed with the results. Train the run again with --fresh"
        )
    model = build(experiment, dataset.first(experiment.n_train))
    samples, _ = restore_checkpoint(folder, model)
    return model, samples


class Adagrad(keras.optimizers.Adagrad):
    r"""Adagrad with a zero accumulator and a warm-up that only accumulates.

    $$G \leftarrow G + g^2, \qquad w \leftarrow w - α \, g / \sqrt{G + 10^{-8}}$$

    with G = 0 initially, and without the second assignment in the first `accumulate_only` steps:
    from G = 0 the first step would have length α in every coordinate, however small the gradient.

    Args:
        learning_rate: global step size α.
        accumulate_only: number of first steps that do not change the weights.

    Reference: Duchi, Hazan & Singer (2010); the settings are those of the VAE authors' code.
    """

    def __init__(self, learning_rate, accumulate_only):
        super().__init__(learning_rate, initial_accumulator_value=0.0, epsilon=1e-8)
        self.accumulate_only = accumulate_only

    def update_step(self, gradient, variable, learning_rate):
        moves = ops.cast(self.iterations >= self.accumulate_only, variable.dtype)
        super().update_step(gradient, variable, moves * ops.cast(learning_rate, variable.dtype))


class WholeTrainingSet(kv.RowBatches):
    """Batches that each contain the whole training set, for Monte Carlo EM.

    Args:
        x: array of shape `[N, D]`.
        length: number of batches.
    """

    def __init__(self, x, length):
        super().__init__((x, row_indices(len(x))))
        self.length = length

    def __len__(self):
        return self.length

    def rows(self, i):
        return row_indices(self.num_rows)
