"""Algorithms train alike however their steps run; tests of penalties, images and float16."""

import keras
import numpy as np
import pytest
from contract import BATCH, CASES, JAX, X13, Own, X, case_name
from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions

# Every algorithm except AEVB is marked slow on one of the backends.
SLOW = {kv.WakeSleep, kv.FullVB} if JAX else {kv.MonteCarloEM, Own}
PARAMS = [
    pytest.param(case, marks=[pytest.mark.slow] * (case.algorithm in SLOW), id=case_name(case))
    for case in CASES
]
every_case = pytest.mark.parametrize("case", PARAMS)


@pytest.fixture(scope="module", params=PARAMS)
def trained(request):
    """A case and its results of `run`, compiled and step by step."""
    return request.param, run(request.param)


def run(case, parts=None, **mode):
    """History and weights of three steps, the last of which has three examples."""
    model = case.build(compiled=False, n_train=len(X13), **(parts or {}))
    case.compile(model, **mode)
    history = model.fit(X13, batch_size=BATCH, shuffle=False, verbose=0).history
    return history, model.get_weights()


def assert_alike(results, expected):
    (history, weights), (other_history, other_weights) = results, expected
    # Three steps in another order of float32 operations.
    for name in history:
        np.testing.assert_allclose(history[name], other_history[name], rtol=1e-4, err_msg=name)
    for a, b in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


# How the steps run


def test_eager_steps_train_alike(trained):
    case, expected = trained
    assert_alike(run(case, run_eagerly=True, jit_compile=False), expected)


def test_several_steps_in_one_execution_train_alike(trained):
    """Three batches, which two steps per execution do not divide."""
    case, expected = trained
    assert_alike(run(case, steps_per_execution=2), expected)


class SteadyNormal(tfd.Normal):
    """A normal distribution whose noise is always half a standard deviation."""

    def _sample_n(self, n, seed=None):
        value = self.loc + 0.5 * self.scale
        return ops.broadcast_to(value, (n, *ops.shape(value)))


def steady(base):
    class Steady(base):
        def distribution(self, *parameters):
            normal = super().distribution(*parameters).distribution
            return tfd.Independent(SteadyNormal(normal.loc, normal.scale), 1)

    return Steady


@pytest.mark.skipif(JAX, reason="JAX always compiles with XLA")
@every_case
def test_xla_trains_alike(case):
    """Without noise, since XLA on TensorFlow generates other random numbers."""

    def parts():
        keras.utils.set_random_seed(0)  # the same initial weights for both
        return {
            "decoder": keras.Sequential([keras.layers.Dense(4, "tanh")]),
            "posterior": steady(kv.DiagonalNormal)(2),
            "likelihood": steady(kv.Normal)(6),
            "prior": steady(kv.StandardNormal)(2),
        }

    results = run(case, parts(), jit_compile=True)
    assert np.all(np.isfinite(results[0]["loss"]))
    model = case.build()
    case.compile(model, jit_compile=True)
    for values in case.outputs(model, X).values():
        assert np.all(np.isfinite(values))
    if case.algorithm not in (kv.FullVB, kv.MonteCarloEM):  # their θ and momenta are random too
        assert_alike(results, run(case, parts()))


# Layers


class Probe(keras.layers.Layer):
    """Adds a penalty, and counts the calls in training mode."""

    def __init__(self, penalty=0.0):
        super().__init__()
        self.penalty = penalty
        self.count = self.add_weight((), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.count.assign_add(1.0)
        if self.penalty:
            self.add_loss(self.penalty * ops.mean(ops.ones_like(x)))
        return x

    @property
    def calls(self):
        return float(self.count.numpy())


def head(units, *layers):
    return keras.Sequential([*layers, keras.layers.Dense(units)])


@every_case
@pytest.mark.parametrize("run_eagerly", [False, True])
@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_penalties_that_layers_add_are_in_the_loss(method, run_eagerly, case):
    """Each counts once, although wake-sleep runs the encoder twice, and HMC the decoder many times.

    It counts in every eager step: Keras identifies penalties by their address, which is reused.
    """
    model = case.build(compiled=False, encoder=head(5, Probe(3.0)), decoder=head(4, Probe(5.0)))
    case.compile(model, run_eagerly=run_eagerly, jit_compile=JAX and not run_eagerly)
    penalties = 8 if case.recognition else 5
    for _ in range(10 if run_eagerly and case.algorithm is kv.AEVB else 1):
        logs = getattr(model, method)(X[:BATCH], case.labels(BATCH), return_dict=True)
        # float32: a difference of numbers near 10
        np.testing.assert_allclose(logs["loss"] - case.loss(logs), penalties, rtol=1e-5)


@every_case
def test_layers_are_in_training_mode_only_for_updates(case):
    """This includes heads: their batch normalisation must learn."""
    probes = [Probe(), Probe()]
    norms = [keras.layers.BatchNormalization(momentum=0.0) for _ in probes]
    model = case.build(
        posterior=kv.DiagonalNormal(2, mean=head(2, probes[0], norms[0])),
        likelihood=kv.Bernoulli(6, logits=head(6, probes[1], norms[1])),
    )

    model.evaluate(X, batch_size=len(X), verbose=0)
    case.outputs(model, X)
    assert [probe.calls for probe in probes] == [0, 0]
    model.fit(X, batch_size=len(X), epochs=2, verbose=0)
    counts = [2 * calls for calls in case.training_calls]
    assert [probe.calls for probe in probes] == counts
    for norm, count in zip(norms, counts):
        assert count == 0 or np.any(norm.moving_mean.numpy() != 0)
    model.evaluate(X, batch_size=len(X), verbose=0)
    case.outputs(model, X)
    assert [probe.calls for probe in probes] == counts


# Shapes and precision


@every_case
def test_images(case):
    x = np.random.default_rng(0).random((10, 4, 6, 1)).astype("float32")
    layers = keras.layers
    model = case.build(
        encoder=keras.Sequential([layers.Conv2D(3, 3, 2, "same", activation="relu")]),
        decoder=keras.Sequential([layers.Dense(18), layers.Reshape((2, 3, 3))]),
        likelihood=kv.Bernoulli((4, 6, 1), logits=layers.Conv2DTranspose(1, 3, 2, "same")),
    )
    before = [np.array(v) for v in model.trainable_variables]
    history = model.fit(x, batch_size=BATCH, epochs=2, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert all(np.any(a != np.asarray(b)) for a, b in zip(before, model.trainable_variables))
    assert model.sample(3, seed=0).shape == (3, 4, 6, 1)
    assert tuple(model.decode(np.zeros((5, 7, 2), "float32")).batch_shape) == (5, 7)
    if case.recognition:
        assert model.predict(x, verbose=0).shape == x.shape
        assert model.elbo(x, num_samples=2, seed=0).shape == (10,)


@every_case
@pytest.mark.parametrize("likelihood", [kv.Bernoulli, kv.Normal])
def test_mixed_precision_trains(likelihood, case, mixed_float16):
    """Networks in float16, densities in float32."""
    model = case.build(likelihood=likelihood(6))
    assert model.decoder.layers[0].compute_dtype == "float16"
    before = [np.array(v) for v in model.trainable_variables]
    history = model.fit(X, batch_size=BATCH, epochs=3, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert all(np.any(a != np.asarray(b)) for a, b in zip(before, model.trainable_variables))
    losses, terms = model.objective(ops.convert_to_tensor(X), False)
    assert {keras.backend.standardize_dtype(v.dtype) for v in (losses, *terms.values())} == {
        "float32"
    }
