"""p(z)."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_aevb as kv
from keras_aevb import _backend


@pytest.mark.parametrize("event_shape", [(1,), (4,), (2, 3)])
def test_standard_normal_log_density(event_shape):
    z = np.random.default_rng(0).normal(size=(6, *event_shape)).astype("float32")
    prior = kv.StandardNormal(event_shape).distribution()
    assert tuple(prior.batch_shape) == ()
    assert tuple(prior.event_shape) == event_shape
    size = int(np.prod(event_shape))
    expected = stats.multivariate_normal(np.zeros(size)).logpdf(z.reshape(6, size))
    # rtol: float32's rounding over the sum
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)


def test_standard_normal_far_out():
    log_prob = kv.StandardNormal(2).distribution().log_prob([1e4, 0.0])
    np.testing.assert_allclose(float(log_prob), -0.5e8 - np.log(2 * np.pi), rtol=1e-6)


def test_standard_normal_samples(noise):
    z = kv.StandardNormal((2, 3)).distribution().sample(20_000, seed=noise(0))
    z = np.float64(z).reshape(20_000, 6)
    # Five standard errors: 1/√n of a mean, √2/√n of a variance, 1/√n of a covariance;
    # 27 comparisons: odds 2e-5.
    np.testing.assert_allclose(z.mean(0), 0, atol=5 / 20_000**0.5)
    np.testing.assert_allclose(np.cov(z.T), np.eye(6), atol=5 * (2 / 20_000) ** 0.5)


def test_standard_normal_has_no_weights():
    prior = kv.StandardNormal(5)
    assert prior.built
    assert prior.weights == []


def test_config_round_trip():
    prior = kv.StandardNormal((2, 3), name="p")
    config = keras.saving.serialize_keras_object(prior)
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, kv.StandardNormal)
    assert copy.event_shape == (2, 3)
    assert keras.saving.serialize_keras_object(copy) == config


def test_an_integer_is_a_vector():
    assert kv.StandardNormal(3).event_shape == (3,)
    assert kv.StandardNormal(np.int64(3)).event_shape == (3,)


@pytest.mark.parametrize("shape", [0, (2, -1), 1.5])
def test_event_shape_must_be_positive_integers(shape):
    with pytest.raises(ValueError, match="positive integer") as error:
        kv.StandardNormal(shape)
    assert str(shape) in str(error.value)


class Shifted(kv.Prior):
    """N(μ, I) with a trainable μ."""

    def __init__(self, event_shape, **kwargs):
        super().__init__(event_shape, **kwargs)
        self.mean = self.add_weight(shape=self.event_shape, initializer="zeros", name="mean")

    def distribution(self):
        tfd = _backend.tfp.distributions
        mean = ops.convert_to_tensor(self.mean)
        return tfd.Independent(tfd.Normal(mean, ops.ones_like(mean)), 1)


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep])
def test_a_prior_may_have_trainable_weights(algorithm, make_model, x):
    """d(-KL)/dμ₀ = E[z] - μ₀: one SGD step moves the prior's mean to lr · the batch's mean of μ."""
    model = make_model(algorithm, prior=Shifted(2))
    assert any(v is model.prior.mean for v in model.trainable_variables)
    means = np.asarray(model.encode(x).mean())
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(x, batch_size=len(x), verbose=0)
    # rtol: float32 over a batch of 13; atol: the entries may cancel
    np.testing.assert_allclose(model.prior.mean.numpy(), 0.5 * means.mean(0), rtol=1e-4, atol=1e-6)
