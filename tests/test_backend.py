"""The functions that both backends implement."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb import _backend


def exported(module):
    path = Path(_backend.__file__).with_name(f"{module}.py")
    names = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Assign)]
    return next(ast.literal_eval(n.value) for n in names if n.targets[0].id == "__all__")


@pytest.mark.parametrize("suffix", ["", "_program"])
def test_both_backends_export_the_same_names(suffix):
    names = exported(f"jax{suffix}")
    assert names == exported(f"tensorflow{suffix}")
    assert all(hasattr(_backend, name) for name in names)
    assert all(f"`{name}" in _backend.__doc__ for name in names)


def test_gradients_of_unused_variables_are_zero(gradients):
    a, b = keras.Variable([1.0, 2.0]), keras.Variable([3.0])
    by_a, by_b = gradients(lambda: ops.sum(a * a), [a, b])
    np.testing.assert_array_equal(by_a, [2, 4])
    np.testing.assert_array_equal(by_b, [0])


def test_given_derivatives(gradients):
    """The derivatives given are used, here with factors of 10 and 100, in forward mode too."""
    product = _backend.with_derivatives(
        lambda x, y: x * y, lambda x, y: 10 * y, lambda x, y: 100 * x
    )
    x, y = keras.Variable([1.0, 2.0]), keras.Variable([3.0, 4.0])

    def value():
        return ops.sum(product(ops.convert_to_tensor(x), ops.convert_to_tensor(y)))

    assert float(value()) == 11
    by_x, by_y = gradients(value, [x, y])
    np.testing.assert_array_equal(by_x, [30, 40])
    np.testing.assert_array_equal(by_y, [100, 200])
    if keras.backend.backend() == "jax":
        import jax

        assert jax.jvp(product, (2.0, 3.0), (1.0, 1.0)) == (6, 30 + 200)


def test_gradients_in_a_program_follow_the_other_variables(make_model):
    model = make_model()
    bias, kernel = model.encoder.trainable_variables[1], model.decoder.trainable_variables[0]

    def gradient(factor):
        def f():
            return factor * ops.sum(bias * bias) * ops.sum(kernel)

        return _backend.gradients(f, [bias], model.variables)[0]

    program = _backend.compiled(model, gradient)
    for value in (1.0, 2.0):
        bias.assign(ops.full(bias.shape, value))
        kernel.assign(ops.full(kernel.shape, 3 * value))
        # d/db of f Σb² Σk, with 2 · 4 weights in the kernel
        expected = np.full(bias.shape, 2.0 * 2 * value * 8 * 3 * value)
        np.testing.assert_allclose(program(np.float32(2)), expected, rtol=1e-6)  # float32


@pytest.mark.slow
def test_tensorflow_is_not_loaded_for_jax_but_can_be_later():
    """TFP would import TensorFlow for its docstrings. The test runs a new process."""
    if keras.backend.backend() != "jax":
        pytest.skip("concerns only the jax backend")
    program = """
import sys
sys.modules.update(matplotlib=None, tensorboard=None)  # packages for pictures are not needed either
import numpy as np, keras_aevb as kv
assert "tensorflow" not in sys.modules
model, other = (kv.AEVB(**kv.networks.bernoulli_mlp(4, 2, 3)) for _ in range(2))
model.compile()
other.compile()
model.fit(np.ones((6, 4)), verbose=0)
kv.Replicas([model, other]).fit(np.ones((6, 4)), verbose=0)
assert "tensorflow" not in sys.modules
import tensorflow as tf
model.fit(tf.data.Dataset.from_tensor_slices((np.ones((6, 4)),)).batch(3), verbose=0)
"""
    pytest.importorskip("tensorflow")
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)


def test_a_mean_over_millions_of_batches():
    """Keras' own mean is off by 0.005: a batch is too small beside the sum in float32."""
    mean = _backend.mean_metric("loss", "float32")
    mean.total.assign(5e9)
    mean.count.assign(1e7)
    for _ in range(1000):
        mean.update_state(ops.convert_to_tensor(543.217), sample_weight=100)
    expected = (5e9 + 1000 * 54321.7) / (1e7 + 1e5)
    np.testing.assert_allclose(float(mean.result()), expected, rtol=1e-7)
    mean.reset_state()
    mean.update_state(ops.array([1.0, 4.0]), sample_weight=ops.array([3.0, 1.0]))
    mean.update_state(ops.array([6.0]))
    np.testing.assert_allclose(float(mean.result()), (3 + 4 + 6) / 5, rtol=1e-7)


def test_a_step_is_traced_once():
    """Tracing takes most of the time of the first step with each batch size."""
    calls = []
    x = np.random.default_rng(0).random((50, 12), dtype="float32")

    class Counted(keras.layers.Dense):
        def call(self, inputs):
            calls.append(inputs)
            return super().call(inputs)

    model = kv.AEVB(
        encoder=Counted(4),
        decoder=keras.Sequential([keras.layers.Dense(4)]),
        posterior=kv.DiagonalNormal(2),
        likelihood=kv.Bernoulli(12),
        seed=0,
    )
    model.compile(jit_compile=keras.backend.backend() == "jax")
    model.fit(x, batch_size=10, verbose=0)
    calls.clear()
    model.fit(x, batch_size=25, verbose=0)
    assert len(calls) == 1
    calls.clear()
    model.fit(x, batch_size=25, verbose=0)
    assert not calls


def test_every_integer_seed_has_its_own_numbers():
    """All integers below 2³² are distinct seeds."""
    seeds = (0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1)
    draws = {
        float(_backend.tfd.Normal(0.0, 1.0).sample(seed=_backend.fixed_seed(seed, 0)))
        for seed in seeds
    }
    assert len(draws) == len(seeds)
