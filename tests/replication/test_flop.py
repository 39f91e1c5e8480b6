"""The count of floating-point operations, by hand and from the training program."""

import re

import keras
import numpy as np
import pytest

from replication.figures.cost import flop_per_sample
from replication.plan.experiment import Experiment
from replication.train import datasets
from replication.train.model import build


def test_the_papers_mnist_model_by_hand():
    aevb = 6 * (784 * 500 + 2 * 500 * 20 + 20 * 500 + 500 * 784) - 2 * 784 * 500
    assert flop_per_sample(Experiment("mnist", "aevb", 20, 0.01)) == aevb == 4_100_000
    encoder, decoder = 784 * 500 + 2 * 500 * 20, 20 * 500 + 500 * 784
    wake = 2 * encoder + 6 * decoder - 2 * 20 * 500
    sleep = 2 * decoder + 6 * encoder - 2 * 784 * 500
    assert flop_per_sample(Experiment("mnist", "wake-sleep", 20, 0.01)) == wake + sleep == 5_708_000


def test_two_samples_of_z_decode_twice():
    one, two = (Experiment("mnist", "aevb", 20, 0.01, num_samples=n) for n in (1, 2))
    assert flop_per_sample(two) - flop_per_sample(one) == 6 * (20 * 500 + 500 * 784)


def test_hidden_layers_of_the_decoder_by_hand():
    one, two, three = (Experiment("frey", "aevb", 20, 0.01, decoder_layers=n) for n in (1, 2, 3))
    assert flop_per_sample(two) - flop_per_sample(one) == 6 * 200 * 200
    assert flop_per_sample(three) - flop_per_sample(one) == 2 * 6 * 200 * 200


def test_monte_carlo_em_by_hand():
    e = Experiment("mnist", "mcem", 3, 0.01, hidden_units=100, n_train=1000)
    decoder = 3 * 100 + 100 * 784
    step = 11 * (2 + 2) * decoder + 5 * (6 * decoder - 2 * 3 * 100)
    assert flop_per_sample(e) == step / 15


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX shows its program as text")
@pytest.mark.parametrize("algorithm", ["aevb", "wake-sleep"])
@pytest.mark.parametrize(
    "dataset, pixels, settings",
    [("digits", 64, {}), ("frey", 560, {"num_samples": 2}), ("frey", 560, {"decoder_layers": 3})],
)
def test_the_count_equals_the_matrix_products_of_a_training_step(
    algorithm, dataset, pixels, settings
):
    import jax

    x = np.zeros((100, pixels), "float32")
    data = datasets.Dataset(dataset, x, x, digest="")
    experiment = Experiment(dataset, algorithm, 3, 0.01, **settings)
    trained = build(experiment, data)
    groups = (
        trained.trainable_variables,
        trained.non_trainable_variables,
        trained.optimizer.variables,
        trained.metrics_variables,
    )
    state = tuple([v.value for v in group] for group in groups)
    program = jax.jit(trained.train_step).lower(state, (x,)).as_text()
    assert matrix_flop(program) == 100 * flop_per_sample(experiment)


def matrix_flop(program):
    """2 · (elements of the result) · (length of the sum), over all products."""
    product = (
        r"dot_general .*contracting_dims = \[(\d)\] x .* : \(tensor<([\dx]+)xf32>, .*"
        r"-> tensor<([\dx]+)xf32>"
    )
    found = re.findall(product, program)
    assert len(found) == program.count("stablehlo.dot_general")
    return sum(2 * np.prod(shape(out)) * shape(left)[int(axis)] for axis, left, out in found)


def shape(text):
    return [int(size) for size in text.split("x")]
