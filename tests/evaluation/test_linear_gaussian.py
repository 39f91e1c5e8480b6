"""Metrics of a linear-Gaussian model against their closed forms.

p(z) = N(0, I), p(x|z) = N(zW + b, σ² I); q(z|x) has the mean of p(z|x), and `scale`
times its standard deviation.
"""

import sys

import keras
import numpy as np
import pytest
from scipy import special, stats

import keras_aevb as kv
from keras_aevb import evaluation

N = 400


def exact_kl(lg, scale=1.0):
    """KL(N(m, s²) ‖ N(0, 1)) of each example and dimension, in float64."""
    variances = lg.variances * scale**2
    return 0.5 * (variances + lg.means**2 - 1 - np.log(variances))


def exact_log_q(lg, z, scale=1.0):
    """log q(z|x) of all pairs, of shape [points, examples]."""
    sd = scale * np.sqrt(lg.variances)
    return stats.norm(lg.means, sd).logpdf(z[:, None]).sum(axis=-1)


def test_kl_by_dimension(linear_gaussian):
    lg = linear_gaussian(N, scale=1.5)
    kl = evaluation.kl_by_dimension(lg.model, lg.x, batch_size=150)
    np.testing.assert_allclose(kl, exact_kl(lg, 1.5), rtol=1e-4, atol=1e-5)  # float32
    whole = lg.model.encode(lg.x).kl_divergence(lg.model.prior_distribution())
    np.testing.assert_allclose(kl.sum(axis=1), whole, rtol=1e-5)


def test_elbo_terms(linear_gaussian):
    """Five standard errors of the means over 400 examples, with 100 samples each: 0.05 nats."""
    lg = linear_gaussian(N, scale=1.5)
    terms = evaluation.elbo_terms(lg.model, lg.x, 100, seed=0)
    gap = 2 * (np.log(1 / 1.5) + (1.5**2 - 1) / 2)
    error = terms["elbo"] - (lg.log_likelihood - gap)
    assert abs(error.mean()) < 5 * error.std() / np.sqrt(N)
    assert error.std() < 0.3
    np.testing.assert_allclose(terms["kl"], exact_kl(lg, 1.5).sum(axis=1), rtol=1e-4, atol=1e-5)
    difference = terms["reconstruction"] - terms["kl"]
    np.testing.assert_allclose(terms["elbo"], difference, rtol=1e-5, atol=1e-5)


def test_the_inference_gap_is_the_divergence_from_the_posterior(linear_gaussian):
    """The z-scores follow a t distribution, with a mean square below 2; odds below 1e-4."""
    lg = linear_gaussian(N, scale=1.5)
    exact = 2 * (np.log(1 / 1.5) + (1.5**2 - 1) / 2)
    gap, error = evaluation.inference_gap(lg.model, lg.x, 500, seed=0)
    z = (gap - exact) / error
    assert gap.shape == error.shape == (N,)
    assert abs(z.mean()) < 4 * np.sqrt(2 / N)
    assert 0.6 < np.square(z).mean() < 2
    assert error.max() < 0.5


def test_the_exact_posterior_has_no_gap(linear_gaussian):
    lg = linear_gaussian(50)
    gap, error = evaluation.inference_gap(lg.model, lg.x, 500, seed=0)
    # Only the noise of the ELBO remains
    assert (abs(gap) < 6 * error + 1e-4).all()


def test_active_units(linear_gaussian):
    """The variances of the posterior means over the examples, and a threshold between the two."""
    lg = linear_gaussian(N)
    variances = evaluation.posterior_mean_variances(lg.model, lg.x)
    np.testing.assert_allclose(variances, lg.means.var(axis=0, ddof=1), rtol=1e-4)
    assert evaluation.active_units(lg.model, lg.x).tolist() == [True, True]
    between = variances.mean()
    assert evaluation.active_units(lg.model, lg.x, threshold=between).sum() == 1


def test_the_variance_of_sampled_means_has_no_bias(linear_gaussian, monkeypatch):
    """If TFP lacks the mean, two samples estimate it, here within 5 standard errors."""
    lg = linear_gaussian(2000)
    module = sys.modules["keras_aevb.evaluation.active_units"]
    monkeypatch.setattr(module, "kind_of_estimate", lambda part: "sample")
    lg.model._programs.programs.clear()
    variances = evaluation.posterior_mean_variances(lg.model, lg.x, num_samples=2, seed=0)
    exact = lg.means.var(axis=0, ddof=1)
    error = (exact + lg.variances / 2) * np.sqrt(2 / 2000) + lg.variances / np.sqrt(2000)
    assert (abs(variances - exact) < 5 * error).all()
    lg.model._programs.programs.clear()


def test_log_aggregate_posterior(linear_gaussian):
    """More than one block of z, and batches that do not divide the examples."""
    lg = linear_gaussian(130, scale=1.5)
    z = np.random.default_rng(0).normal(size=(1100, 2)).astype("float32")
    values = evaluation.log_aggregate_posterior(lg.model, lg.x, z, batch_size=50)
    exact = special.logsumexp(exact_log_q(lg, z, 1.5), axis=1) - np.log(130)
    np.testing.assert_allclose(values, exact, rtol=1e-4, atol=1e-4)


