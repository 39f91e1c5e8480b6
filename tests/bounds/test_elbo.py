"""ELBO: against NumPy, estimators A and B against each other, and against a known log p(x)."""

import keras
import numpy as np
import pytest
from keras import ops
from linear_gaussian import (
    POSTERIOR_KERNEL,
    POSTERIOR_VARIANCE,
    B,
    linear_data,
    linear_model,
    log_marginal,
)
from scipy import special, stats

import keras_aevb as kv
from keras_aevb._backend import tfd

BOTH = pytest.mark.parametrize("kl", ["analytic", "sampled"])


# A variational autoencoder in NumPy, in float64


def affine(h, kernel, bias):
    return h @ kernel + bias


def numpy_elbo(weights, x, epsilon, kl, gaussian):
    """The bound of each example, in eqs. 6, 7, 10 and 12 of the paper, for ε of shape [L, B, Z]."""
    encoder, mean, log_variance, decoder, *likelihood = zip(weights[::2], weights[1::2])
    h = np.tanh(affine(x, *encoder))
    μ, log_σ2 = affine(h, *mean), affine(h, *log_variance)
    z = μ + np.exp(0.5 * log_σ2) * epsilon  # [L, B, Z]
    outputs = [affine(np.tanh(affine(z, *decoder)), *head) for head in likelihood]
    if gaussian:
        log_p = -0.5 * (np.log(2 * np.pi) + outputs[1] + (x - outputs[0]) ** 2 / np.exp(outputs[1]))
    else:
        log_p = x * special.log_expit(outputs[0]) + (1 - x) * special.log_expit(-outputs[0])
    reconstruction = log_p.sum(-1).mean(0)
    if kl == "analytic":
        return reconstruction + 0.5 * (1 + log_σ2 - μ**2 - np.exp(log_σ2)).sum(-1)
    log_q = -0.5 * (np.log(2 * np.pi) + log_σ2 + epsilon**2)
    log_prior = -0.5 * (np.log(2 * np.pi) + z**2)
    return reconstruction + (log_prior - log_q).sum(-1).mean(0)


def central_differences(f, arrays, step=1e-5):
    """df/darray by differences; in float64 the error is near step² = 1e-10."""
    gradients = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            value = array[index]
            array[index] = value + step
            above = f()
            array[index] = value - step
            gradient[index] = (above - f()) / (2 * step)
            array[index] = value
        gradients.append(gradient)
    return gradients


def random_weights(variables):
    rng = np.random.default_rng(3)
    return [rng.normal(0, 0.7, v.shape).astype("float32") for v in variables]


@BOTH
@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("gaussian", [False, True], ids=["bernoulli", "normal"])
def test_value_and_gradients_are_those_of_numpy(
    gaussian, num_samples, kl, make_model, gradients, noise, x
):
    bound = kv.ELBO(num_samples, kl)
    likelihood = kv.Normal(6) if gaussian else kv.Bernoulli(6)
    model = make_model(likelihood=likelihood, bound=bound)
    parts = (model.encoder, model.posterior, model.decoder, model.likelihood)
    variables = [v for part in parts for v in part.trainable_variables]
    for variable, value in zip(variables, random_weights(variables)):
        variable.assign(value)

    def elbo():
        prior = model.prior.distribution()
        return bound(x, model.encode(x), prior, model.decode, noise(5))["elbo"]

    q = model.encode(x)
    z = np.float64(q.sample(num_samples, seed=noise(5)))
    epsilon = (z - np.float64(q.mean())) / np.float64(q.stddev())
    weights = [np.float64(v.numpy()) for v in variables]

    def expected():
        return numpy_elbo(weights, np.float64(x), epsilon, kl, gaussian)

    # rtol: ε has float32's precision, and the terms of the bound partly cancel.
    np.testing.assert_allclose(elbo(), expected(), rtol=1e-4)
    received = gradients(lambda: ops.mean(elbo()), variables)
    for actual, desired in zip(received, central_differences(lambda: expected().mean(), weights)):
        # atol: where terms cancel, a small entry keeps the error of the large terms.
        np.testing.assert_allclose(actual, desired, rtol=1e-4, atol=1e-4 * np.abs(desired).max())


