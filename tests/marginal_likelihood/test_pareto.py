"""Pareto k̂: the fit, and the warning of importance sampling."""

import warnings

import numpy as np
import pytest
from scipy import stats

import keras_aevb as kv
from keras_aevb.marginal_likelihood import pareto


def tails(k, num_examples, size=300, seed=0):
    """Unordered log weights: the threshold 2, and 2 plus generalised Pareto samples."""
    rng = np.random.default_rng(seed)
    draws = stats.genpareto(k, scale=0.7).rvs((num_examples, size), random_state=rng)
    return np.log(np.concatenate([draws + 2.0, np.full((num_examples, 1), 2.0)], axis=1))


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.7, 1.5])
def test_the_fit_is_that_of_maximum_likelihood(k):
    """Up to the fit's weak prior, which moves k̂ towards 1/2 with weight 10 / 310."""
    log_weights = tails(k, 20)
    values = pareto.pareto_k(log_weights)
    fits = [
        stats.genpareto.fit(np.exp(row[:-1]) - 2, floc=0)[0] * 300 / 310 + 0.5 * 10 / 310
        for row in log_weights
    ]
    np.testing.assert_allclose(values, fits, atol=0.04)


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.7, 1.5])
def test_the_fit_recovers_k(k):
    """Four standard errors of the mean of 200 fits; each has a variance of (1 + k)² / 300."""
    values = pareto.pareto_k(tails(k, 200, seed=1))
    expected = (300 * k + 5) / 310
    # and 0.02 for the bias of the fit
    assert abs(values.mean() - expected) < 4 * (1 + k) / np.sqrt(300 * 200) + 0.02


def test_the_fit_depends_on_neither_scale_nor_order():
    log_weights = tails(0.7, 5)
    values = pareto.pareto_k(log_weights)
    np.testing.assert_allclose(pareto.pareto_k(log_weights[:, ::-1] - 1000), values, rtol=1e-6)


@pytest.mark.parametrize(
    "log_weights, expected",
    [
        (np.zeros(100), -np.inf),  # an exact q(z|x)
        (np.r_[0, np.full(99, -2000.0)], np.inf),  # one sample has all the weight
        (np.r_[0, -np.inf * np.ones(99)], np.inf),
        (np.r_[np.zeros(5), np.nan], np.nan),
        (np.zeros(5), np.nan),  # too few
    ],
)
def test_weights_without_a_fit(log_weights, expected):
    np.testing.assert_array_equal(pareto.pareto_k(log_weights[None]), [expected])


def test_equal_weights_of_a_discrete_z_are_bounded():
    log_weights = np.log(np.r_[np.full(10, 1.0), np.full(85, 0.5)])[None]
    assert pareto.pareto_k(log_weights) < 0.5


@pytest.mark.parametrize("n", range(90, 125))
def test_a_tail_of_equal_weights(n):
    """With 100 to 120 of them, one candidate of the fit is the exponential distribution."""
    assert pareto._fit(np.full(n, 0.0625)) < 0.5


@pytest.mark.parametrize("n, size", [(1, 1), (20, 4), (100, 20), (225, 45), (1000, 95)])
def test_tail_sizes(n, size):
    assert pareto.tail_size(n) == size


def shifted(linear_gaussian, shift, num_examples):
    """q(z|x) is p(z|x) with 0.3 of its width, shifted by `shift` standard deviations.

    Returns the model with its exact values, and a function that restores the weights.
    """
    lg = linear_gaussian(num_examples, scale=0.3)
    head = lg.model.posterior.heads["mean"]
    kernel, bias = head.get_weights()
    head.set_weights([kernel, bias + shift * np.sqrt(lg.variances)])
    return lg, lambda: head.set_weights([kernel, bias])


def test_a_poor_posterior_is_reported(linear_gaussian):
    """Estimates are several nats too low, and their standard errors do not show it."""
    lg, restore = shifted(linear_gaussian, 4.0, 20)
    try:
        with pytest.warns(UserWarning, match=r"of 20 of 20 .*k̂.*annealed") as caught:
            values, errors = lg.model.log_likelihood(
                lg.x, 20_000, seed=0, return_standard_error=True, batch_size=20
            )
        [warning] = [w for w in caught if w.category is UserWarning]
        assert warning.filename == __file__
        error = lg.log_likelihood - values
        assert error.mean() > 5 and np.median(error / errors) > 5
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            annealed = kv.AnnealedImportanceSampling(10, 100)
            better = lg.model.log_likelihood(lg.x, method=annealed, seed=0)
        assert abs(better - lg.log_likelihood).mean() < 0.5
    finally:
        restore()


def test_a_good_posterior_gives_no_warning(linear_gaussian):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for scale in (1.0, 1.5):
            lg = linear_gaussian(50, scale=scale)
            for num_samples in (1, 5, 100, 1000):
                lg.model.log_likelihood(lg.x, num_samples, seed=0)


def test_the_largest_weights_are_those_of_all_samples(linear_gaussian):
    """1037 samples are 21 chunks of 50; 13 samples are left out."""
    lg = linear_gaussian(10, scale=1.5)
    estimates = lg.model.estimates(kv.ImportanceSampling(1037), lg.x, 10, 0, None)
    largest = estimates["largest_log_weights"].astype("float64")
    assert largest.shape == (10, pareto.tail_size(1037) + 1)
    assert (np.diff(largest) <= 0).all()
    # Bounded weights: the tail's share of the total weight exceeds its share of the samples.
    share = np.exp(largest).sum(axis=1) / 1037 / np.exp(estimates["log_likelihood"])
    assert (share > pareto.tail_size(1037) / 1037).all() and (share < 1).all()
