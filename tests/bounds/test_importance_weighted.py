"""Importance-weighted and Rényi bounds: gradients, and values against a known log p(x)."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from linear_gaussian import linear_data, linear_model, log_marginal
from scipy import special, stats

import keras_aevb as kv
from keras_aevb._backend import tfp

IW, RENYI = kv.ImportanceWeightedBound, kv.RenyiBound
GRADIENTS = ("reparameterized", "stl", "dreg", "vimco")


def make(alpha, num_samples, gradient):
    return RENYI(alpha, num_samples, gradient) if alpha else IW(num_samples, gradient)


# p(z) = N(0, I), p(x|z) = N(wz + b, s² I), q(z|x) = N(μ, σ²)

W, OFFSET, SCALE = np.array([0.8, -1.3]), np.array([0.3, -0.2]), 0.6
X, MEAN, LOG_VARIANCE = np.array([0.7, 0.4]), np.array([0.5, -0.1]), np.array([-0.7, -0.2])
SIGMA = np.exp(0.5 * LOG_VARIANCE)


def decode(z):
    mean = z * W.astype("float32") + OFFSET.astype("float32")
    return tfp.distributions.Independent(tfp.distributions.Normal(mean, np.float32(SCALE)), 1)


def by_row(bound, n, gradients, seed):
    """Terms, gradients in μ and log σ², and z `[K, n, 2]`, of n rows, each with its own noise."""
    variables = [keras.Variable(np.tile(v, (n, 1)), dtype="float32") for v in (MEAN, LOG_VARIANCE)]
    posterior, prior = kv.DiagonalNormal(2), kv.StandardNormal(2).distribution()
    x = np.tile(X, (n, 1)).astype("float32")

    def terms():
        q = posterior.distribution(*(v.value for v in variables))
        return bound(x, q, prior, decode, seed)

    received = gradients(lambda: ops.sum(terms()[bound.objective]), variables)
    z = posterior.distribution(*variables).sample(bound.num_samples, seed=seed)
    return terms(), [np.float64(g) for g in received], np.float64(z)


def numpy_log_weights(z):
    log_p = stats.norm.logpdf(X, W * z + OFFSET, SCALE).sum(-1)
    log_prior = stats.norm.logpdf(z).sum(-1)
    log_q = stats.norm.logpdf(z, MEAN, SIGMA).sum(-1)
    return log_p, log_prior, log_q


def log_mean(log_w, alpha, axis=0):
    power = 1 - alpha
    return (special.logsumexp(power * log_w, axis) - np.log(log_w.shape[axis])) / power


def numpy_gradients(log_w, z, alpha, gradient):
    """Gradients in μ and log σ², by hand, for z = μ + σε."""
    ε = (z - MEAN) / SIGMA
    weights = special.softmax((1 - alpha) * log_w, axis=0)[..., None]
    by_z = W * (X - W * z - OFFSET) / SCALE**2 - z  # of log p(x, z)
    if gradient == "reparameterized":
        return (weights * by_z).sum(0), (weights * (by_z * SIGMA * ε / 2 + 0.5)).sum(0)
    if gradient == "vimco":
        without = []
        for k, _ in enumerate(log_w):
            changed = log_w.copy()
            changed[k] = np.delete(log_w, k, axis=0).mean(0)
            without.append(log_mean(changed, alpha))
        signal = (log_mean(log_w, alpha) - np.array(without))[..., None] - weights
        return (signal * ε / SIGMA).sum(0), (signal * (ε**2 - 1) / 2).sum(0)
    scale = weights if gradient == "stl" else weights * (alpha + (1 - alpha) * weights)
    path = scale * (by_z + ε / SIGMA)
    return path.sum(0), (path * SIGMA * ε / 2).sum(0)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_values_and_gradients_are_those_of_numpy(alpha, gradient, gradients, noise):
    bound = make(alpha, 4, gradient)
    terms, received, z = by_row(bound, 20, gradients, noise(0))
    log_p, log_prior, log_q = numpy_log_weights(z)
    log_w = log_p + log_prior - log_q
    expected = {
        bound.objective: log_mean(log_w, alpha),
        "elbo": log_w.mean(0),
        "reconstruction": log_p.mean(0),
        "kl": (log_q - log_prior).mean(0),
    }
    assert set(terms) == set(bound.terms) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(terms[name], values, rtol=1e-4, atol=1e-5)  # float32
    for actual, desired in zip(received, numpy_gradients(log_w, z, alpha, gradient)):
        # float32: ε is computed from z.
        np.testing.assert_allclose(actual, desired, rtol=5e-4, atol=5e-5)


@pytest.mark.parametrize(("alpha", "gradient"), [(0.0, "dreg"), (0.0, "vimco"), (0.5, "dreg")])
def test_unbiased_gradients_agree_in_the_mean(alpha, gradient, gradients, noise):
    rows = {
        g: by_row(make(alpha, 4, g), 10_000, gradients, noise(seed))[1]
        for seed, g in enumerate(("reparameterized", gradient))
    }
    for plain, other in zip(*rows.values()):
        standard_error = np.sqrt((plain.var(0) + other.var(0)) / 10_000)
        assert np.all(standard_error < 0.05)
        # Five standard errors, twelve comparisons in all: odds 7e-6.
        assert np.all(np.abs(plain.mean(0) - other.mean(0)) < 5 * standard_error)


def test_dreg_has_less_variance_and_the_same_gradient_in_theta(make_model, noise, gradients):
    model, x = linear_model(make_model, 0.3, 0.5), linear_data(20)
    plain, dreg = (
        kv.gradient_variance(model, x, IW(10, g), num_repeats=40, seed=0)
        for g in ("reparameterized", "dreg")
    )
    assert 3 * dreg.phi.total < plain.phi.total
    # rtol: differences of float32 gradients
    np.testing.assert_allclose(dreg.theta.total, plain.theta.total, rtol=1e-3)


@pytest.mark.parametrize(
    "bound", [lambda g: kv.ELBO(gradient=g), lambda g: IW(5, g), lambda g: RENYI(0.5, 5, g)]
)
def test_no_variance_at_the_posterior(bound, make_model):
    """Without the score of q(z|x); with it the variance is of the order of 1."""
    model, x = linear_model(make_model), linear_data(20)
    plain, stl = (
        kv.gradient_variance(model, x, bound(g), num_repeats=20, seed=0).phi.total
        for g in ("reparameterized", "stl")
    )
    assert plain > 1e-2
    # float32: gradients of some 10, with errors of 1e-6 each
    assert stl < 1e-10


def test_bounds_rise_towards_log_p(make_model):
    x = linear_data(500)
    bounds = kv.ELBO(), IW(5), IW(50)
    model = linear_model(make_model, np.array([0.2, -0.3]), np.array([0.5, -0.4]))
    values = []
    for bound in bounds:
        model.bound = bound
        values.append(np.float64(model.elbo(x, seed=1)))
    values.append(log_marginal(x))
    for lower, higher in itertools.pairwise(values):
        difference = higher - lower
        standard_error = difference.std() / 500**0.5
        # The gaps are 0.54, 0.20 and 0.09 nats, 5 standard errors or more.
        assert difference.mean() > 3 * standard_error


def test_renyi_bounds_lie_in_order(make_model, noise, x):
    """With the same z: the power means of the weights rise as α falls."""
    model = make_model()
    arguments = x, model.encode(x), model.prior.distribution(), model.decode, noise(0)
    bounds = RENYI(3, 10), RENYI(1.1, 10), kv.ELBO(10, "sampled"), RENYI(0.9, 10), IW(10)
    values = [np.float64(bound(*arguments)[bound.objective]) for bound in bounds]
    for lower, higher in itertools.pairwise(values):
        assert np.all(lower < higher)


def test_model_elbo_takes_the_samples_of_the_bound(make_model, x):
    model = make_model(bound=IW(20))
    np.testing.assert_array_equal(model.elbo(x, seed=0), model.elbo(x, num_samples=20, seed=0))
    assert model.elbo(x, seed=0).mean() > model.elbo(x, num_samples=1, seed=0).mean()


@pytest.mark.parametrize("alpha", [1, 1.0])
def test_alpha_one_is_refused(alpha):
    with pytest.raises(ValueError, match=r"other than 1.*ELBO.*Received: 1"):
        RENYI(alpha, 5)


def test_vimco_needs_two_samples():
    with pytest.raises(ValueError, match="`num_samples` to be an integer of at least 2"):
        IW(1, "vimco")


class FairCoins(kv.Prior):
    def distribution(self):
        coins = tfp.distributions.Bernoulli(ops.zeros(self.event_shape), dtype="float32")
        return tfp.distributions.Independent(coins, 1)


def test_discrete_latents_need_vimco(make_model, x):
    def model(gradient):
        return make_model(posterior=kv.Bernoulli(2), prior=FairCoins(2), bound=IW(4, gradient))

    assert np.all(np.isfinite(model("vimco").elbo(x, seed=0)))
    for gradient in GRADIENTS[:3]:
        with pytest.raises(ValueError, match=r"reparameterisable posterior.*gradient='vimco'"):
            model(gradient)
