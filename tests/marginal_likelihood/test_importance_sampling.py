"""Importance sampling: exact if q(z|x) is exact, otherwise with calibrated standard errors."""

import itertools

import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp
from scipy.stats import norm

import keras_aevb as kv
from keras_aevb._backend import tfp
from keras_aevb.marginal_likelihood.log_mean import RunningMean, log_mean_exp


@pytest.mark.parametrize("num_samples", [2, 10, 101])
def test_the_exact_posterior_gives_log_p_without_variance(num_samples, linear_gaussian):
    lg = linear_gaussian(50)
    values, errors = lg.model.log_likelihood(lg.x, num_samples, return_standard_error=True)
    # log p(x) is about 10 nats, a sum of 10 terms in float32
    np.testing.assert_allclose(values, lg.log_likelihood, atol=2e-5)
    assert errors.max() < 1e-5


def test_a_single_sample_has_no_standard_error(linear_gaussian):
    lg = linear_gaussian(5)
    values, errors = lg.model.log_likelihood(lg.x, 1, return_standard_error=True)
    np.testing.assert_allclose(values, lg.log_likelihood, atol=2e-5)  # as above
    assert np.isnan(errors).all()


def test_log_mean_exp_by_hand():
    log_w = np.random.default_rng(0).normal(size=(20, 3)).astype("float32") - 500
    w = np.exp(log_w.astype("float64") + 500)
    value, error = map(np.asarray, log_mean_exp(ops.array(log_w)))
    np.testing.assert_allclose(value, np.log(w.mean(axis=0)) - 500, rtol=1e-6)  # float32
    np.testing.assert_allclose(
        error, w.std(axis=0, ddof=1) / w.mean(axis=0) / np.sqrt(20), rtol=1e-3
    )  # exp of float32 near -500 keeps 4 digits


@pytest.mark.parametrize("offset", [0, -1e4, -1e6, 3e4])
@pytest.mark.parametrize("deviation", [0, 1e-3, 2])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_a_mean_in_chunks(size, deviation, offset):
    """As accurate as the weights, which have the spacing of float32 near `offset`."""
    log_w = np.random.default_rng(0).normal(offset, deviation, (100, 3)).astype("float32")
    mean = RunningMean.empty(3, "float32")
    for start in range(0, 100, size):
        part = log_w[start : start + size]
        left_out = np.full((size - len(part), 3), 1e6, "float32")
        included = np.arange(size) < len(part)
        mean = mean.updated(ops.array(np.concatenate([part, left_out])), ops.array(included))
    log_w = log_w.astype("float64")
    w = np.exp(log_w - offset)
    expected = logsumexp(log_w, axis=0) - np.log(100)
    np.testing.assert_allclose(mean.log_mean, expected, rtol=2e-7, atol=1e-6)
    error = w.std(axis=0, ddof=1) / w.mean(axis=0) / 10
    np.testing.assert_allclose(mean.standard_error, error, rtol=1e-3, atol=1e-8)


class Grid(tfp.distributions.Normal):
    """A standard normal whose samples are given points."""

    def _sample_n(self, n, seed=None):
        points = ops.reshape(ops.linspace(-1.0, 1.0, int(n)), (-1, *[1] * len(self.batch_shape)))
        return ops.broadcast_to(points, (int(n), *self.batch_shape))


@pytest.mark.parametrize("num_samples, chunks, size", [(7, 1, 7), (50, 1, 50), (101, 3, 34)])
def test_samples_in_chunks_by_hand(num_samples, chunks, size, noise):
    """101 samples are three chunks of 34; the last sample is left out."""
    x = np.array([[0.3], [-2.0]], "float32")
    q = tfp.distributions.Independent(Grid(ops.zeros((2, 1)), 1.0), 1)
    prior = tfp.distributions.Independent(tfp.distributions.Normal(ops.zeros(1), 1.0), 1)
    estimates = kv.ImportanceSampling(num_samples)(
        ops.array(x),
        q,
        prior,
        lambda z: tfp.distributions.Independent(tfp.distributions.Normal(2 * z, 0.7), 1),
        noise(0),
    )
    z = np.tile(np.linspace(-1, 1, size), chunks)[:num_samples]  # p(z) = q(z|x)
    log_w = norm(2 * z, 0.7).logpdf(x)  # [B, L]
    expected = logsumexp(log_w, axis=1) - np.log(num_samples)
    # float32 densities of about 10 nats
    np.testing.assert_allclose(estimates["log_likelihood"], expected, atol=1e-5)


def test_estimates_and_their_errors(linear_gaussian):
    """Normal z-scores: each bound is exceeded with odds below 3e-4."""
    lg = linear_gaussian(400, scale=1.5)
    values, errors = lg.model.log_likelihood(lg.x, 500, seed=0, return_standard_error=True)
    z = (values - lg.log_likelihood) / errors
    assert abs(z.mean()) < 4 / np.sqrt(400)
    assert abs((z**2).mean() - 1) < 4 * np.sqrt(2 / 400)
    assert abs(z).max() < 5
    assert errors.max() < 0.1


def test_between_the_elbo_and_log_p(linear_gaussian):
    """The gap of the ELBO is KL(q(z|x) || p(z|x)), log(1/s) + (s² - 1)/2 per dimension."""
    lg = linear_gaussian(400, scale=2.0)
    gap = 2 * (np.log(1 / 2) + 1.5)
    few, many = (lg.model.log_likelihood(lg.x, n, seed=0) - lg.log_likelihood for n in (5, 500))
    # Five standard errors: those of the means over 400 examples are below 0.05 and 0.005
    assert -gap + 0.25 < few.mean() < many.mean() - 0.1
    assert abs(many.mean()) < 0.025


def test_latent_classes(make_model, x):
    """z are integers; log p(x) is a sum over all of them."""
    model = make_model(
        posterior=kv.Conditional("Categorical", 2, num_classes=3),
        prior=kv.Unconditional("Categorical", 2, num_classes=3),
        bound=kv.ScoreFunctionELBO(4, baseline="leave-one-out"),
    )
    z = np.array([*itertools.product(range(3), repeat=2)], "int32")
    log_prior = np.asarray(model.prior_distribution().log_prob(z))
    log_p = np.asarray(model.decode(z[:, None]).log_prob(x[None])) + log_prior[:, None]
    values, errors = model.log_likelihood(x, 2000, seed=0, return_standard_error=True)
    assert (errors < 0.05).all()
    # 13 examples at 5 standard errors: odds 7e-6
    assert (np.abs(values - logsumexp(log_p, axis=0)) < 5 * errors).all()
    assert model.report(x, num_samples=50, seed=0, verbose=False).log_likelihood is not None
