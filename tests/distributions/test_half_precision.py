"""Models entirely in half precision, with densities in float32."""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb import networks


@pytest.fixture(params=["float16", "bfloat16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def check(algorithm, mlp, path):
    """Trains, evaluates, saves and loads a model."""
    is_em = algorithm is kv.MonteCarloEM
    # FullVB's bound already contains the prior over weights.
    settings = {} if algorithm is kv.FullVB else {"n_train": 20}
    parts = mlp(6, 2, 4, seed=0, recognition=not is_em, **settings)
    model = algorithm(**parts, seed=0)
    model.compile(keras.optimizers.SGD(1e-3))
    x = np.random.default_rng(0).random((20, 6)).astype("float32")
    history = model.fit(x, batch_size=10, epochs=2, verbose=0).history
    logs = [*history.values(), model.evaluate(x, batch_size=10, verbose=0)]
    assert all(np.isfinite(values).all() for values in logs)
    z = np.zeros((3, 2), "float32")
    assert dtype(model.prior.distribution().log_prob(z)) == "float32"
    assert dtype(model.decode(z).log_prob(x[:3])) == "float32"
    if not is_em:
        assert dtype(model.encode(x)) == "float32"
    model.save(path)
    loaded = keras.saving.load_model(path)
    for actual, desired in zip(loaded.variables, model.variables, strict=True):
        assert dtype(actual) == dtype(desired)
        np.testing.assert_array_equal(actual.numpy(), desired.numpy())
    np.testing.assert_array_equal(loaded.sample(2, seed=0), model.sample(2, seed=0))


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep, kv.FullVB])
def test_variational_models(algorithm, policy, tmp_path):
    mlp = {"float16": networks.bernoulli_mlp, "bfloat16": networks.gaussian_mlp}[policy]
    check(algorithm, mlp, tmp_path / "model.keras")


@pytest.mark.slow
def test_monte_carlo_em(policy, tmp_path):
    check(kv.MonteCarloEM, networks.bernoulli_mlp, tmp_path / "model.keras")
