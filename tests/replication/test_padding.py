"""Padded models compute the same numbers as models without padding."""

import dataclasses

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb import _backend
from replication.plan.experiment import Experiment
from replication.train import datasets, padding
from replication.train.model import build

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="TensorFlow's noise depends on the shape"
)
AEVB = Experiment("digits", "aevb", 2, 0.01, hidden_units=10)
WAKE_SLEEP = dataclasses.replace(AEVB, algorithm="wake-sleep", num_samples=3, latent_dim=3)
WIDTH = 5


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def padded(experiment, digits):
    """A model, and the same one with padding."""
    model = build(experiment, digits)
    wide = build(experiment, digits, WIDTH)
    padding.copy_weights(model, wide)
    return model, wide


def unpadded(wide, experiment, digits):
    model = build(experiment, digits)
    padding.copy_weights(wide, model)
    return model


def arrays(model):
    return [np.asarray(v) for v in model.variables + model.optimizer.variables]


def fit(model, x, steps, experiment):
    batches = kv.RandomMinibatches(x, experiment.batch_size, experiment.seed, 0, steps)
    model.fit(batches, verbose=0)


@pytest.mark.parametrize("experiment", [AEVB, WAKE_SLEEP], ids=lambda e: e.algorithm)
def test_training_with_padding_is_training_without_it(digits, experiment):
    model, wide = padded(experiment, digits)
    for trained in (model, wide):
        fit(trained, digits.train, 130, experiment)
    # Sums of other lengths may round otherwise: 1e-6 relative, grown by 30 updates.
    for actual, desired in zip(arrays(unpadded(wide, experiment, digits)), arrays(model)):
        np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=1e-5)
    bounds = [m.elbo(digits.test, num_samples=2, seed=3, verbose=0) for m in (wide, model)]
    np.testing.assert_allclose(*bounds, rtol=1e-4)
    unused = np.asarray(wide.decoder.weights[0])[experiment.latent_dim :]
    assert unused.shape == (WIDTH - experiment.latent_dim, 10) and not unused.any()


def test_copies_are_exact(digits):
    model, wide = padded(AEVB, digits)
    fit(model, digits.train, 110, AEVB)
    padding.copy_weights(model, wide)
    for actual, desired in zip(arrays(unpadded(wide, AEVB, digits)), arrays(model)):
        np.testing.assert_array_equal(actual, desired)


def test_copies_are_independent(digits):
    """Training donates the memory of the trained model's variables."""
    model, wide = padded(AEVB, digits)
    fit(wide, digits.train, 1, AEVB)
    padding.copy_weights(wide, model)
    before = arrays(model)
    fit(wide, digits.train, 110, AEVB)
    for actual, desired in zip(arrays(model), before):
        np.testing.assert_array_equal(actual, desired)


def test_models_of_other_sizes_are_stacked(digits, monkeypatch):
    import jax

    sizes = [dataclasses.replace(AEVB, latent_dim=n, step_size=0.01 * n) for n in (1, 2, WIDTH)]
    models = [padded(e, digits)[1] for e in (*sizes, dataclasses.replace(WAKE_SLEEP, num_samples=1))]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    program = _backend.Program(models, "train")
    program(None, [[(digits.train[:10],) for _ in models]])
    assert program.groups == [[0, 1, 2], [3]]
