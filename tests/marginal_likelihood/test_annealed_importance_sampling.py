"""Annealed importance sampling: its mean weight is p(x) for any number of steps."""

import numpy as np
import pytest

import keras_aevb as kv


@pytest.mark.parametrize("num_samples, num_steps", [(1, 200), (10, 50)])
def test_the_mean_weight_is_p(num_samples, num_steps, linear_gaussian):
    """Four standard errors of the mean over 2000 examples: probability 1e-4."""
    lg = linear_gaussian(2000)
    method = kv.AnnealedImportanceSampling(num_samples, num_steps)
    ratio = np.exp(lg.model.log_likelihood(lg.x, method=method, seed=1) - lg.log_likelihood)
    error = ratio.std() / np.sqrt(2000)
    assert error < 0.02
    assert abs(ratio.mean() - 1) < 4 * error


def test_estimates_and_their_errors(linear_gaussian):
    """On average the log of the mean weight is low by half its variance; z corrects for this."""
    lg = linear_gaussian(200)
    values, errors = lg.model.log_likelihood(
        lg.x, 50, "annealed", seed=0, return_standard_error=True
    )
    z = (values - lg.log_likelihood + errors**2 / 2) / errors
    assert abs(z.mean()) < 5 / np.sqrt(200)  # probability 1e-6 for normal z-scores
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / 200)  # likewise
    assert errors.max() < 0.3


@pytest.mark.slow
def test_more_steps_are_more_precise(linear_gaussian):
    lg = linear_gaussian(100)
    errors = [
        lg.model.log_likelihood(
            lg.x, method=kv.AnnealedImportanceSampling(10, n), seed=0, return_standard_error=True
        )[1].mean()
        for n in (50, 400)
    ]
    # The variance falls as 1/K, the error by √8; means over 100 examples are accurate to 5 %
    assert 1.6 < errors[0] / errors[1] < 5
