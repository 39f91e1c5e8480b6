"""Estimators of log p(x) for every kind of support of z, against quadrature."""

import numpy as np
import pytest
import supports

import keras_aevb as kv
from keras_aevb.marginal_likelihood import annealed_importance_sampling, posterior_density

FAMILIES = [name for name in supports.PRIORS if name not in ("Sample", "flow")]


@pytest.mark.parametrize("method", ["annealed", "density"])
@pytest.mark.parametrize("family", FAMILIES)
def test_log_likelihood_agrees_with_quadrature(family, method):
    """20 examples; in z's own coordinates the errors were up to 85 000 nats."""
    x = supports.examples(family, 20)
    model = supports.make(family)
    values, errors = model.log_likelihood(x, method=method, seed=0, return_standard_error=True)
    error = values - supports.exact(family, x)[0]
    # Four standard errors; single errors have a spread of 0.15 nats, as with a normal prior.
    assert abs(error.mean()) < 4 * 0.15 / np.sqrt(20)
    # With 9 degrees of freedom and skewed weights, an error exceeds three standard errors with
    # probability 4 %: more than four of 20 with probability 1e-3.
    assert (abs(error) > 3 * errors).sum() <= 4
    assert errors.max() < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, "one-hot", "von Mises–Fisher"])
def test_importance_sampling_agrees_with_quadrature(family, noise):
    """With q(z|x) = p(z) the weights are bounded; also for discrete z and directions."""
    x = supports.examples(family, 20)
    model = supports.make(family)
    prior = model.prior_distribution()
    q = supports.tfd.BatchBroadcast(prior, [20])
    estimates = kv.ImportanceSampling(10_000)(x, q, prior, model.decode, noise(0))
    error = np.asarray(estimates["log_likelihood"]) - supports.exact(family, x)[0]
    # More than two of 20 normal z-scores lie beyond three with probability 2e-5, or slightly more
    # for skewed weights with a few hundred effective samples.
    assert (abs(error) > 3 * np.asarray(estimates["standard_error"])).sum() <= 2
    assert abs(error).max() < 0.2  # standard errors are below 0.08


@pytest.mark.parametrize(
    "method, module",
    [
        (kv.AnnealedImportanceSampling(3, 20), annealed_importance_sampling),
        (kv.PosteriorDensity(), posterior_density),
    ],
)
def test_a_normal_prior_keeps_its_coordinates(method, module, make_model, x, monkeypatch):
    """The estimates are bitwise equal to those without the change of coordinates."""
    values = make_model().log_likelihood(x, method=method, seed=0)
    monkeypatch.setattr(module, "unconstrained", lambda prior, decode: (prior, decode))
    plain = make_model().log_likelihood(x, method=method, seed=0)
    np.testing.assert_array_equal(values, plain)


@pytest.mark.parametrize("method", ["annealed", "density"])
@pytest.mark.parametrize("family", supports.REFUSED)
def test_priors_without_coordinates_are_refused(family, method):
    model = supports.make(family)
    with pytest.raises(ValueError, match=r'Received: tfp\.distributions.*method="importance"'):
        model.log_likelihood(np.zeros((2, 4)), method=method)


def test_dimensions_are_those_of_the_coordinates(recwarn):
    """Five numbers that sum to one have four unconstrained coordinates."""
    kv.PosteriorDensity().check(None, supports.tfd.Dirichlet([1.0] * 5))
    assert not [w for w in recwarn.list if w.category is UserWarning]
    with pytest.warns(UserWarning, match="of 5 dimensions"):
        kv.PosteriorDensity().check(None, supports.tfd.Dirichlet([1.0] * 6))


@pytest.mark.slow
@pytest.mark.parametrize("method", [kv.AnnealedImportanceSampling(4, 100), kv.PosteriorDensity()])
def test_scalar_events(method, noise):
    """z is a number: p(z) = Exp(1), p(x|z) = N(x; z, 1)."""
    tfd = supports.tfd
    x = np.float32([0.5, 2.0, -1.0])
    estimates = method(x, None, tfd.Exponential(1.0), lambda z: tfd.Normal(z, 1.0), noise(0))
    z = (np.arange(200_000) + 0.5) / 5000
    log_joint = -z - 0.5 * (x[:, None] - z) ** 2 - 0.5 * np.log(2 * np.pi)
    expected = np.log(np.exp(log_joint).sum(axis=1) / 5000)
    # Five standard errors of about 0.1 nats
    np.testing.assert_allclose(estimates["log_likelihood"], expected, atol=0.5)
