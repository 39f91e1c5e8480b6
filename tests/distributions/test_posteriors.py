"""q(z|x): densities against scipy, the divergence against App. B, gradients through samples."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb.tfp_classes import Normal


def random_parameters(batch, event_shape, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(batch, *event_shape)).astype("float32")
    log_variance = rng.normal(size=(batch, *event_shape)).astype("float32")
    return mean, log_variance


def distribution(mean, log_variance):
    posterior = kv.DiagonalNormal(mean.shape[1:])
    return posterior.distribution(*map(ops.convert_to_tensor, (mean, log_variance)))


def kl_from_standard_normal(mean, log_variance):
    """App. B of the paper."""
    mean, log_variance = np.float64(mean), np.clip(np.float64(log_variance), -20, 20)
    terms = 1 + log_variance - mean**2 - np.exp(log_variance)
    return -0.5 * terms.reshape(len(mean), -1).sum(1)


@pytest.mark.parametrize("event_shape", [(1,), (5,), (2, 3)])
def test_log_density(event_shape):
    mean, log_variance = random_parameters(4, event_shape)
    z = np.random.default_rng(1).normal(size=mean.shape).astype("float32")
    per_latent = stats.norm.logpdf(np.float64(z), mean, np.exp(0.5 * np.float64(log_variance)))
    q = distribution(mean, log_variance)
    assert tuple(q.batch_shape) == (4,)
    assert tuple(q.event_shape) == event_shape
    # rtol: float32's 6e-8 times the terms of the sum and the exponential's error
    np.testing.assert_allclose(q.log_prob(z), per_latent.reshape(4, -1).sum(1), rtol=1e-5)


@pytest.mark.parametrize("event_shape", [(1,), (5,), (2, 3)])
def test_kl_is_appendix_b(event_shape):
    mean, log_variance = random_parameters(50, event_shape)
    q, p = distribution(mean, log_variance), kv.StandardNormal(event_shape).distribution()
    expected = kl_from_standard_normal(mean, log_variance)
    # atol: the divergence is a sum of terms near 1 that may cancel.
    np.testing.assert_allclose(q.kl_divergence(p), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("log_variance", [-25.0, -20.0, -10.0, 10.0, 20.0, 25.0])
def test_kl_at_the_edges(log_variance):
    mean, log_variance = np.float32([[0.0, 100.0]]), np.full((1, 2), log_variance, "float32")
    kl = distribution(mean, log_variance).kl_divergence(kv.StandardNormal(2).distribution())
    np.testing.assert_allclose(kl, kl_from_standard_normal(mean, log_variance), rtol=1e-5)


def test_kl_vanishes_at_the_prior():
    q = distribution(np.zeros((3, 2), "float32"), np.zeros((3, 2), "float32"))
    np.testing.assert_array_equal(q.kl_divergence(kv.StandardNormal(2).distribution()), 0.0)


def test_kl_is_the_mean_of_the_log_ratio(noise):
    mean, log_variance = random_parameters(10, (3,))
    q, p = distribution(mean, log_variance), kv.StandardNormal(3).distribution()
    z = q.sample(20_000, seed=noise(0))
    log_ratio = np.float64(q.log_prob(z) - p.log_prob(z))  # [L, B]
    standard_error = log_ratio.std(0) / len(log_ratio) ** 0.5
    # Five standard errors, ten comparisons: odds 6e-6.
    difference = log_ratio.mean(0) - kl_from_standard_normal(mean, log_variance)
    assert np.all(np.abs(difference) < 5 * standard_error)


def test_samples_have_the_posterior_moments(noise):
    mean, log_variance = random_parameters(10, (3,))
    z = np.float64(distribution(mean, log_variance).sample(20_000, seed=noise(0)))
    assert z.shape == (20_000, 10, 3)
    standardised = (z - mean) / np.exp(0.5 * np.float64(log_variance))
    # Five standard errors of mean (1/√n) and variance (√(2/n)), 60 comparisons: odds 3e-5.
    np.testing.assert_allclose(standardised.mean(0), 0, atol=5 / 20_000**0.5)
    np.testing.assert_allclose(standardised.var(0), 1, atol=5 * (2 / 20_000) ** 0.5)


# TensorFlow's generator orders its numbers differently within XLA.
COMPILED = pytest.mark.parametrize(
    "how", [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}]
)


def standard_normal_noise(model, how, seeds, n):
    """Noise from each seed, of shape `[len(seeds), n]`."""
    model.compile("sgd", **how)
    p = kv.StandardNormal(n).distribution()
    program = _backend.compiled(model, lambda seed: p.sample(seed=seed))
    return np.stack([ops.convert_to_numpy(program(seed)) for seed in seeds])


@COMPILED
def test_noise_is_standard_normal(how, make_model, noise):
    values = standard_normal_noise(make_model(), how, [noise(0)], 100_000).ravel()
    # One draw in 10,000 would fail by chance; the seed is fixed.
    assert stats.kstest(values, "norm").pvalue > 1e-4
    assert len(np.unique(values)) > 99_000  # float32 has few numbers in the tails


@COMPILED
def test_noise_of_neighbouring_seeds_is_independent(how, make_model):
    """Keras' generators increment their seeds, so keys may differ in one bit."""
    generators = [keras.random.SeedGenerator(n) for n in range(3, 8)]
    seeds = [_backend.next_seed(generator) for generator in generators for _ in range(5)]
    values = standard_normal_noise(make_model(), how, seeds, 5000)
    correlations = np.corrcoef(values)[np.triu_indices(len(seeds), 1)]
    # Five standard errors, 1/√n each, for 300 pairs: odds 2e-4.
    assert np.abs(correlations).max() < 5 / 5000**0.5
    # The first numbers of all seeds: odds 1e-4.
    assert stats.kstest(values[:, 0], "norm").pvalue > 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_has_the_precision_of_the_parameters(dtype, noise):
    loc = np.zeros(3, dtype)
    values = np.asarray(Normal(loc, loc + 1).sample(2, seed=noise(0)))
    assert values.dtype == (dtype if keras.backend.backend() == "tensorflow" else "float32")
    assert values.shape == (2, 3)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has only explicit keys")