def test_samples_of_the_aggregate_posterior(linear_gaussian):
    """A Kolmogorov-Smirnov test of each dimension, which fails by chance with probability 1e-3."""
    lg = linear_gaussian(20)
    z = evaluation.sample_aggregate_posterior(lg.model, lg.x, 3000, seed=0)
    assert z.shape == (3000, 2)
    for j in range(2):

        def cdf(points, j=j):
            q = stats.norm(lg.means[:, j], np.sqrt(lg.variances[j]))
            return q.cdf(points[:, None]).mean(axis=1)

        assert stats.kstest(z[:, j], cdf).pvalue > 1e-3
    again = evaluation.sample_aggregate_posterior(lg.model, lg.x, 3000, seed=0)
    np.testing.assert_array_equal(z, again)
    other = evaluation.sample_aggregate_posterior(lg.model, lg.x, 3000)
    assert (z != other).any()


def test_mutual_information(linear_gaussian):
    """For a linear-Gaussian channel it is -½ Σ log(1 - ρ²), here 5 nats below log N."""
    lg = linear_gaussian(2000)
    values = evaluation.mutual_information(lg.model, lg.x, batch_size=500, seed=0)
    exact = -0.5 * np.log(lg.variances).sum()  # 2.2 nats
    assert values.shape == (2000,) and values.max() <= np.log(2000) + 1e-4
    # Five standard errors, 0.1 nats; the bias of a finite N is a tenth of that
    assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(2000) < 0.15


def test_mutual_information_is_at_most_log_n(linear_gaussian):
    lg = linear_gaussian(2000, scale=0.01)
    values = evaluation.mutual_information(lg.model, lg.x[:10], 5, seed=0)
    np.testing.assert_allclose(values, np.log(10), atol=1e-3)


def test_mean_kl_is_mutual_information_plus_kl_of_the_aggregate(linear_gaussian):
    """Hoffman & Johnson's decomposition, with independent draws of z; 5 standard errors."""
    lg = linear_gaussian(N)
    information = evaluation.mutual_information(lg.model, lg.x, seed=0).mean()
    z = evaluation.sample_aggregate_posterior(lg.model, lg.x, 4000, seed=1)
    log_ratio = evaluation.log_aggregate_posterior(lg.model, lg.x, z)
    log_ratio -= stats.norm.logpdf(z).sum(axis=1)
    kl = evaluation.kl_by_dimension(lg.model, lg.x).sum(axis=1).mean()
    error = 1 / np.sqrt(N)  # log q(z|x) has a spread of about one nat
    assert abs(information + log_ratio.mean() - kl) < 5 * error


def test_pareto_k_depends_on_the_width_of_the_proposal(linear_gaussian):
    """If q(z|x) is s times as wide as p(z|x), k = 1 - s² for s < 1, and weights are bounded
    for s > 1. Means over 100 examples with 200 tail weights are accurate to 0.15."""
    for s in (0.4, 0.8):
        lg = linear_gaussian(100, scale=s)
        k = evaluation.pareto_k(lg.model, lg.x, 4000, seed=0)
        assert k.shape == (100,) and abs(k.mean() - (1 - s**2)) < 0.15
    lg = linear_gaussian(100, scale=2.0)
    assert evaluation.pareto_k(lg.model, lg.x, 4000, seed=0).max() < 0.2


def test_conditions(x):
    """Each metric conditions on the label of its own row."""
    condition = kv.Condition(num_classes=3)
    join = kv.networks.Joined
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        join(keras.Sequential([keras.layers.Dense(5, "tanh")])),
        join(keras.Sequential([keras.layers.Dense(5, "tanh")])),
        kv.DiagonalNormal(2),
        kv.Bernoulli(6),
        prior=kv.DiagonalNormal(2),
        condition=condition,
        seed=0,
    )
    y = np.arange(len(x)) % 3
    kl = evaluation.kl_by_dimension(model, x, condition=y)
    with model.given(y):
        exact = model.encode(x).kl_divergence(model.prior_distribution())
    np.testing.assert_allclose(kl.sum(axis=1), exact, rtol=1e-4, atol=1e-6)
    z = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")
    q = model.encode(x, condition=y)
    exact = special.logsumexp(np.asarray(q.log_prob(z[:, None])), axis=1) - np.log(len(x))
    values = evaluation.log_aggregate_posterior(model, x, z, batch_size=5, condition=y)
    np.testing.assert_allclose(values, exact, rtol=1e-4)
    report = model.report(x, 30, seed=0, condition=y, verbose=False)
    assert np.isfinite(report.log_likelihood.mean)
    with pytest.raises(ValueError, match="condition y for each example"):
        evaluation.mutual_information(model, x)
