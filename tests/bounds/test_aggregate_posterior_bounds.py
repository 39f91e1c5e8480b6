"""Penalties on the aggregate posterior: all pairs by hand, closed forms, gradients, training."""

import keras
import numpy as np
import pytest
from scipy import special, stats

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions


def normals(mean, variance):
    mean, scale = np.float32(mean), np.float32(np.sqrt(variance))
    return tfd.Independent(tfd.Normal(mean, scale), 1)


def penalty(bound, q, noise, prior=None):
    """The penalty alone, for a constant likelihood."""
    x = np.zeros((q.batch_shape[0], 2), "float32")
    prior = normals([0, 0], [1, 1]) if prior is None else prior
    terms = bound(x, q, prior, lambda z: normals(0 * z, 1 + 0 * z), noise)
    weight = np.asarray(terms["weight"])
    np.testing.assert_allclose(
        terms["penalized"], terms["elbo"] - weight * terms[bound.penalty], rtol=1e-6
    )
    return np.asarray(terms[bound.penalty], "float64")


@pytest.fixture
def q():
    rng = np.random.default_rng(0)
    return normals(rng.normal(size=(5, 2)), rng.uniform(0.1, 1, size=(5, 2)))


def log_densities(q, z):
    """log q(z_d|x_j) for z of shape `[L, M, D]`: `[L, M, M, D]`."""
    loc, scale = (np.float64(a) for a in (q.mean(), q.stddev()))
    return stats.norm(loc, scale).logpdf(np.float64(z)[:, :, None])


@pytest.mark.parametrize("n", [5, 1000])
def test_total_correlation_by_hand(n, q, noise):
    z = q.sample(3, seed=noise(0))
    log_q = log_densities(q, z)
    m = 5
    weights = np.where(np.eye(m, dtype=bool), 1 / n, (n - 1) / (n * (m - 1)))
    np.testing.assert_allclose(weights.sum(1), 1)
    joint = special.logsumexp(log_q.sum(3), axis=2, b=weights)
    marginals = special.logsumexp(log_q, axis=2, b=weights[..., None])
    expected = (joint - marginals.sum(2)).mean(0)
    received = penalty(kv.TotalCorrelationELBO(2.0, n, 3), q, noise(0))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)  # float32 densities


@pytest.mark.parametrize(
    "bound", [kv.TotalCorrelationELBO(2.0, 9), kv.MaximumMeanDiscrepancyELBO(2.0)]
)
def test_the_penalty_of_a_single_example_is_zero(bound, noise):
    """The last batch of an epoch may have one; there are no pairs to compare."""
    q = normals([[0.3, -1.0]], [[0.5, 2.0]])
    np.testing.assert_array_equal(penalty(bound, q, noise(0)), [0])


def test_total_correlation_of_all_examples_is_a_divergence(noise):
    """Two examples with correlated dimensions: q(z) by quadrature, 4 standard errors."""
    q = normals([[-1, -1], [1, 1]], np.full((2, 2), 0.25))
    grid = np.linspace(-4, 4, 401)
    one = [stats.norm(m, 0.5).pdf(grid) for m in (-1, 1)]
    joint = 0.5 * (np.outer(one[0], one[0]) + np.outer(one[1], one[1]))
    marginal = 0.5 * (one[0] + one[1])
    integrand = joint * (np.log(joint) - np.log(np.outer(marginal, marginal)))
    expected = integrand.sum() * (grid[1] - grid[0]) ** 2
    bound = kv.TotalCorrelationELBO(1.0, 2, num_samples=10_000)
    received = penalty(bound, q, noise(1)).mean()
    assert expected > 0.3
    # log-ratios have a spread of 0.3 nats: 4 · 0.3 / √20 000
    assert abs(received - expected) < 0.01


def test_total_correlation_of_a_minibatch_of_equal_examples_is_zero(noise):
    q = normals(np.zeros((4, 2)), np.ones((4, 2)))
    received = penalty(kv.TotalCorrelationELBO(1.0, 1000, 2), q, noise(0))
    np.testing.assert_allclose(received, 0, atol=1e-5)  # float32
    # A single example has no others to estimate q(z) from.
    alone = penalty(kv.TotalCorrelationELBO(1.0, 1000, 2), normals([[0, 0]], [[1, 1]]), noise(0))
    assert np.isfinite(alone).all()


def kernel(a, b, h):
    return np.exp(-np.square(a[:, None] - b).sum(-1) / (2 * h * h))


