"""The score-function gradient: against NumPy, its mean, and discrete latents."""

import keras
import numpy as np
import pytest
from binary import BinaryPosterior, BinaryPrior
from keras import ops
from scipy import special, stats

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions

SCORE, A, B = kv.ScoreFunctionELBO, lambda n: kv.ELBO(n, "sampled"), kv.ELBO
ESTIMATORS = {"score": SCORE, "A": A, "B": B}


# A linear model with independent latents and pixels: p(z) = N(0, I), p(x|z) = N(wz + b, s² I)

W, OFFSET, SCALE = np.array([0.8, -1.3]), np.array([0.3, -0.2]), 0.6
X, MEAN, LOG_VARIANCE = np.array([0.7, 0.4]), np.array([0.5, -0.1]), np.array([-0.7, -0.2])


def decode(z):
    mean = z * W.astype("float32") + OFFSET.astype("float32")
    return tfd.Independent(tfd.Normal(mean, np.float32(SCALE)), 1)


def gradients_by_row(bound, n, gradients, seed):
    """Gradients in μ and log σ² of n rows, each with its own noise, and ε of shape `[L, n, 2]`."""
    variables = [keras.Variable(np.tile(v, (n, 1)), dtype="float32") for v in (MEAN, LOG_VARIANCE)]
    posterior, prior = kv.DiagonalNormal(2), kv.StandardNormal(2).distribution()
    x = np.tile(X, (n, 1)).astype("float32")

    def total():
        q = posterior.distribution(*variables)
        return ops.sum(bound(x, q, prior, decode, seed)["elbo"])

    z = np.float64(posterior.distribution(*variables).sample(bound.num_samples, seed=seed))
    received = [np.float64(g) for g in gradients(total, variables)]
    return received, (z - MEAN) / np.exp(0.5 * LOG_VARIANCE)


def numpy_gradients(estimator, epsilon):
    """The gradients in μ and log σ² for each ε, by hand."""
    s = np.exp(0.5 * LOG_VARIANCE)
    z = MEAN + s * epsilon
    residual = X - W * z - OFFSET
    if estimator == "score":
        log_joint = stats.norm.logpdf(z) + stats.norm.logpdf(residual, 0, SCALE)
        log_q = stats.norm.logpdf(z, MEAN, s)
        f = (log_joint - log_q).sum(-1, keepdims=True)
        return f * epsilon / s, f * 0.5 * (epsilon**2 - 1)
    by_z = W * residual / SCALE**2  # of log p(x|z)
    if estimator == "A":
        return by_z - z, 0.5 + 0.5 * s * epsilon * (by_z - z)
    return by_z - MEAN, 0.5 - 0.5 * s**2 + 0.5 * s * epsilon * by_z


@pytest.mark.parametrize("num_samples", [1, 3])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_at_given_samples(estimator, num_samples, gradients, noise):
    bound = ESTIMATORS[estimator](num_samples)
    received, epsilon = gradients_by_row(bound, 20, gradients, noise(0))
    for actual, desired in zip(received, numpy_gradients(estimator, epsilon)):
        # float32: ε is computed from z.
        np.testing.assert_allclose(actual, desired.mean(0), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_mean_is_the_gradient_of_the_bound(estimator, gradients, noise):
    """The posterior has the precision a and the mean c: ∂L/∂μ = -a (μ - c), ∂L/∂log σ² = …"""
    a = 1 + W**2 / SCALE**2
    c = W * (X - OFFSET) / SCALE**2 / a
    exact = -a * (MEAN - c), 0.5 - 0.5 * a * np.exp(LOG_VARIANCE)
    received, _ = gradients_by_row(ESTIMATORS[estimator](1), 40_000, gradients, noise(1))
    for draws, expected in zip(received, exact):
        standard_error = draws.std(0) / 200
        assert np.all(standard_error < 0.1)
        # Five standard errors, four comparisons: odds 2e-6.
        assert np.all(np.abs(draws.mean(0) - expected) < 5 * standard_error)


@pytest.mark.parametrize("likelihood", [kv.Bernoulli, kv.Normal])
def test_values_and_gradients_in_theta_are_those_of_estimator_a(
    likelihood, make_model, gradients, noise, x
):
    model = make_model(likelihood=likelihood(6))

    def terms(bound):
        prior = model.prior.distribution()
        return bound(x, model.encode(x), prior, model.decode, noise(2))

    score, a = terms(SCORE(3)), terms(A(3))
    assert set(score) == set(kv.ScoreFunctionELBO.terms) == set(a)
    for name in a:
        # float32: sums of tens of nats in another order
        np.testing.assert_allclose(score[name], a[name], rtol=1e-5, atol=1e-5)

    theta = model.decoder.trainable_variables + model.likelihood.trainable_variables
    by_score = gradients(lambda: ops.mean(terms(SCORE(3))["elbo"]), theta)
    by_a = gradients(lambda: ops.mean(terms(A(3))["elbo"]), theta)
    for actual, desired in zip(by_score, by_a):
        np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-6)  # float32
        assert np.any(actual != 0)


