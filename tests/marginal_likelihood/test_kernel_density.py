"""The kernel density against scipy and by hand."""

import numpy as np
import pytest
from keras import ops
from scipy.stats import gaussian_kde, multivariate_normal

from keras_aevb.marginal_likelihood.kernel_density import BANDWIDTHS, NARROWING, KernelDensity

CHAINS = np.tile(np.arange(5), 8)  # 40 samples, 8 of each chain


def fit(samples, chains=CHAINS):
    return KernelDensity(ops.array(samples, "float32"), ops.array(chains, "int32"))


@pytest.fixture(scope="module")
def samples():
    """40 samples in two dimensions for each of three examples; the third is not correlated."""
    rng = np.random.default_rng(0)
    mixing = np.array([[[1, 0.5], [0, 1]], [[0.02, 0.01], [0, 0.3]], [[0.1, 0], [0, 0.1]]])
    return rng.normal(size=(3, 40, 2)) @ mixing + rng.normal(size=(3, 1, 2))


def shrunk_covariance(samples):
    covariance = np.cov(samples.T, ddof=0).reshape(samples.shape[1], -1)
    n, dim = samples.shape
    return (n * covariance + dim * np.diag(np.diag(covariance))) / (n + dim)


def log_kernels(points, samples, h):
    normal = multivariate_normal(np.zeros(samples.shape[1]), h**2 * shrunk_covariance(samples))
    return normal.logpdf(points[:, None] - samples)  # [P, L]


def test_density_in_one_dimension_is_scipys():
    samples = np.random.default_rng(1).normal(2, 0.3, (1, 40, 1))
    q = fit(samples)
    points = np.linspace(1, 3, 50, dtype="float32")
    h, mean = float(q.bandwidth[0, 0, 0]), samples.mean()
    shrinkage = np.sqrt(1 - h**2)
    centres = mean + NARROWING * shrinkage * (samples[0, :, 0] - mean)
    # scipy measures h in standard deviations of the centres, and divides their variance by n - 1
    expected = gaussian_kde(centres, h / shrinkage * np.sqrt(39 / 40)).logpdf(points)
    # float32: squared distances of up to 100 with a relative error of 1e-6, over 2h²
    np.testing.assert_allclose(q.log_prob(ops.array(points[None, :, None]))[0], expected, atol=2e-3)


def test_density_by_hand(samples):
    q = fit(samples)
    points = samples + 0.1 * samples.std(axis=1, keepdims=True)
    for i in range(3):
        h, mean = float(q.bandwidth[i, 0, 0]), samples[i].mean(axis=0)
        centres = mean + NARROWING * np.sqrt(1 - h**2) * (samples[i] - mean)
        scale = NARROWING * h
        normal = multivariate_normal([0, 0], scale**2 * shrunk_covariance(samples[i]))
        kernels = normal.logpdf(points[i][:, None] - centres)  # [P, L]
        expected = np.log(np.exp(kernels).mean(axis=1))
        # as above
        np.testing.assert_allclose(q.log_prob(ops.array(points, "float32"))[i], expected, atol=2e-3)


def test_bandwidth_is_chosen_on_the_other_chains(samples):
    for i, chosen in enumerate(np.asarray(fit(samples).bandwidth)[:, 0, 0]):
        scores = []
        for h in BANDWIDTHS:
            kernels = np.exp(log_kernels(samples[i], samples[i], h))
            density = np.where(CHAINS[:, None] == CHAINS, 0, kernels).mean(axis=1)
            with np.errstate(divide="ignore"):  # the narrowest kernels miss all other chains
                scores.append(np.log(density).sum())
        np.testing.assert_allclose(chosen, BANDWIDTHS[np.argmax(scores)], rtol=1e-6)  # float32


def test_bandwidth_follows_the_data():
    """Distant clusters need narrow kernels, one normal cloud needs wide ones."""
    rng = np.random.default_rng(2)
    cloud = rng.normal(size=(40, 1))
    clusters = 0.02 * cloud + rng.choice([-1.0, 1.0], size=(40, 1))
    bandwidths = np.asarray(fit(np.stack([cloud, clusters])).bandwidth)[:, 0, 0]
    assert bandwidths[0] > 0.3 and bandwidths[1] < 0.03  # the clusters' own spread is 0.02


def test_density_is_a_little_narrower_than_the_samples():
    """For every h the density has the samples' mean and `NARROWING`² times their variance."""
    rng = np.random.default_rng(5)
    powers = np.array([1, 3])[:, None, None]
    samples = rng.normal(size=(1, 40, 1)) ** powers  # normal samples, and their cubes
    q = fit(samples)
    points = np.linspace(-30, 30, 60_001, dtype="float32")
    grid = ops.array(np.tile(points[None, :, None], (2, 1, 1)))
    for density, z in zip(np.exp(np.asarray(q.log_prob(grid))), samples[:, :, 0]):
        mean = np.trapezoid(density * points, points)
        variance = np.trapezoid(density * (points - mean) ** 2, points)
        np.testing.assert_allclose(mean, z.mean(), atol=1e-3)  # float32, as above
        np.testing.assert_allclose(variance, NARROWING**2 * z.var(), rtol=5e-3)
    assert float(q.bandwidth[0, 0, 0]) > 1.5 * float(q.bandwidth[1, 0, 0])


def test_density_integrates_to_one():
    q = fit(np.random.default_rng(3).normal(size=(1, 40, 1)))
    points = np.linspace(-8, 8, 4001, dtype="float32")
    density = np.exp(q.log_prob(ops.array(points[None, :, None]))[0])
    np.testing.assert_allclose(np.trapezoid(density, points), 1, rtol=1e-3)  # as above


@pytest.mark.parametrize("shape", [(2, 40, 60), (1, 40, 1)])
def test_few_samples_in_many_dimensions(shape):
    samples = np.random.default_rng(4).normal(size=shape)
    assert np.isfinite(fit(samples).log_prob(ops.array(samples, "float32"))).all()


@pytest.mark.slow
def test_chains_that_never_moved():
    samples = np.full((1, 40, 2), 0.7)
    assert np.isfinite(fit(samples).log_prob(ops.array(samples, "float32"))).all()