def test_any_tfp_seed_is_accepted():
    p = kv.StandardNormal(4).distribution()
    expected = p.sample(2, seed=ops.convert_to_tensor([5, 7], "int32"))
    np.testing.assert_array_equal(p.sample(2, seed=[5, 7]), expected)
    np.testing.assert_array_equal(p.sample(2, seed=np.array([5, 7])), expected)
    assert not np.array_equal(p.sample(2), p.sample(2))  # from TensorFlow's own state
    assert p.sample(2, seed=3).shape == (2, 4)


def test_gradient_passes_through_samples(gradients, noise):
    """z = μ + σ ε: dz/dμ = 1 and dz/d log σ² = (z - μ) / 2."""
    posterior, seed = kv.DiagonalNormal(3), noise(7)
    mean, log_variance = map(keras.Variable, random_parameters(4, (3,)))

    def sample():
        parameters = map(ops.convert_to_tensor, (mean, log_variance))
        return posterior.distribution(*parameters).sample(seed=seed)

    z = np.asarray(sample())
    by_mean, by_log_variance = gradients(lambda: ops.sum(sample()), [mean, log_variance])
    np.testing.assert_array_equal(by_mean, 1.0)
    # atol: z - μ loses digits by cancellation.
    expected = 0.5 * (z - mean.numpy())
    np.testing.assert_allclose(by_log_variance, expected, rtol=1e-5, atol=1e-6)


def test_gradient_of_kl(gradients):
    """Derivatives of App. B: μ and (σ² - 1) / 2, or zero where the log-variance is clipped."""
    posterior, prior = kv.DiagonalNormal(3), kv.StandardNormal(3).distribution()
    mean, log_variance = random_parameters(4, (3,))
    log_variance[0] = 25.0
    variables = [keras.Variable(mean), keras.Variable(log_variance)]

    def kl():
        parameters = map(ops.convert_to_tensor, variables)
        return ops.sum(posterior.distribution(*parameters).kl_divergence(prior))

    by_mean, by_log_variance = gradients(kl, variables)
    expected = 0.5 * np.expm1(np.float64(log_variance))
    expected[0] = 0.0
    np.testing.assert_allclose(by_mean, mean, rtol=1e-5)
    # atol: σ² - 1 near σ = 1
    np.testing.assert_allclose(by_log_variance, expected, rtol=1e-5, atol=1e-6)


def test_layer_computes_its_parameters_from_features():
    posterior = kv.DiagonalNormal((2, 3))
    features = np.random.default_rng(0).normal(size=(4, 7)).astype("float32")
    parameters = posterior(features)
    assert posterior.count_params() == 2 * (7 * 6 + 6)
    for head, parameter in zip(("mean", "log_variance"), parameters):
        kernel, bias = posterior.heads[head].get_weights()
        expected = (np.float64(features) @ kernel + bias).reshape(4, 2, 3)
        np.testing.assert_allclose(parameter, expected, rtol=1e-5, atol=1e-6)  # atol: cancellation


def test_config_round_trip():
    posterior = kv.DiagonalNormal((2, 3), mean=keras.layers.Dense(6, "tanh"), name="q")
    config = keras.saving.serialize_keras_object(posterior)
    copy = keras.saving.deserialize_keras_object(config)
    assert isinstance(copy, kv.DiagonalNormal)
    assert keras.saving.serialize_keras_object(copy) == config
    assert copy.heads["mean"].activation is keras.activations.tanh


def test_mixed_precision_keeps_float32_densities(noise):
    posterior = kv.DiagonalNormal(3, dtype="mixed_float16")
    q = posterior.distribution(*posterior(np.ones((2, 4), "float32")))
    z = q.sample(seed=noise(0))
    kl = q.kl_divergence(kv.StandardNormal(3, dtype="mixed_float16").distribution())
    dtypes = {keras.backend.standardize_dtype(v.dtype) for v in (z, q.log_prob(z), kl)}
    assert dtypes == {"float32"}


def test_a_head_must_have_the_size_of_z():
    with pytest.raises(ValueError, match="log_variance") as error:
        kv.DiagonalNormal(3, log_variance=keras.layers.Dense(1)).build((None, 7))
    assert "(3,)" in str(error.value)
    assert "(None, 1)" in str(error.value)
