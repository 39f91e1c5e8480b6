"""Invalid calls, and checks of their errors.

A row is a call and words that its message must contain. The call must not change the weights of its
models. After all calls of a file, the models must give the same numbers as before.
"""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb import networks

N, X_DIM, LATENT_DIM, BATCH = 12, 6, 2, 6
X = np.random.default_rng(0).random((N, X_DIM)).astype("float32")

# Values

NAN, INF = float("nan"), float("inf")
NOT_SIZES = [0, -1, True, 1.5, NAN, "3", [3], 2**70]
NOT_SIZES_OR_NONE = [*NOT_SIZES, None]
NOT_POSITIVE = [0, -1.0, NAN, INF, -INF, True, "1", [1.0], 1j, 1e-320, 1e39]
NOT_NON_NEGATIVE = [-1.0, NAN, INF, True, "1", None, 1e-320, 1e39]
NOT_SEEDS = [-1, 1.5, NAN, True, "0", [0], 2**32]
NOT_EVENT_SHAPES = [*NOT_SIZES_OR_NONE[:6], None, 2**70, (), (3, 0), (3, True), (2**20, 2**20), {3}]
NOT_LAYERS = ["dense", 3, keras.layers.Dense, max]
NOT_BOOLEANS = ["yes", 1, None]

# The parts of messages about data

SHAPE, FINITE, PIXELS, REAL = f"({X_DIM},)", "finite", "[0, 1]", "real numbers"

# Rows


class Rows(dict):
    """Calls, functions of `Models`, and the words of their messages, by name."""

    def add(self, name, call, *words):
        assert name not in self, f"two rows {name}"
        self[name] = call, words

    def add_arguments(self, name, make, bad, value_in_message=True):
        """Adds rows with one invalid argument each.

        Args:
            name: name of the call.
            make: function of the models and of keyword arguments.
            bad: dict from an argument's name to invalid values.
            value_in_message: whether the message repeats the value.
        """
        for argument, values in bad.items():
            for value in values:

                def call(models, argument=argument, value=value):
                    return make(models, **{argument: value})

                words = [f"`{argument}`"] + [repr(value)] * value_in_message
                self.add(f"{name}({argument}={shown(value)})", call, *words)

    def params(self):
        return [pytest.param(*values, id=name) for name, values in self.items()]


def shown(value):
    """A value as text for a test id."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**20:
        return f"2**{value.bit_length() - 1}"
    return getattr(value, "__name__", None) or repr(value).replace("\n", "")


def check_message(call, models, words, kinds=(ValueError, TypeError)):
    with pytest.raises(kinds) as error:
        call(models)
    for word in words:
        assert word in str(error.value)


def check_bad_call(call, words, models):
    """Checks the message, and that the models are unchanged."""
    try:
        check_message(call, models, ("Expected", "Received", *words))
    finally:
        models.check_unchanged()


# Models

ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM]


def parts_of(algorithm, seed=0):
    return networks.bernoulli_mlp(
        X_DIM, LATENT_DIM, 4, seed=seed, recognition=algorithm is not kv.MonteCarloEM
    )


def new(algorithm, **arguments):
    return algorithm(**{**parts_of(algorithm), **arguments})


def compiled(model, **arguments):
    model.compile("sgd", **arguments)
    return model


def measure(name, model, x=X, **arguments):
    if name == "sample_aggregate_posterior":
        arguments = {"n": 2, **arguments}
    return getattr(kv.evaluation, name)(model, x, **arguments)


class Models(dict):
    """The models of all rows, built on first use; `used` has the names that a test uses."""

    def __init__(self):
        super().__init__()
        self.used = set()
        self.before = {}

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)

    def __missing__(self, name):
        if name == "Replicas":
            self[name] = kv.Replicas([compiled(new(kv.AEVB, seed=i)) for i in range(2)])
        elif name == "Gaussian":
            self[name] = compiled(kv.AEVB(**networks.gaussian_mlp(X_DIM, 2, 4, seed=0), seed=0))
        else:
            n_train = {} if name in ("AEVB", "WakeSleep") else {"n_train": N}
            self[name] = compiled(new(getattr(kv, name), seed=0, **n_train))
        self.before[name] = state(self.each(name)), numbers_of(self.each(name))
        return super().__getitem__(name)

    def each(self, name):
        model = super().__getitem__(name)
        return model.models if isinstance(model, kv.Replicas) else [model]

    def check_unchanged(self):
        for name in self.used:
            weights, _ = self.before[name]
            try:
                assert_equal(state(self.each(name)), weights)
            except AssertionError:
                del self[name]  # the next row builds a new one
                raise


def variables_of(models):
    return [v for model in models for v in (*model.weights, *model.optimizer.variables)]


def state(models):
    return [np.asarray(v) for v in variables_of(models)]


def numbers_of(models):
    """The bound, or samples of a model without one."""
    return [m.elbo(X, seed=0) if hasattr(m, "elbo") else m.sample(2, seed=0) for m in models]


def assert_equal(received, expected):
    for actual, desired in zip(received, expected, strict=True):
        np.testing.assert_array_equal(actual, desired)
        assert np.isfinite(actual).all()