# Baselines


def test_the_other_samples_are_a_baseline(gradients, noise):
    received, epsilon = gradients_by_row(SCORE(4, "leave-one-out"), 20, gradients, noise(0))
    s = np.exp(0.5 * LOG_VARIANCE)
    z = MEAN + s * epsilon
    log_joint = stats.norm.logpdf(z) + stats.norm.logpdf(X, W * z + OFFSET, SCALE)
    f = (log_joint - stats.norm.logpdf(z, MEAN, s)).sum(-1, keepdims=True)
    signal = (f - f.mean(0)) * 4 / 3
    for actual, score in zip(received, (epsilon / s, 0.5 * (epsilon**2 - 1))):
        np.testing.assert_allclose(actual, (signal * score).mean(0), rtol=2e-4, atol=2e-5)


def test_a_baseline_lowers_the_variance():
    """64 binary pixels: f is tens of nats, and similar for all samples."""
    model = kv.AEVB(**kv.networks.bernoulli_mlp(64, 5, hidden_units=20, stddev=0.2, seed=0))
    x = np.random.default_rng(0).integers(0, 2, (20, 64))
    plain, others = (
        kv.gradient_variance(model, x, SCORE(5, baseline), num_repeats=20, seed=0).phi
        for baseline in (None, "leave-one-out")
    )
    assert plain.total - 5 * plain.standard_error > 10 * others.total


def test_a_layer_is_trained_on_its_squared_distance(make_model, gradients, noise, x):
    bound = SCORE(3, keras.layers.Dense(1))
    model = make_model(bound=bound)
    baseline = bound.baseline.trainable_variables
    others = [v for v in model.trainable_variables if all(v is not b for b in baseline)]
    assert len(others) == len(model.trainable_variables) - 2 == len(model.phi + model.theta)
    bound.baseline.set_weights([np.full((6, 1), 0.1), np.array([-3.0])])

    def gradients_of(term, variables):
        q, prior = model.encode(x), model.prior.distribution()
        return gradients(
            lambda: ops.sum(bound(x, q, prior, model.decode, noise(0))[term]), variables
        )

    q, prior = model.encode(x), model.prior.distribution()
    terms = bound(x, q, prior, model.decode, noise(0))
    np.testing.assert_array_equal(terms["objective"], terms["elbo"])
    distance = np.float64(terms["elbo"]) - np.float64(bound.baseline(x))[:, 0]
    kernel, bias = gradients_of("objective", baseline)
    np.testing.assert_allclose(kernel[:, 0], 2 * distance @ x, rtol=1e-4)  # float32
    np.testing.assert_allclose(bias, [2 * distance.sum()], rtol=1e-4)
    for actual, desired in zip(
        gradients_of("objective", model.theta), gradients_of("elbo", model.theta)
    ):
        np.testing.assert_array_equal(actual, desired)


@pytest.mark.parametrize("by_layer", [True, False])
def test_a_baseline_does_not_change_the_mean(by_layer, gradients, noise):
    layer = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones")
    bounds = SCORE(2), SCORE(2, layer if by_layer else "leave-one-out")
    rows = [gradients_by_row(b, 10_000, gradients, noise(i))[0] for i, b in enumerate(bounds)]
    for plain, other in zip(*rows):
        standard_error = np.sqrt((plain.var(0) + other.var(0)) / 10_000)
        # Five standard errors, four comparisons: odds 2e-6.
        assert np.all(np.abs(plain.mean(0) - other.mean(0)) < 5 * standard_error)


@pytest.mark.parametrize("make_layer", [lambda: keras.layers.Dense(2), keras.layers.Identity])
def test_a_baseline_is_one_number(make_layer, make_model):
    with pytest.raises(ValueError, match=r"one number for each example.*Received: output of shape"):
        make_model(bound=SCORE(2, make_layer()))


# Latents that cannot be reparameterised


