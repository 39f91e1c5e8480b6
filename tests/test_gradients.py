"""The variance of stochastic gradients: closed forms, single repeats, order of estimators."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

SCORE, A, B = kv.ScoreFunctionELBO, lambda n=1: kv.ELBO(n, "sampled"), kv.ELBO
ESTIMATORS = {"score": SCORE, "A": A, "B": B}


# One latent, one pixel: p(z) = N(0, 1), p(x|z) = N(wz + b, σ²), q(z|x) = N(m, s²) with
# m = ex + f and log s² = ux + v

W, OFFSET, SCALE = 0.8, 0.3, 0.6
MEAN, LOG_VARIANCE = (0.9, -0.4), (0.3, -0.9)
X = np.linspace(-1.5, 2, 50)


@pytest.fixture
def linear_model(make_model):
    model = make_model(
        encoder=keras.Sequential([keras.layers.Identity()]),
        decoder=keras.Sequential([keras.layers.Identity()]),
        posterior=kv.DiagonalNormal(
            1, mean=keras.layers.Dense(1), log_variance=keras.layers.Dense(1)
        ),
        likelihood=kv.Normal(1, mean=keras.layers.Dense(1), scale=SCALE),
    )
    for head, (kernel, bias) in {
        model.posterior.heads["mean"]: MEAN,
        model.posterior.heads["log_variance"]: LOG_VARIANCE,
        model.likelihood.heads["mean"]: (W, OFFSET),
    }.items():
        head.set_weights([np.array([[kernel]]), np.array([bias])])
    return model


def posterior_of_each_x():
    """m and s."""
    m = np.polyval(MEAN, X)
    return m, np.exp(0.5 * np.polyval(LOG_VARIANCE, X))


def exact_phi(estimator):
    """Variances of one sample's gradient in m and log s², from the moments of ε = (z - m)/s.

    With f(z) = α + βε + γε², log p(x, z) = -a (z - c)²/2 + … and log p(x|z) = -b (z - k)²/2 + …
    """
    m, s = posterior_of_each_x()
    b = W**2 / SCALE**2
    a = 1 + b
    k = (X - OFFSET) / W
    c = b * k / a
    if estimator == "A":
        return (a * s) ** 2, (a * s / 2) ** 2 * ((m - c) ** 2 + 2 * s**2)
    if estimator == "B":
        return (b * s) ** 2, (b * s / 2) ** 2 * ((m - k) ** 2 + 2 * s**2)
    log_p = -0.5 * (np.log(2 * np.pi * (W**2 + SCALE**2)) + (X - OFFSET) ** 2 / (W**2 + SCALE**2))
    α = log_p + 0.5 * np.log(a * s**2) - 0.5 * a * (m - c) ** 2
    β = -a * (m - c) * s
    γ = 0.5 - 0.5 * a * s**2
    # f ε/s and f (ε² - 1)/2, with E ε⁴ = 3, E ε⁶ = 15, E ε⁸ = 105
    by_mean = α**2 + 3 * (β**2 + 2 * α * γ) + 15 * γ**2 - β**2
    by_log_variance = 2 * α**2 + 10 * (β**2 + 2 * α * γ) + 78 * γ**2 - 4 * γ**2
    return by_mean / s**2, by_log_variance / 4


def exact_theta():
    """Variances of one sample's gradient in w and b: of r z/σ² and r/σ², r = x - wz - b."""
    m, s = posterior_of_each_x()
    residual = X - W * m - OFFSET
    by_w = (residual * s - W * s * m) ** 2 + 2 * W**2 * s**4
    return by_w / SCALE**4, (W * s) ** 2 / SCALE**4


@pytest.mark.parametrize("num_samples", [1, 4])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_variance_of_a_linear_model(estimator, num_samples, linear_model):
    """It falls as 1/L and 1/B; each example has its own variance."""
    bound = ESTIMATORS[estimator](num_samples)
    received = kv.gradient_variance(linear_model, X[:, None], bound, num_repeats=1000, seed=2)
    # The chain rule to kernels, which x multiplies, and biases
    phi = sum(exact_phi(estimator)) * (X**2 + 1)
    theta = sum(exact_theta())
    for group, variances in zip(received, (phi, theta)):
        exact = variances.sum() / len(X) ** 2 / num_samples
        assert group.standard_error < 0.1 * exact
        # Five standard errors, twelve comparisons in all: odds 7e-6.
        assert abs(group.total - exact) < 5 * group.standard_error


def test_standard_error_of_a_normal_gradient(linear_model):
    """A's gradient in m is normal: its sample variance is χ², with error √(2/(R - 1))."""
    linear_model.posterior.heads["log_variance"].trainable = False
    x = np.ones((1, 1))  # kernel and bias have the same gradient
    phi, _ = kv.gradient_variance(linear_model, x, A(), num_repeats=2000, seed=0)
    # The standard deviation of χ² is estimated with an error of √(14/2000)/2 = 4 %. The tolerance
    # is five such errors.
    assert 0.8 < phi.standard_error / phi.total / (2 / 1999) ** 0.5 < 1.2
    np.testing.assert_allclose(list(phi.by_variable.values()), [phi.total / 2] * 2)


# A Bernoulli model


