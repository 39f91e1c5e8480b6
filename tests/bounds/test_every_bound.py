"""Tests of every bound and option: training, saving, extreme inputs."""

import keras
import numpy as np
import pytest

import keras_aevb as kv

SCHEDULE = keras.optimizers.schedules.PolynomialDecay(0.1, 5, 1.0)
BOUNDS = {
    "elbo": lambda: kv.ELBO(2, kl="sampled"),
    "elbo, annealed": lambda: kv.ELBO(beta=kv.Cyclical(SCHEDULE, 20), free_bits=0.01),
    "elbo, stl": lambda: kv.ELBO(2, gradient="stl"),
    **{
        f"importance-weighted, {gradient}": lambda g=gradient: kv.ImportanceWeightedBound(4, g)
        for gradient in ("reparameterized", "stl", "dreg", "vimco")
    },
    "renyi": lambda: kv.RenyiBound(0.5, 4, "dreg"),
    "total correlation": lambda: kv.TotalCorrelationELBO(SCHEDULE, 100, beta=0.5, free_bits=0.01),
    "mmd": lambda: kv.MaximumMeanDiscrepancyELBO(5.0, beta=0.0, num_samples=2),
    "score": lambda: kv.ScoreFunctionELBO(4),
    "score, others": lambda: kv.ScoreFunctionELBO(4, "leave-one-out"),
    "score, layer": lambda: kv.ScoreFunctionELBO(4, keras.layers.Dense(1)),
}
EVERY = pytest.mark.parametrize("bound", BOUNDS)


def test_every_bound_is_in_the_table():
    elsewhere = {kv.Bound, kv.HierarchicalELBO}  # the latter in test_hierarchy.py
    public = {v for v in vars(kv).values() if isinstance(v, type) and issubclass(v, kv.Bound)}
    assert {type(make()) for make in BOUNDS.values()} == public - elsewhere


@EVERY
def test_ten_steps_raise_the_bound_and_a_file_restores_it(bound, make_model, noise, x, tmp_path):
    model = make_model(bound=BOUNDS[bound]())
    model.compile(keras.optimizers.Adam(0.03))
    x = np.float32(x > 0.2)  # its mean is far from that of the untrained model
    history = model.fit(x, batch_size=len(x), epochs=10, verbose=0).history
    values = history[model.bound.objective]
    assert values[-1] > values[0] + 0.2
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    actual, desired = (
        m.bound(x, m.encode(x), m.prior.distribution(), m.decode, noise(0)) for m in (model, loaded)
    )
    assert {*model.bound.terms, "loss"} <= history.keys()
    for name in actual:
        np.testing.assert_array_equal(actual[name], desired[name])


TESTED_WITH_LARGE_FEATURES = (
    "elbo, annealed",
    "total correlation",
    "mmd",
    "importance-weighted, dreg",
    "importance-weighted, vimco",
    "score, layer",
)


@pytest.mark.parametrize("bound", TESTED_WITH_LARGE_FEATURES)
def test_large_features(bound, make_model, x):
    model = make_model(
        encoder=keras.layers.Rescaling(1e4, offset=-5e3),
        decoder=keras.layers.Rescaling(1e4),
        bound=BOUNDS[bound](),
    )
    model.compile(keras.optimizers.SGD(1e-6), run_eagerly=True)
    logs = model.train_on_batch(x, return_dict=True)
    assert np.all(np.isfinite(list(logs.values())))
    assert all(np.all(np.isfinite(v.numpy())) for v in model.weights)