@BOTH
def test_terms_add_up(kl, make_model, noise, x):
    model = make_model()
    q, prior = model.encode(x), model.prior.distribution()
    terms = kv.ELBO(4, kl)(x, q, prior, model.decode, noise(0))
    assert set(terms) == set(kv.ELBO.terms)
    assert {tuple(v.shape) for v in terms.values()} == {(len(x),)}
    # rtol: one subtraction in float32
    difference = np.float64(terms["reconstruction"]) - np.float64(terms["kl"])
    np.testing.assert_allclose(terms["elbo"], difference, rtol=1e-6)


def test_estimators_agree_in_the_mean(make_model, noise, x):
    """The mean of the sampled divergence is the exact one, so A - B has the mean zero."""
    model = make_model(likelihood=kv.Normal(6))
    for variable, value in zip(model.weights, random_weights(model.weights)):
        variable.assign(value)
    many = np.repeat(x[:4], 5000, axis=0)  # each row has its own noise: 5000 draws with L = 1
    q, prior = model.encode(many), model.prior.distribution()
    values = {
        kl: np.float64(kv.ELBO(1, kl)(many, q, prior, model.decode, noise(seed))["elbo"])
        for seed, kl in enumerate(("sampled", "analytic"))
    }
    a, b = (v.reshape(4, 5000) for v in values.values())
    standard_error = np.sqrt((a.var(1) + b.var(1)) / 5000)
    assert np.all(standard_error > 0)
    # Five standard errors, four comparisons: odds 2e-6.
    assert np.all(np.abs(a.mean(1) - b.mean(1)) < 5 * standard_error)


# The linear-Gaussian model


def kl_from_posterior(shift, log_factor):
    terms = np.exp(log_factor) + shift**2 / POSTERIOR_VARIANCE - 1 - log_factor
    return 0.5 * terms.sum()


def elbo_of(model, x, kl, seed):
    prior = model.prior.distribution()
    bound = kv.ELBO(1, kl)
    return np.float64(bound(x, model.encode(x), prior, model.decode, seed)["elbo"])


def test_estimator_a_has_no_variance_at_the_posterior(make_model, noise):
    model, x = linear_model(make_model), linear_data(50)
    for seed in range(5):
        # atol: log p(x) near -5 is a difference of float32 terms of up to 50.
        np.testing.assert_allclose(
            elbo_of(model, x, "sampled", noise(seed)), log_marginal(x), atol=5e-5
        )


def test_estimator_b_has_log_p_as_its_mean_at_the_posterior(make_model, noise):
    model, x = linear_model(make_model), linear_data(4)
    values = elbo_of(model, np.repeat(x, 5000, 0), "analytic", noise(0)).reshape(4, 5000)
    standard_error = values.std(1) / 5000**0.5
    assert np.all(standard_error > 1e-3)
    # Five standard errors, four comparisons: odds 2e-6.
    assert np.all(np.abs(values.mean(1) - log_marginal(x)) < 5 * standard_error)


SHIFT, LOG_FACTOR = np.array([0.2, -0.3]), np.array([0.5, -0.4])


def test_single_samples_of_estimator_a_at_other_posteriors(make_model, noise):
    """For every sample: log p(x, z) - log q(z) = log p(x) + log p(z|x) - log q(z)."""
    model, x = linear_model(make_model, SHIFT, LOG_FACTOR), linear_data(50)
    z = np.float64(model.encode(x).sample(1, seed=noise(1))[0])
    posterior_mean = (x - B) @ POSTERIOR_KERNEL
    scale = np.sqrt(POSTERIOR_VARIANCE)
    log_posterior = stats.norm.logpdf(z, posterior_mean, scale).sum(1)
    log_q = stats.norm.logpdf(z, posterior_mean + SHIFT, scale * np.exp(0.5 * LOG_FACTOR)).sum(1)
    expected = log_marginal(x) + log_posterior - log_q
    # atol: as at the posterior
    np.testing.assert_allclose(elbo_of(model, x, "sampled", noise(1)), expected, atol=5e-5)


