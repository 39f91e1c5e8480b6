"""Fixtures: a small model, its data, and gradients on both backends."""

import signal

import keras
import numpy as np
import pytest
from known_model import linear_gaussian  # noqa: F401
from selection import longest_first, mark_slow

import keras_aevb as kv
from keras_aevb import _backend


def pytest_collection_modifyitems(config, items):
    longest_first(items)
    # A test given by name runs on either backend.
    if not any("::" in argument for argument in config.args):
        mark_slow(items, keras.backend.backend())


def pytest_collectstart():
    # Some modules make layers when they are imported.
    keras.utils.set_random_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    # The weights of networks without a seed do not depend on the tests before.
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def x():
    """Real-valued pixels, 13 examples: not divisible by the usual batch of 5."""
    return np.random.default_rng(0).random((13, 6)).astype("float32")


@pytest.fixture(scope="session")
def make_model():
    """make_model(algorithm, **parts): 6 pixels, 2 latents, the same initial weights every time."""
    return _make_model


@pytest.fixture(scope="session")
def noise():
    """noise(n): a TFP seed of this backend from an integer."""
    return lambda n: _backend.next_seed(keras.random.SeedGenerator(n))


@pytest.fixture(scope="session")
def gradients():
    """gradients(f, variables): derivatives of the scalar f() as NumPy arrays, 0 where unused."""
    return lambda f, variables: [np.asarray(g) for g in _backend.gradients(f, variables)]


@pytest.fixture
def mixed_float16():
    """Sets the global policy, and restores it afterwards."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def ctrl_c():
    """ctrl_c(): raises SIGINT, with Python's handler, since background processes may ignore it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, handler)


def _make_model(algorithm=kv.AEVB, seed=0, **parts):
    keras.utils.set_random_seed(1)
    defaults = {
        "encoder": keras.Sequential([keras.layers.Dense(5, "tanh")]),
        "decoder": keras.Sequential([keras.layers.Dense(4, "tanh")]),
        "posterior": kv.DiagonalNormal(2),
        "likelihood": kv.Bernoulli(6),
    }
    return algorithm(**{**defaults, **parts}, seed=seed)
