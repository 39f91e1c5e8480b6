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


TOKENS = 1000


class Embedded(keras.Model):
    """A network without declared inputs."""

    def __init__(self, num_tokens=TOKENS):
        super().__init__()
        self.embedding = keras.layers.Embedding(num_tokens, 4)

    def call(self, x):
        return keras.ops.reshape(self.embedding(x), (-1, 12))


def declared():
    return keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(TOKENS, 4),
            keras.layers.Flatten(),
        ]
    )


def encoded(encoder):
    likelihood = kv.Conditional("Categorical", (3,), num_classes=TOKENS)
    model = kv.AEVB(encoder, keras.layers.Dense(4), kv.DiagonalNormal(2), likelihood, seed=0)
    # bfloat16 rounds 405 to 404.
    return model.posterior_parameters(np.array([[404, 1, 2], [405, 1, 2]]), verbose=0)["mean"]


def test_rounded_tokens_are_reported():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.warns(UserWarning, match=r"`encoder` rounds.*up to 256.*1000 tokens"):
            same = encoded(Embedded())
        np.testing.assert_array_equal(same[0], same[1])  # the reason for the warning
        with pytest.warns(UserWarning, match="`network` rounds its input to bfloat16"):
            kv.Condition(network=keras.Sequential([keras.layers.Embedding(TOKENS, 4)]))
        # None of these rounds tokens, and warnings are errors.
        kv.Condition(network=keras.layers.Embedding(TOKENS, 4))
        kv.Condition(network=Embedded(257))
        different = encoded(declared())
        assert np.any(different[0] != different[1])
    finally:
        keras.config.set_dtype_policy("float32")
