"""What the tests share: a small model, its data, and gradients on both backends."""

import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from known_model import linear_gaussian  # noqa: F401

import keras_aevb as kv
from keras_aevb import _backend

# The backends take turns where compiling takes most of the time: these files run on the other
# backend, and on both with `-m slow or not slow`.
SLOW_ON = {
    "jax": {
        "bounds/test_every_bound.py",
        "bounds/test_importance_weighted.py",
        "bounds/test_scheduled_bounds.py",
        "bounds/test_score_function.py",
        "distributions/test_discretized_logistic_mixture.py",
        "distributions/test_flow.py",
        "distributions/test_half_precision.py",
        "distributions/test_hierarchy.py",
        "distributions/test_likelihood_table.py",
        "distributions/test_mixture.py",
        "distributions/test_observed.py",
        "evaluation/test_linear_gaussian.py",
        "evaluation/test_other_models.py",
        "models/test_parts.py",
        "models/test_point_estimates.py",
        "models/test_semi_supervised.py",
        "test_docs.py",
        "test_examples.py",
        "test_gradients.py",
        "test_pictures.py",
        "test_plots.py",
        "test_properties.py",
        "test_readme.py",
        "test_regression.py",
        "test_unconstrained.py",
    },
    "tensorflow": {
        "marginal_likelihood/test_annealed_importance_sampling.py",
        "marginal_likelihood/test_kernel_density.py",
        "marginal_likelihood/test_log_likelihood.py",
        "marginal_likelihood/test_posterior_density.py",
        "models/test_full_vb.py",
        "models/test_monte_carlo_em.py",
        "models/test_pure_step.py",
        "models/test_replicas.py",
        "models/test_shared_parts.py",
        "test_hmc.py",
        "test_networks.py",
    },
}[keras.backend.backend()]


def pytest_collection_modifyitems(items):
    tests = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(tests) and str(item.path.relative_to(tests)) in SLOW_ON:
            item.add_marker(pytest.mark.slow)


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
    """noise(n): an integer as a seed that TFP takes on this backend."""
    return lambda n: _backend.next_seed(keras.random.SeedGenerator(n))


@pytest.fixture(scope="session")
def gradients():
    """gradients(f, variables): derivatives of the scalar f() as NumPy arrays, 0 where unused."""
    return lambda f, variables: [np.asarray(g) for g in _backend.gradients(f, variables)]


@pytest.fixture
def mixed_float16():
    """The global policy, set back afterwards."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def ctrl_c():
    """Python's own handler: processes in the background may be started to ignore the signal."""
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