@BOTH
def test_bound_plus_divergence_is_log_p(kl, make_model, noise):
    model, x = linear_model(make_model, SHIFT, LOG_FACTOR), linear_data(4)
    values = elbo_of(model, np.repeat(x, 5000, 0), kl, noise(2)).reshape(4, 5000)
    gap = kl_from_posterior(SHIFT, LOG_FACTOR)
    standard_error = values.std(1) / 5000**0.5
    assert np.all(gap > 10 * standard_error)  # the test can detect the divergence
    # Five standard errors, four comparisons: odds 2e-6.
    assert np.all(np.abs(values.mean(1) + gap - log_marginal(x)) < 5 * standard_error)


def test_many_samples_narrow_the_same_bound(make_model):
    """The mean over L samples has the same expectation and 1/L of the variance."""
    model, x = linear_model(make_model, SHIFT, LOG_FACTOR), np.repeat(linear_data(1), 4000, 0)
    one, many = (np.float64(model.elbo(x, num_samples=n, seed=3)) for n in (1, 8))
    standard_error = np.sqrt((one.var() + many.var()) / 4000)
    assert abs(one.mean() - many.mean()) < 5 * standard_error  # odds 6e-7
    # The relative standard error of a variance is √((κ - 1)/4000), 2 % at a kurtosis κ of 3.
    assert 0.8 < one.var() / many.var() / 8 < 1.25


# Construction


@pytest.mark.parametrize("num_samples", [0, -1, 2.0, "3", None])
def test_num_samples_must_be_a_positive_integer(num_samples):
    with pytest.raises(ValueError, match="positive integer") as error:
        kv.ELBO(num_samples)
    assert str(num_samples) in str(error.value)


def test_num_samples_may_be_any_integer_type():
    assert kv.ELBO(np.int64(3)).num_samples == 3


@pytest.mark.parametrize("kl", ["exact", None, "Analytic"])
def test_kl_must_be_known(kl):
    with pytest.raises(ValueError, match="'analytic' or 'sampled'") as error:
        kv.ELBO(kl=kl)
    assert repr(kl) in str(error.value)


def test_config_round_trip():
    bound = kv.ELBO(5, "sampled")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(bound))
    assert isinstance(copy, kv.ELBO)
    assert (copy.num_samples, copy.kl) == (5, "sampled")


class Laplace(kv.DiagonalNormal):
    """A distribution without a registered KL divergence from a normal."""

    def distribution(self, mean, log_scale):
        from keras_aevb._backend import tfp

        return tfp.distributions.Independent(
            tfp.distributions.Laplace(mean, ops.exp(log_scale)), len(self.event_shape)
        )


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep])
def test_unknown_divergence_is_refused_where_it_is_needed(algorithm, make_model):
    with pytest.raises(ValueError, match=r"no closed form.*kl='sampled'") as error:
        make_model(algorithm, posterior=Laplace(2), bound=kv.ELBO(kl="analytic"))
    assert "Laplace" in str(error.value)


def test_unknown_divergence_can_be_sampled(make_model, x):
    model = make_model(posterior=Laplace(2), bound=kv.ELBO(kl="sampled"))
    assert np.all(np.isfinite(model.elbo(x, seed=0)))


def test_a_divergence_without_its_parameter_is_sampled(noise):
    """TFP's formula for Weibull and Gamma needs a rate; this Gamma has its logarithm."""
    q = tfd.Independent(tfd.Weibull([[2.0]], [[1.5]]), 1)
    prior = tfd.Independent(tfd.Gamma([2.0], log_rate=[0.3]), 1)
    bound = kv.ELBO(num_samples=20_000)
    bound.check(q, prior)
    assert bound.kl_estimator == "sampled"
    decode = lambda z: tfd.Independent(tfd.Normal(z, 1.0), 1)  # noqa: E731
    received = bound(np.zeros((1, 1), "float32"), q, prior, decode, noise(0))["kl"]
    weibull = stats.weibull_min(2.0, scale=1.5)
    gamma = stats.gamma(2.0, scale=np.exp(-0.3))
    expected = weibull.expect(lambda z: weibull.logpdf(z) - gamma.logpdf(z))
    # log q - log p has a spread of 0.6: five standard errors of 20 000 samples
    np.testing.assert_allclose(received, [expected], atol=0.02)