def test_gradient_of_binary_latents_by_enumeration(gradients, noise):
    """∂L/∂logits = Σ q(z) f(z) (z - y) over the four values of z, y = sigmoid(logits)."""
    logits = np.array([0.4, -0.9])
    y = special.expit(logits)
    n = 40_000
    variable = keras.Variable(np.tile(logits, (n, 1)), dtype="float32")
    prior = BinaryPrior(2).distribution()
    x = np.tile(X, (n, 1)).astype("float32")

    def total():
        q = BinaryPosterior(2).distribution(variable.value)
        return ops.sum(kv.ScoreFunctionELBO()(x, q, prior, decode, noise(3))["elbo"])

    def by_hand(z):
        log_q = np.where(z == 1, np.log(y), np.log(1 - y)).sum(-1)
        log_joint = 2 * np.log(0.5) + stats.norm.logpdf(X, W * z + OFFSET, SCALE).sum(-1)
        return np.exp(log_q), (log_joint - log_q)[:, None] * (z - y)

    (received,) = gradients(total, [variable])
    z = np.float64(BinaryPosterior(2).distribution(variable.value).sample(1, seed=noise(3))[0])
    # float32: log densities near -5, each with an error of 1e-6
    np.testing.assert_allclose(received, by_hand(z)[1], rtol=1e-4, atol=1e-5)

    q, gradient = by_hand(np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    standard_error = received.std(0) / 200
    assert np.all(standard_error < 0.02)
    # Five standard errors, two comparisons: odds 1e-6.
    assert np.all(np.abs(np.float64(received).mean(0) - q @ gradient) < 5 * standard_error)


@pytest.fixture
def binary_model(make_model):
    model = make_model(
        posterior=BinaryPosterior(2), prior=BinaryPrior(2), bound=kv.ScoreFunctionELBO(4)
    )
    model.compile(keras.optimizers.Adam(0.05))
    return model


def test_aevb_trains_binary_latents(binary_model):
    """Two clusters, one latent bit: the bound rises well above that of independent pixels."""
    bit = np.random.default_rng(0).integers(0, 2, (200, 1))
    x = np.repeat(bit, 6, axis=1).astype("float32")
    history = binary_model.fit(x, batch_size=20, epochs=20, verbose=0).history
    assert set(history) == {"loss", "elbo", "reconstruction", "kl"}
    np.testing.assert_allclose(history["loss"], -np.array(history["elbo"]), rtol=1e-6)  # float32
    # Independent pixels reach -6 log 2 = -4.2; one latent bit for all of them -log 2 = -0.7.
    assert history["elbo"][0] < -3.5
    assert binary_model.elbo(x, num_samples=10, seed=0).mean() > -2


def test_elbo_is_refused_if_its_gradient_would_be_wrong(make_model):
    with pytest.raises(ValueError, match=r"reparameterisable.*Bernoulli.*ScoreFunctionELBO"):
        make_model(posterior=BinaryPosterior(2), prior=BinaryPrior(2))


# Keras behaviour


def test_a_saved_model_keeps_its_bound(binary_model, x, tmp_path):
    binary_model.fit(x, batch_size=5, verbose=0)
    with keras.saving.custom_object_scope({c.__name__: c for c in (BinaryPosterior, BinaryPrior)}):
        binary_model.save(tmp_path / "model.keras")
        copy = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(copy.bound, kv.ScoreFunctionELBO)
    assert copy.bound.num_samples == 4
    np.testing.assert_array_equal(copy.elbo(x, seed=0), binary_model.elbo(x, seed=0))


def test_wake_sleep_trains_theta_on_a_score_function_elbo(make_model, gradients, x):
    """At a fixed q(z|x) the two bounds have the same gradient."""

    def theta_gradients(bound):
        model = make_model(kv.WakeSleep, bound=bound)
        return gradients(
            lambda: ops.mean(model.objective(x, True)[1]["elbo"]), model.trainable_variables
        )

    for actual, desired in zip(theta_gradients(kv.ScoreFunctionELBO()), theta_gradients(kv.ELBO())):
        np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-6)  # float32


@pytest.mark.parametrize("num_samples", [0, -1, 2.0, "3", None])
def test_num_samples_must_be_a_positive_integer(num_samples):
    with pytest.raises(ValueError, match="positive integer") as error:
        kv.ScoreFunctionELBO(num_samples)
    assert str(num_samples) in str(error.value)


def test_a_layer_as_baseline_with_missing_values(make_model, x):
    """Its gradient and that of the model are finite."""
    x = np.where(np.arange(6) == 2, np.nan, x)
    bound = kv.ScoreFunctionELBO(2, baseline=keras.layers.Dense(1))
    model = make_model(likelihood=kv.Observed(kv.Bernoulli(6)), bound=bound)
    model.compile(keras.optimizers.SGD(0.1))
    history = model.fit(x, verbose=0, epochs=2).history
    assert np.isfinite([*history.values()]).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    kernel = np.asarray(bound.baseline.kernel)
    assert np.abs(kernel).max() > 0