@pytest.fixture
def model(make_model):
    model = make_model()
    rng = np.random.default_rng(3)
    for variable in model.weights:
        variable.assign(rng.normal(0, 0.7, variable.shape))
    return model


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_variance_of_single_repeats(estimator, model, gradients, x):
    """NumPy's variance of the same gradients, one by one."""
    bound = ESTIMATORS[estimator](2)
    phi, theta = kv.gradient_variance(model, x, bound, num_repeats=6, seed=5)
    variables = {v.path: v for v in model.trainable_variables}

    def gradient(seed):
        def mean_bound():
            prior = model.prior.distribution()
            return ops.mean(bound(x, model.encode(x), prior, model.decode, seed)["elbo"])

        return gradients(mean_bound, variables.values())

    repeats = [gradient(model.next_seed(5, r)) for r in range(6)]
    received = {**phi.by_variable, **theta.by_variable}
    assert received.keys() == variables.keys()
    for path, draws in zip(variables, zip(*repeats)):
        expected = np.float64(draws).var(0, ddof=1).sum()
        # rtol: differences of float32 gradients
        np.testing.assert_allclose(received[path], expected, rtol=1e-3)
    for group in (phi, theta):
        np.testing.assert_allclose(group.total, sum(group.by_variable.values()))


def test_the_score_function_is_far_noisier():
    """64 binary pixels: f is tens of nats, its gradients are not."""
    model = kv.AEVB(**kv.networks.bernoulli_mlp(64, 5, hidden_units=20, stddev=0.2, seed=0))
    x = np.random.default_rng(0).integers(0, 2, (20, 64))
    score, a, b = (
        kv.gradient_variance(model, x, estimator(), num_repeats=100, seed=0)
        for estimator in (SCORE, A, B)
    )
    for sgvb in (a, b):
        assert score.phi.total - 5 * score.phi.standard_error > 50 * sgvb.phi.total
        # The gradient in θ is the same, to the digits of float32.
        np.testing.assert_allclose(sgvb.theta.total, score.theta.total, rtol=1e-4)


# Behaviour


def test_phi_and_theta_contain_the_weights_of_their_parts(model, x):
    phi, theta = kv.gradient_variance(model, x, num_repeats=3)
    for group, parts in (
        (phi, (model.encoder, model.posterior)),
        (theta, (model.decoder, model.likelihood)),
    ):
        assert set(group.by_variable) == {v.path for part in parts for v in part.weights}


class ShiftedPrior(kv.Prior):
    """N(shift, I)."""

    def __init__(self, event_shape, **kwargs):
        super().__init__(event_shape, **kwargs)
        self.shift = self.add_weight(shape=self.event_shape, name="shift")

    def distribution(self):
        p = tfp.distributions.Normal(ops.convert_to_tensor(self.shift), 1.0)
        return tfp.distributions.Independent(p, 1)


def test_a_trained_prior_belongs_to_theta(make_model, x):
    """With a sampled divergence, its gradient is the mean of z over the batch and L."""
    model = make_model(prior=ShiftedPrior(2), bound=A())
    _, theta = kv.gradient_variance(model, x, num_repeats=200, seed=0)
    variance = model.encode(x).variance()
    exact = np.asarray(variance).sum() / len(x) ** 2
    # χ² with 400 degrees of freedom has a relative error of 7 %. The tolerance is five such errors.
    assert abs(theta.by_variable[model.prior.shift.path] / exact - 1) < 0.35


def test_an_integer_seed_fixes_the_noise(model, x):
    first, again = (kv.gradient_variance(model, x, num_repeats=3, seed=1) for _ in range(2))
    other, another = (kv.gradient_variance(model, x, num_repeats=3) for _ in range(2))
    assert first == again
    assert len({first.phi.total, other.phi.total, another.phi.total}) == 3


def test_measuring_does_not_change_weights(make_model, x):
    encoder = keras.Sequential([keras.layers.Dense(5), keras.layers.BatchNormalization()])
    model = make_model(encoder=encoder)
    before = [w.numpy() for w in model.weights]
    kv.gradient_variance(model, x, num_repeats=3, seed=0)
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight, value)


def test_eager_and_compiled_agree(model, x):
    compiled = kv.gradient_variance(model, x, num_repeats=4, seed=0)
    model.compile("adam", run_eagerly=True)
    eager = kv.gradient_variance(model, x, num_repeats=4, seed=0)
    # rtol: differences of float32 gradients
    np.testing.assert_allclose(compiled.phi.total, eager.phi.total, rtol=1e-3)


@pytest.mark.parametrize("num_repeats", [2, 0, 10.0, None])
def test_num_repeats_must_be_at_least_three(num_repeats, model, x):
    with pytest.raises(ValueError, match=f"at least 3.*Received: {num_repeats}"):
        kv.gradient_variance(model, x, num_repeats=num_repeats)


class FairCoins(kv.Prior):
    def distribution(self):
        coins = tfp.distributions.Bernoulli(ops.zeros(self.event_shape), dtype="float32")
        return tfp.distributions.Independent(coins, 1)


def test_invalid_arguments_are_refused(make_model, model, x):
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\]"):
        kv.gradient_variance(model, x + 1)
    with pytest.raises(ValueError, match="`model` to be a VariationalModel"):
        kv.gradient_variance(keras.Sequential(), x)
    binary = make_model(
        kv.WakeSleep, posterior=kv.Bernoulli(2), prior=FairCoins(2), bound=kv.ELBO(kl="sampled")
    )
    with pytest.raises(ValueError, match="reparameterisable"):
        kv.gradient_variance(binary, x)
