"""The paper's estimator (App. D)."""

import warnings

import keras
import numpy as np
import pytest
from scipy import stats

import keras_aevb as kv
from keras_aevb.marginal_likelihood.posterior_density import likely_points


@pytest.fixture(scope="module")
def estimates(linear_gaussian):
    lg = linear_gaussian(400)
    values, errors = lg.model.log_likelihood(
        lg.x, method="density", seed=0, return_standard_error=True
    )
    return values - lg.log_likelihood, errors


def test_the_mean_reciprocal_weight_is_one_over_p(estimates):
    """Four standard errors of the mean over 400 examples: probability 1e-4."""
    ratio = np.exp(-estimates[0])
    error = ratio.std() / np.sqrt(400)
    assert error < 0.01
    assert abs(ratio.mean() - 1) < 4 * error


def test_standard_errors_are_calibrated(estimates):
    """Errors over standard errors follow a t distribution with 9 degrees of freedom: 10 chains."""
    error, standard_error = estimates
    z = abs(error / standard_error)
    t = stats.t(9)
    assert 0.04 < np.median(standard_error) < 0.1
    for threshold in (2, 3):
        expected = t.cdf(threshold) - t.cdf(-threshold)  # 0.923, 0.985
        # Three standard errors of a fraction of 400, and a hundredth for skewed weights
        assert (z < threshold).mean() > expected - 3 * np.sqrt(
            expected / 400 * (1 - expected)
        ) - 0.01


@pytest.mark.slow
def test_more_samples_are_more_precise(estimates, linear_gaussian):
    lg = linear_gaussian(100)
    values = lg.model.log_likelihood(lg.x, 200, "density", seed=0)
    # Four times the samples and a better density: a spread of 0.03 instead of 0.07
    assert (values - lg.log_likelihood).std() < 0.8 * estimates[0].std()


@pytest.mark.slow
def test_chains_start_where_the_posterior_is(linear_gaussian, noise):
    """p(z) weighted by p(x|z) is p(z|x), up to the finite number of candidates."""
    lg = linear_gaussian(100)
    z = likely_points(lg.x, lg.model.prior.distribution(), lg.model.decode, 200, noise(0))
    z = np.asarray(z)
    assert z.shape == (200, 100, 2)
    # Some hundreds of the 10 000 candidates fall in a posterior, and 200 are drawn: the means are
    # accurate to a tenth of the posterior's standard deviation
    assert np.abs((z.mean(axis=0) - lg.means) / np.sqrt(lg.variances)).mean() < 0.15
    assert 0.8 < (z.var(axis=0) / lg.variances).mean() < 1.2


@pytest.mark.slow
def test_unreliable_in_five_dimensions(make_model, x):
    quick = kv.PosteriorDensity(4, 2, 2, 1)
    model = make_model(posterior=kv.DiagonalNormal(5))
    for _ in range(2):  # at every call, not only at the first
        with pytest.warns(UserWarning, match=r"below 5 latent.*of 5 dimensions") as caught:
            model.log_likelihood(x, method=quick)
        [warning] = [w for w in caught if w.category is UserWarning]
        assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick.check(None, kv.StandardNormal(4).distribution())
        kv.AnnealedImportanceSampling().check(None, model.prior.distribution())


def test_one_chain_has_no_held_out_samples():
    with pytest.raises(ValueError, match=r"`num_chains` to be at least 2\. Received: 1"):
        kv.PosteriorDensity(num_chains=1)


@pytest.mark.slow
def test_latents_with_two_axes(linear_gaussian):
    """z of shape [2, 1] in place of [2]."""
    lg = linear_gaussian(100)
    folded = kv.AEVB(
        encoder=lg.model.encoder,
        decoder=keras.Sequential([keras.layers.Flatten()]),
        posterior=kv.DiagonalNormal((2, 1)),
        likelihood=lg.model.likelihood,
        seed=0,
    )
    for method in (kv.PosteriorDensity(), kv.AnnealedImportanceSampling(10, 100)):
        error = folded.log_likelihood(lg.x, method=method, seed=0) - lg.log_likelihood
        assert abs(error).mean() < 0.5  # each to about 0.2 nats
