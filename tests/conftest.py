"""Fixtures: a small model, its data, and gradients on both backends."""

import collections
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from known_model import linear_gaussian  # noqa: F401

import keras_aevb as kv
from keras_aevb import _backend

ROOT = Path(__file__).parents[1]
# The replication does not depend on the backend: it calls the library, whose tests run on both.
REPLICATION = {
    f"tests/replication/{path.name}"
    for path in (ROOT / "tests" / "replication").glob("test_*.py")
    if path.name not in ("test_everything.py", "test_optimizer.py", "test_sharing.py")
}
# Test files that are slow on one backend, because they mostly compile or do not depend on the
# backend: only the other backend runs them, and both do with `-m "slow or not slow"`.
SLOW_ON = {
    "jax": {
        "keras_aevb",  # the examples of docstrings
        "replication",
        "tests/bounds/test_aggregate_posterior_bounds.py",
        "tests/bounds/test_every_bound.py",
        "tests/bounds/test_importance_weighted.py",
        "tests/bounds/test_scheduled_bounds.py",
        "tests/bounds/test_score_function.py",
        "tests/distributions/test_discretized_logistic_mixture.py",
        "tests/distributions/test_families.py",
        "tests/distributions/test_flow.py",
        "tests/distributions/test_half_precision.py",
        "tests/distributions/test_hierarchy.py",
        "tests/distributions/test_interior.py",
        "tests/distributions/test_likelihood_table.py",
        "tests/distributions/test_mixture.py",
        "tests/distributions/test_observed.py",
        "tests/evaluation",
        "tests/marginal_likelihood/test_pareto.py",
        "tests/marginal_likelihood/test_supports.py",
        "tests/models/test_condition.py",
        "tests/models/test_parts.py",
        "tests/models/test_point_estimates.py",
        "tests/models/test_semi_supervised.py",
        "tests/models/test_wake_sleep.py",
        "tests/test_bad_calls.py",
        "tests/test_callbacks.py",
        "tests/test_docs.py",
        "tests/test_examples.py",
        "tests/test_gradients.py",
        "tests/test_networks.py",
        "tests/test_pictures.py",
        "tests/test_plots.py",
        "tests/test_properties.py",
        "tests/test_readme.py",
        "tests/test_regression.py",
        "tests/test_unconstrained.py",
    },
    "tensorflow": {
        "tests/marginal_likelihood/test_annealed_importance_sampling.py",
        "tests/marginal_likelihood/test_kernel_density.py",
        "tests/marginal_likelihood/test_log_likelihood.py",
        "tests/marginal_likelihood/test_posterior_density.py",
        "tests/models/test_backends_agree.py",  # it starts the other one
        "tests/models/test_conditions.py",
        "tests/models/test_full_vb.py",
        "tests/models/test_functional.py",
        "tests/models/test_keras_behaviour.py",
        "tests/models/test_monte_carlo_em.py",
        "tests/models/test_processes.py",
        "tests/models/test_pure_step.py",
        "tests/models/test_replicas.py",
        "tests/models/test_shared_parts.py",
        "tests/test_float64.py",
        "tests/test_hmc.py",
        *REPLICATION,
    },
}
assert not SLOW_ON["jax"] & SLOW_ON["tensorflow"], "tests that neither backend runs"
# Tests of many similar cases that take seconds each: so many of the first ones run, and all do with
# `-m "slow or not slow"`.
FIRST_CASES = {
    "tests/bounds/test_every_bound.py::test_ten_steps_improve_it_and_a_file_keeps_it": 4,
    "tests/distributions/test_half_precision.py::test_variational_models": 2,
    "tests/distributions/test_half_precision.py::test_monte_carlo_em": 1,
    "tests/distributions/test_hierarchy.py::test_training_and_saving": 1,
    "tests/distributions/test_mixture.py::test_training_and_saving": 1,
    "tests/marginal_likelihood/test_log_likelihood.py::test_compiled_as_the_user_says": 2,
    "tests/marginal_likelihood/test_supports.py::test_importance_sampling_is_that_of_quadrature": 3,
    "tests/marginal_likelihood/test_supports.py::test_log_likelihood_is_that_of_quadrature": 6,
    "tests/models/test_contract_ways.py::test_eager_steps_train_alike": 1,
    "tests/models/test_contract_ways.py::test_mixed_precision_trains": 3,
    "tests/models/test_contract_ways.py::test_xla_trains_alike": 1,
    "tests/models/test_monte_carlo_em.py::test_chains_have_the_posterior_inside_the_support": 1,
    "tests/models/test_replicas.py::test_replicas_equal_models_trained_alone": 3,
    "tests/models/test_resident_fit.py::test_rows_on_the_device_train_like_whole_batches": 5,
    "tests/models/test_resume.py::test_backup_and_restore": 5,
    "tests/models/test_state_in_parts.py::test_programs_follow_changes_of_layers": 6,
    "tests/replication/test_verify.py::test_a_metric_changed_by_five_errors_is_caught": 6,
    "tests/test_examples.py::test_example_runs": 3,
    "tests/test_regression.py::test_bound_after_a_fixed_budget": 2,
}


def pytest_collection_modifyitems(items):
    slow = [ROOT / path for path in SLOW_ON[keras.backend.backend()]]
    cases = collections.Counter()
    for item in items:
        test = item.nodeid.split("[")[0]
        cases[test] += 1
        many = cases[test] > FIRST_CASES.get(test, cases[test])
        if many or any(item.path.is_relative_to(path) for path in slow):
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
    """Sets Python's own handler, since background processes may ignore the signal."""
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
