"""The weight prior, against scipy's normal density and Keras' L2, and its gradient."""

import math

import keras
import numpy as np
import pytest
from scipy import stats

import keras_aevb as kv

SHAPES = [(7,), (7, 5), (3, 3, 2, 4)]


def weights(shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_normal_density_without_its_constant(shape):
    w = weights(shape)
    log_density = stats.norm.logpdf(np.float64(w)).sum() - stats.norm.logpdf(np.zeros(shape)).sum()
    # rtol: float32 sums of at most 72 positive terms
    np.testing.assert_allclose(kv.WeightPrior(50)(w), -log_density / 50, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_its_gradient_is_the_weights_divided_by_n(shape, gradients):
    w = keras.Variable(weights(shape))
    (gradient,) = gradients(lambda: kv.WeightPrior(50)(w), [w])
    # rtol: two roundings
    np.testing.assert_allclose(gradient, w.numpy() / 50, rtol=3e-7)


def test_zero_weights_have_no_penalty_and_no_gradient(gradients):
    w = keras.Variable(np.zeros((4, 3), "float32"))
    (gradient,) = gradients(lambda: kv.WeightPrior(50)(w), [w])
    assert float(kv.WeightPrior(50)(w)) == 0
    np.testing.assert_array_equal(gradient, np.zeros((4, 3)))


@pytest.mark.parametrize("n_train", [0, -5, math.nan, math.inf, True, None, "50"])
def test_n_train_must_be_positive(n_train):
    with pytest.raises(ValueError, match=f"`n_train` to be a positive number. Rec.*: {n_train!r}"):
        kv.WeightPrior(n_train)


@pytest.mark.parametrize("n_train", [1e-320, 1e39, 10**400])
def test_n_train_must_be_a_number_of_float32(n_train):
    with pytest.raises(ValueError, match=r"`n_train`.*float32 can hold.*Received"):
        kv.WeightPrior(n_train)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_summed_in_float32(dtype):
    w = keras.ops.cast(np.full((64, 64), 30.0), dtype)  # a sum of 3.7e6, which float16 cannot hold
    penalty = kv.WeightPrior(50)(w)
    assert keras.backend.standardize_dtype(penalty.dtype) == "float32"
    assert float(penalty) == 64 * 64 * 900 / 100


def test_a_layer_with_it_is_saved():
    layer = keras.layers.Dense(3, kernel_regularizer=kv.WeightPrior(50))
    config = keras.saving.serialize_keras_object(layer)
    loaded = keras.saving.deserialize_keras_object(config).kernel_regularizer
    assert isinstance(loaded, kv.WeightPrior)
    assert loaded.n_train == 50