def test_mmd_by_hand(q, noise):
    """MMD of given samples; a prior without noise fixes the samples of p(z)."""
    z = np.float64(q.sample(1, seed=noise(0)))[0]
    prior = tfd.Independent(tfd.Deterministic(np.float32([0.3, -0.2])), 1)
    draws = np.tile(np.float64([[0.3, -0.2]]), (5, 1))
    bound = kv.MaximumMeanDiscrepancyELBO(2.0, 0.7, kl="sampled")
    received = np.asarray(bound._penalty(q, prior, np.float32(z)[None], noise(0)))
    others = 1 - np.eye(5)
    within = kernel(z, z, 0.7) + kernel(draws, draws, 0.7)
    across = kernel(z, draws, 0.7) + kernel(draws, z, 0.7)
    expected = (within * others).sum(1) / 4 - across.mean(1)
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)  # float32


@pytest.mark.parametrize("mean", [0.0, 1.5])
def test_mmd_of_normals(mean, noise):
    """E k of normals: (h² / (h² + s))^(D/2) exp(-|m|² / 2 (h² + s)) with the summed variance s."""
    h2, d, m2 = 2.0, 2, 2 * mean**2

    def expected_kernel(s, m2):
        return (h2 / (h2 + s)) ** (d / 2) * np.exp(-m2 / (2 * (h2 + s)))

    expected = 2 * expected_kernel(2, 0) - 2 * expected_kernel(2, m2)
    q = normals(np.full((200, 2), mean), np.ones((200, 2)))
    values = penalty(kv.MaximumMeanDiscrepancyELBO(1.0, num_samples=50), q, noise(0))
    # 50 estimates with a spread of at most 0.04 each (200 draws): four standard errors
    assert abs(values.mean() - expected) < 0.023


PENALTIES = [kv.TotalCorrelationELBO(1.0, 50, 2), kv.MaximumMeanDiscrepancyELBO(1.0, 1.0)]


@pytest.mark.parametrize("bound", PENALTIES)
def test_gradients_are_those_of_finite_differences(bound, gradients, noise):
    """Gradients in q's means, with the same noise."""
    start = np.float32(np.random.default_rng(0).normal(size=(4, 2)))
    mean = keras.Variable(start)

    def total(mean=mean):
        q = tfd.Independent(tfd.Normal(mean, np.float32(0.5)), 1)
        z = q.sample(2, seed=noise(0))
        return keras.ops.sum(bound._penalty(q, normals([0, 0], [1, 1]), z, noise(0)))

    (gradient,) = gradients(total, [mean])
    step = 1e-2
    for i in np.ndindex(4, 2):
        change = np.zeros((4, 2), "float32")
        change[i] = step
        difference = (float(total(start + change)) - float(total(start - change))) / (2 * step)
        # float32 sums of about 1, divided by 0.02, and the third derivative
        np.testing.assert_allclose(gradient[i], difference, atol=2e-3)


BOUNDS = {
    "total correlation": lambda w: kv.TotalCorrelationELBO(w, 13, beta=0.0),
    "mmd": lambda w: kv.MaximumMeanDiscrepancyELBO(w, 1.0, beta=0.0),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_training_lowers_a_penalty_with_its_weight(name, make_model, x):
    """No other term has a gradient in q(z|x): β is zero, and the decoder ignores z."""
    last = []
    for weight in (0.0, 10.0):
        means = keras.layers.Dense(2)
        model = make_model(
            posterior=kv.DiagonalNormal(2, mean=means), bound=BOUNDS[name](weight), seed=0
        )
        column = np.random.default_rng(0).normal(size=(means.kernel.shape[0], 1))
        means.kernel.assign(6 * np.repeat(column, 2, axis=1))  # both dimensions are the same
        model.decoder.trainable = False
        model.decoder.set_weights([0 * w for w in model.decoder.get_weights()])
        model.compile(keras.optimizers.Adam(0.05))
        history = model.fit(x, batch_size=len(x), epochs=60, verbose=0).history
        values = history[model.bound.penalty]
        last.append(np.mean(values[-10:]) / np.mean(values[:2]))
        np.testing.assert_allclose(
            history["elbo"], np.array(history["reconstruction"]) - history["kl"], rtol=1e-5
        )
    assert last[1] < 0.5 < last[0]


def test_errors(make_model):
    with pytest.raises(ValueError, match="n_train"):
        kv.TotalCorrelationELBO(1.0, 1)
    with pytest.raises(ValueError, match="weight"):
        kv.MaximumMeanDiscrepancyELBO(-1.0)
    with pytest.raises(ValueError, match="length_scale"):
        kv.MaximumMeanDiscrepancyELBO(1.0, 0.0)
    full = kv.Conditional("MultivariateNormalTriL", 2)
    with pytest.raises(ValueError, match="independent given x"):
        make_model(posterior=full, bound=kv.TotalCorrelationELBO(1.0, 10))
