"""Full variational Bayes: q(θ), its bound, gradients and predictions.

`conjugate` is x = θ + z + noise, z ~ N(0, I), noise ~ N(0, s² I), two independent pixels: all of
p(θ, z | X) is normal, so that every number has a closed form.
"""

import keras
import numpy as np
import pytest
import scipy.stats
from contract import step_state
from keras import ops
from streams import Batches

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb.models.weight_posterior import WeightPosterior

NOISE = 0.5  # s


@keras.saving.register_keras_serializable(package="test_full_vb")
class Shift(keras.layers.Layer):
    """z + θ."""

    def build(self, shape):
        self.shift = self.add_weight(shape[1:], initializer="zeros", name="shift")

    def call(self, z):
        return z + self.shift


def conjugate(mean=0.0, scale=0.1, encoder=((0.0, 0.0), 1.0), **settings):
    """q(θ) = N(mean, scale²) and q(z|x) = N(a x + b, v) for `encoder` = ((a, b), v)."""
    (a, b), v = encoder
    model = kv.FullVB(
        encoder=keras.Sequential([keras.layers.Identity()]),
        decoder=keras.Sequential([Shift()]),
        posterior=kv.DiagonalNormal(
            2,
            mean=keras.layers.Dense(2, kernel_initializer=keras.initializers.Identity(a)),
            log_variance=keras.layers.Dense(2, kernel_initializer="zeros"),
        ),
        likelihood=kv.Normal(2, mean=keras.layers.Identity(), scale=NOISE),
        initial_scale=scale,
        **{"seed": 0, **settings},
    )
    model.weight_posterior.means[0].assign([mean, mean])
    model.posterior.heads["mean"].bias.assign([b, b])
    model.posterior.heads["log_variance"].bias.assign(2 * [np.log(v)])
    return model


def seeds(n):
    """The first n seeds of a model with seed=0."""
    generator = keras.random.SeedGenerator(0)
    return [_backend.next_seed(generator) for _ in range(n)]


def values(tensors):
    return [np.float64(ops.convert_to_numpy(t)) for t in tensors]


def randomised(model, scale=0.3):
    """Sets random weights and log-variances."""
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, scale, variable.shape))
    return model


# q(θ)


@pytest.fixture(scope="module")
def weights():
    shapes = [(3, 2), (), (4,)]
    rng = np.random.default_rng(0)
    means, log_variances = [[rng.normal(size=s) for s in shapes] for _ in range(2)]
    variables = [[keras.Variable(v, dtype="float32") for v in vs] for vs in (means, log_variances)]
    posterior = WeightPosterior(*variables, "float32")
    flat = [np.concatenate([np.ravel(v) for v in vs]) for vs in (means, log_variances)]
    return posterior, *flat


def test_divergence_from_the_prior(weights):
    """KL = ½ Σ (σ² + μ² - 1 - log σ²), App. B."""
    posterior, mean, log_variance = weights
    expected = 0.5 * np.sum(np.exp(log_variance) + mean**2 - 1 - log_variance)
    received = posterior.distribution().kl_divergence(posterior.prior())
    np.testing.assert_allclose(received, expected, rtol=1e-5)  # float32


def test_densities(weights):
    posterior, mean, log_variance = weights
    draw = np.full(mean.shape, 0.3, "float32")
    q = scipy.stats.norm(mean, np.exp(log_variance / 2)).logpdf(draw).sum()
    p = scipy.stats.norm().logpdf(draw).sum()
    np.testing.assert_allclose(posterior.distribution().log_prob(draw), q, rtol=1e-5)  # float32
    np.testing.assert_allclose(posterior.prior().log_prob(draw), p, rtol=1e-5)


def test_scales_stay_finite():
    variables = [[keras.Variable(v, dtype="float32")] for v in ([0.0, 0.0], [-1e3, 1e3])]
    scales = WeightPosterior(*variables, "float32").distribution().stddev()
    np.testing.assert_allclose(scales, np.exp([-10, 10]), rtol=1e-5)  # float32


def test_draws(weights, noise):
    posterior, mean, log_variance = weights
    draws = np.float64(posterior.distribution().sample(20_000, seed=noise(0)))
    # Five standard errors, 22 comparisons: odds 1e-5.
    error, scale = 5 / 20_000**0.5, np.exp(log_variance / 2)
    np.testing.assert_allclose((draws.mean(0) - mean) / scale, 0, atol=error)
    np.testing.assert_allclose(draws.var(0) / scale**2, 1, atol=error * 2**0.5)
    correlations = np.corrcoef(draws.T)[np.triu_indices(11, 1)]
    np.testing.assert_allclose(correlations, 0, atol=error)  # 55 of them: odds 3e-5


def test_covers_the_trainable_variables_of_the_generative_part(make_model):
    frozen = keras.layers.Dense(4, trainable=False)
    batch_norm = keras.layers.BatchNormalization()
    model = make_model(kv.FullVB, decoder=keras.Sequential([frozen, batch_norm]))
    expected = [batch_norm.gamma, batch_norm.beta, *model.likelihood.trainable_variables]
    assert [id(v) for v in model.weight_posterior.means] == [id(v) for v in expected]
    shapes = [v.shape for v in model.weight_posterior.log_variances]
    assert shapes == [v.shape for v in expected]
    for log_variance in model.weight_posterior.log_variances:
        assert any(log_variance is v for v in model.trainable_variables)
        np.testing.assert_allclose(log_variance, np.log(0.01**2), rtol=1e-6)  # float32


@keras.saving.register_keras_serializable(package="test_full_vb")
class ShiftedNormal(kv.Prior):
    """p(z) = N(θ, I)."""

    def __init__(self, event_shape, **kwargs):
        super().__init__(event_shape, **kwargs)
        self.mean = self.add_weight(self.event_shape, initializer="zeros")

    def distribution(self):
        tfd = _backend.tfp.distributions
        mean = ops.convert_to_tensor(self.mean)
        return tfd.MultivariateNormalDiag(mean, ops.ones_like(mean))


# The bound


def image_decoder():
    return keras.Sequential(
        [
            keras.layers.Reshape((1, 1, 2)),
            keras.layers.Conv2DTranspose(4, 2),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=3),
        ]
    )


PARTS = {
    "dense": dict,
    "convolution, batch normalisation, dropout": lambda: {"decoder": image_decoder()},
    "prior with weights": lambda: {
        "prior": ShiftedNormal(2),
        "bound": kv.ELBO(kl="sampled"),
    },
    "penalty on activities": lambda: {
        "decoder": keras.Sequential([keras.layers.Dense(4, activity_regularizer="l2")])
    },
}
every_kind = pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_is_the_bound_of_aevb_at_the_sampled_weights(parts, training, make_model, x):
    """AEVB whose variables hold the sampled θ has the same terms, penalties and layer states."""
    model = randomised(make_model(kv.FullVB, n_train=50, **parts()))
    aevb = make_model(kv.AEVB, **parts())
    q = model.weight_posterior.distribution()
    draw = q.sample(seed=aevb.next_seed())  # the first of both models' seeds
    for part in ("encoder", "posterior"):
        getattr(aevb, part).set_weights(getattr(model, part).get_weights())
    parts = (aevb.decoder, aevb.likelihood, aevb.prior)
    variables = [v for part in parts for v in part.trainable_variables]
    for variable, value in zip(variables, model.weight_posterior.split(draw)):
        variable.assign(value)

    expected, expected_terms = aevb.objective(x, training)
    loss, terms = model.objective(x, training)
    weight_kl = float(q.kl_divergence(model.weight_posterior.prior()))
    # float32 in another order
    for name, value in expected_terms.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(terms["weight_kl"], np.full(len(x), weight_kl), rtol=1e-5)
    np.testing.assert_allclose(loss, np.asarray(expected) + weight_kl / 50, rtol=1e-5)
    penalties = [sum(float(v) for v in m.losses) for m in (model, aevb)]
    np.testing.assert_allclose(*penalties, rtol=1e-5)
    states = [m.decoder.non_trainable_variables for m in (model, aevb)]
    for actual, desired in zip(*map(values, states)):
        np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_sampling_does_not_change_the_weights(make_model, x):
    model = randomised(make_model(kv.FullVB, n_train=50, decoder=image_decoder()))
    before = values(model.trainable_variables)
    model.objective(x, True)
    model.elbo(x, num_samples=2)
    model.sample(3)
    for actual, desired in zip(values(model.trainable_variables), before):
        np.testing.assert_array_equal(actual, desired)


@pytest.mark.slow
def test_narrow_weights_give_the_bound_of_aevb(make_model, x):
    model = make_model(kv.FullVB, initial_scale=4.6e-5, n_train=50)
    aevb = make_model(kv.AEVB)
    aevb.next_seed()  # skips the seed that FullVB uses for θ
    (_, terms), (_, expected) = model.objective(x, True), aevb.objective(x, True)
    for name, value in expected.items():
        # 42 weights that are 5e-5 away
        np.testing.assert_allclose(terms[name], value, rtol=1e-3, atol=1e-3)


def test_sampled_divergence_is_that_of_the_sampled_weights(make_model, x):
    """Eq. 22 and eq. 24 differ only in the divergence."""
    analytic, sampled = (
        randomised(make_model(kv.FullVB, n_train=50, weight_kl=kind))
        for kind in ("analytic", "sampled")
    )
    q, p = sampled.weight_posterior.distribution(), sampled.weight_posterior.prior()
    draw = q.sample(seed=seeds(1)[0])
    expected = float(q.log_prob(draw)) - float(p.log_prob(draw))
    (loss, terms), (other_loss, other_terms) = (m.objective(x, True) for m in (sampled, analytic))
    np.testing.assert_allclose(terms["weight_kl"], np.full(len(x), expected), rtol=1e-4)  # float32
    difference = np.asarray(terms["weight_kl"]) - np.asarray(other_terms["weight_kl"])
    assert np.all(np.abs(difference) > 0.1)
    np.testing.assert_allclose(
        np.asarray(loss) - np.asarray(other_loss), difference / 50, rtol=1e-3, atol=1e-6
    )


def test_the_sampled_divergence_has_the_mean_kl():
    """log q(θ) - log p(θ) has the mean KL and, for each weight, the variance ½(σ²-1)² + μ²σ²."""
    model = conjugate(mean=0.7, scale=0.4, n_train=10, weight_kl="sampled")
    model.compile()
    logs = model.evaluate(np.zeros((2000, 2)), batch_size=2, verbose=0, return_dict=True)
    kl = 0.4**2 + 0.7**2 - 1 - 2 * np.log(0.4)  # two weights
    variance = 2 * (0.5 * (0.4**2 - 1) ** 2 + (0.7 * 0.4) ** 2)
    # Five standard errors of 1000 draws: odds 6e-7.
    np.testing.assert_allclose(logs["weight_kl"], kl, atol=5 * (variance / 1000) ** 0.5)
    np.testing.assert_allclose(logs["loss"], logs["weight_kl"] / 10 - logs["elbo"], rtol=1e-5)


def expected_elbo(x, mean, scale, a, b, v):
    """E_q(θ)[ELBO(x; θ)] of the conjugate model, for each example."""
    z = a * x + b
    square = (x - mean - z) ** 2 + scale**2 + v
    reconstruction = -0.5 * np.log(2 * np.pi * NOISE**2) - square / (2 * NOISE**2)
    return np.sum(reconstruction - 0.5 * (z**2 + v - 1 - np.log(v)), axis=1)


def test_elbo_is_the_mean_over_weights():
    scale, (a, b), v = 0.6, (0.5, 0.1), 0.3
    x = np.random.default_rng(0).normal(size=(4, 2))
    model = conjugate(0.7, scale, ((a, b), v))
    expected = expected_elbo(x, 0.7, scale, a, b, v)
    # x - θ - z ~ N(d, t): its square has the variance 2t² + 4d²t.
    d, t = x - 0.7 - a * x - b, scale**2 + v
    variance = np.sum(2 * t**2 + 4 * d**2 * t, axis=1) / (2 * NOISE**2) ** 2
    error = 5 * (variance / 2000) ** 0.5  # five standard errors, four times: odds 2e-6
    assert np.all(error < expected_elbo(x, 0.7, 0, a, b, v) - expected)  # the bound at the mean
    received = model.elbo(x, num_samples=2000, seed=0)
    np.testing.assert_array_less(np.abs(received - expected), error)


# Gradients


@pytest.mark.parametrize("kind", ["analytic", "sampled"])
def test_gradients_of_mean_and_log_variance(kind, gradients):
    """With g = ∂L/∂θ at θ = μ + σζ: ∂L/∂μ = g + …, ∂L/∂log σ² = ½ σ ζ g + …"""
    n_train, scale = 7, 0.4
    x = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    model = conjugate(mean=0.7, scale=scale, n_train=n_train, weight_kl=kind)
    seed, z_seed = seeds(2)
    theta = np.float64(model.weight_posterior.distribution().sample(seed=seed))
    z = np.float64(model.encode(x).sample(seed=z_seed))
    zeta = (theta - 0.7) / scale
    g = np.mean(theta + z - x, axis=0) / NOISE**2
    if kind == "analytic":
        expected = g + 0.7 / n_train, 0.5 * scale * zeta * g + 0.5 * (scale**2 - 1) / n_train
    else:  # log q(θ) - log p(θ) = -log σ - ζ²/2 + θ²/2 + …
        h = g + theta / n_train
        expected = h, 0.5 * scale * zeta * h - 0.5 / n_train
    variables = [model.weight_posterior.means[0], model.weight_posterior.log_variances[0]]
    received = gradients(lambda: ops.mean(model.objective(x, True)[0]), variables)
    for actual, desired in zip(received, expected):
        np.testing.assert_allclose(actual, desired, rtol=1e-4, atol=1e-5)  # float32


# Learning the known posterior


@pytest.fixture(scope="module")
def learned():
    """The conjugate model after training on 20 examples, and the examples."""
    x = np.random.default_rng(1).normal(1.0, 1.1, (20, 2)).astype("float32")
    model = conjugate(scale=0.2, n_train=20, bound=kv.ELBO(10))
    decay = keras.optimizers.schedules.CosineDecay(0.015, 1500)
    model.compile(keras.optimizers.Adam(decay))
    model.fit(np.tile(x, (1500, 1)), batch_size=20, shuffle=False, verbose=0)
    return model, x


def test_learns_the_best_factorised_posterior(learned):
    """Its means are those of p(θ, z|X), its variances one over the diagonal of the precision."""
    model, x = learned
    mean = x.sum(0) / (len(x) + 1 + NOISE**2)
    np.testing.assert_allclose(model.weight_posterior.means[0], mean, atol=0.02)  # noise of Adam
    precision = 1 + len(x) / NOISE**2
    np.testing.assert_allclose(
        np.exp(model.weight_posterior.log_variances[0]), 1 / precision, rtol=0.1
    )
    q = model.encode(x)
    np.testing.assert_allclose(q.mean(), (x - mean) / (1 + NOISE**2), atol=0.05)
    np.testing.assert_allclose(q.variance(), np.full(x.shape, 1 / (1 + NOISE**-2)), rtol=0.1)


def test_bound_of_the_learned_posterior(learned):
    """Σ ELBO - KL(q(θ) ‖ p(θ)) is its known maximum, and below log p(X)."""
    model, x = learned
    n, variance = len(x), 1 + NOISE**2
    mean = x.sum(0) / (n + variance)
    z = (x - mean) / variance
    joint = (
        scipy.stats.norm(mean + z, NOISE).logpdf(x).sum()
        + scipy.stats.norm().logpdf(z).sum()
        + scipy.stats.norm().logpdf(mean).sum()
    )
    # E_q[log p(X, z, θ)] + H(q) = log p at the means + Σ ½ log(2π v), as each v is 1 / precision.
    precisions = np.array([1 + n / NOISE**2] + n * [1 + NOISE**-2])
    best = joint + 2 * np.sum(0.5 * np.log(2 * np.pi / precisions))
    covariance = np.ones((n, n)) + variance * np.eye(n)
    exact = sum(scipy.stats.multivariate_normal(cov=covariance).logpdf(column) for column in x.T)
    assert best < exact - 0.5

    logs = model.evaluate(np.tile(x, (500, 1)), batch_size=n, verbose=0, return_dict=True)
    # The bound at one sample scatters by about 2 nats, its mean over 500 samples by 0.1. That
    # exceeds the loss from incomplete training. The tolerance is five times 0.1.
    np.testing.assert_allclose(-n * logs["loss"], best, atol=0.5)
    assert -n * logs["loss"] < exact
    np.testing.assert_allclose(-logs["loss"], logs["elbo"] - logs["weight_kl"] / n, rtol=1e-5)


# The posterior predictive: x ~ N(mean, 1 + s² + scale²)

# q(z|x) is p(z|x) at the mean of θ, widened by the spread of θ.
WIDE = {"mean": 0.7, "scale": 1.0, "encoder": ((0.8, -0.56), 0.9)}
PREDICTIVE = scipy.stats.norm(0.7, (1 + NOISE**2 + 1.0**2) ** 0.5)


@pytest.mark.parametrize(
    "method", ["importance", kv.AnnealedImportanceSampling(num_steps=20)], ids=["is", "ais"]
)
def test_log_likelihood_is_the_predictive_density(method):
    x = np.random.default_rng(0).normal(size=(6, 2))
    model = conjugate(**WIDE)
    estimate, error = model.log_likelihood(
        x,
        num_samples=20,
        method=method,
        num_weight_samples=200,
        seed=0,
        return_standard_error=True,
    )
    exact = PREDICTIVE.logpdf(x).sum(1)
    at_mean = scipy.stats.norm(0.7, (1 + NOISE**2) ** 0.5).logpdf(x).sum(1)
    assert np.all((error > 0) & (error < 0.25))
    assert np.any(np.abs(exact - at_mean) > 5 * error)
    np.testing.assert_array_less(np.abs(estimate - exact), 5 * error)  # odds 3e-6


def test_standard_error_is_the_spread_of_the_estimates():
    x = np.array([[0.5, 1.0]])
    model = conjugate(**WIDE)
    estimates, errors = np.transpose(
        [
            model.log_likelihood(x, 20, num_weight_samples=100, seed=s, return_standard_error=True)
            for s in range(100)
        ]
    )[0]
    # The spread of 100 estimates is known to 7 %: five of these, odds 6e-7.
    np.testing.assert_allclose(estimates.std(ddof=1) / errors.mean(), 1, atol=0.35)


def test_samples_come_from_the_predictive():
    model = conjugate(**WIDE)
    x = model.sample(4000, seed=0)
    assert x.shape == (4000, 2)
    # Two pixels, each compared at a level of 1e-4.
    assert min(scipy.stats.kstest(column, PREDICTIVE.cdf).pvalue for column in x.T) > 1e-4


def test_weight_samples_are_used_equally_often():
    """4000 samples of x from 40 samples of θ: means of 100 scatter like θ."""
    x = conjugate(**WIDE).sample(4000, seed=0, num_weight_samples=40)
    means = x.reshape(100, 40, 2).mean(0)
    # Five standard errors of a variance of 80 values, near 1: odds 1e-6; independent draws of θ
    # would leave 0.02.
    np.testing.assert_allclose(means.var(), 1 + (1 + NOISE**2) / 100, rtol=5 * (2 / 80) ** 0.5)


def test_predictions_are_at_the_mean_of_the_weights(x):
    model = conjugate(**WIDE)
    expected = 0.7 + 0.8 * x[:, :2] - 0.56
    np.testing.assert_allclose(model.predict(x[:, :2], verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(model.reconstruct(x[:, :2]), expected, rtol=1e-5)
    np.testing.assert_allclose(model.decode(np.zeros((1, 2))).mean(), [[0.7, 0.7]], rtol=1e-6)


def test_a_seed_fixes_the_draws_of_log_likelihood(make_model, x):
    model = randomised(make_model(kv.FullVB))

    def estimate(seed):
        return model.log_likelihood(x, 5, seed=seed, num_weight_samples=2)

    np.testing.assert_array_equal(estimate(0), estimate(0))
    assert np.any(estimate(0) != estimate(1))
    assert np.any(estimate(None) != estimate(None))


# Training in Keras


def fit(model, x, **settings):
    return model.fit(x, **{"batch_size": 13, "shuffle": False, "verbose": 0, **settings}).history


@every_kind
def test_trains_means_scales_and_recognition_model(parts, make_model, x):
    model = randomised(make_model(kv.FullVB, **parts()))
    model.compile(keras.optimizers.SGD(0.1))
    before = values(model.variables)
    history = fit(model, x)
    assert set(history) == {"loss", "elbo", "reconstruction", "kl", "weight_kl"}
    assert all(np.all(np.isfinite(v)) for v in history.values())
    assert all(np.any(a != b) for a, b in zip(values(model.variables), before))


def n_train_of(history):
    """N, recovered from loss = weight_kl / N - elbo."""
    return history["weight_kl"][0] / (history["loss"][0] + history["elbo"][0])


def test_n_train_comes_from_the_arrays(make_model, x):
    """A compiled program uses the N of the current data."""
    model = make_model(kv.FullVB)
    assert model.n_train is None
    model.compile(keras.optimizers.SGD(0.0))
    both = {"validation_split": 0.25, "validation_data": (x, None)}  # the split is not made then
    for settings, n in [({}, 13), ({"validation_split": 0.25}, 9), (both, 13)]:
        np.testing.assert_allclose(n_train_of(fit(model, x, **settings)), n, rtol=1e-3)  # cancels
        assert model.n_train == n


def test_a_given_n_train_is_kept(make_model, x):
    model = make_model(kv.FullVB, n_train=1000)
    model.compile(keras.optimizers.SGD(0.0))
    np.testing.assert_allclose(n_train_of(fit(model, x)), 1000, rtol=1e-2)  # cancels
    assert kv.FullVB.from_config(model.get_config()).n_train == model.n_train == 1000


def test_sample_weights_count_as_copies(x):
    """With N = Σ w, the loss of all n examples is (weight_kl - Σ w elbo) / n."""
    weights = np.random.default_rng(0).integers(1, 5, len(x))
    model = conjugate(mean=0.7, n_train=weights.sum())
    model.compile()
    logs = model.evaluate(
        x[:, :2], batch_size=len(x), sample_weight=weights, verbose=0, return_dict=True
    )
    total = logs["weight_kl"] - weights.sum() * logs["elbo"]  # `elbo` is a weighted mean
    np.testing.assert_allclose(logs["loss"], total / len(x), rtol=1e-5)  # float32


def test_n_train_of_the_arrays_survives_saving(make_model, x, tmp_path):
    model = make_model(kv.FullVB)
    model.adapt(x)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").n_train == 13


# On JAX the step is a function of its state


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX's train_step is pure")
def test_replicas_in_one_program_equal_models_trained_alone(make_model, x):
    import jax

    def build(seed, n_train):
        model = randomised(
            make_model(kv.FullVB, decoder=image_decoder(), n_train=n_train, seed=seed)
        )
        model.compile(keras.optimizers.Adagrad(0.02))
        return model

    models = [build(seed, n_train) for seed, n_train in [(0, 10), (1, 100)]]
    stacked = jax.tree.map(lambda *values: jax.numpy.stack(values), *map(step_state, models))
    before = jax.tree.map(np.array, step_state(models[0]))
    batches = x[:12].reshape(3, 4, 6)

    def epoch(state):
        return jax.lax.scan(lambda s, x: models[0].train_step(s, (x,))[::-1], state, batches)

    replicas, logs = jax.jit(jax.vmap(epoch))(stacked)
    for actual, desired in zip(jax.tree.leaves(before), jax.tree.leaves(step_state(models[0]))):
        np.testing.assert_array_equal(actual, desired)
    for i, model in enumerate(models):
        history = fit(model, x[:12], batch_size=4)
        # float32 sums in another order; three steps
        np.testing.assert_allclose(logs["loss"][i, -1], history["loss"][0], rtol=1e-4)
        for group, variables in zip(replicas, step_state(model)[:2]):
            for value, variable in zip(group, variables):
                np.testing.assert_allclose(value[i], variable, rtol=1e-3, atol=1e-5)


# Errors


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"weight_kl": "exact"}, r"`weight_kl`.*'analytic' or 'sampled'.*'exact'"),
        ({"n_train": 0}, r"`n_train`.*positive.*0"),
        ({"n_train": "all"}, r"`n_train`.*positive.*'all'"),
        ({"initial_scale": 0.0}, r"`initial_scale`.*from 4.53999e-05.*Received: 0\.0"),
        ({"initial_scale": 1e9}, r"`initial_scale`.*to 22026.5.*1000000000"),
    ],
)
def test_invalid_settings(settings, message, make_model):
    with pytest.raises(ValueError, match=message):
        make_model(kv.FullVB, **settings)


@pytest.mark.parametrize("argument", ["kernel_regularizer", "bias_regularizer"])
def test_regularizers_count_the_prior_twice(argument, make_model):
    def layer():
        return keras.Sequential([keras.layers.Dense(4, **{argument: "l2"})])

    with pytest.raises(ValueError, match=r"counts it twice.*Received: .*dense.*L2"):
        make_model(kv.FullVB, decoder=layer())
    make_model(kv.FullVB, encoder=layer())  # φ has no prior


def test_a_generative_part_without_trainable_variables(make_model):
    with pytest.raises(ValueError, match=r"trainable variables.*Received none"):
        make_model(
            kv.FullVB,
            posterior=kv.DiagonalNormal(6),
            decoder=keras.Sequential([keras.layers.Identity()]),
            likelihood=kv.Bernoulli(6, logits=keras.layers.Identity()),
        )


def test_streams_need_n_train(make_model, x):
    model = make_model(kv.FullVB)
    model.compile("adam")
    for method in (
        lambda: model.fit(Batches([(x,)]), verbose=0),
        lambda: model.evaluate(x, verbose=0),
        lambda: model.train_on_batch(x),
        lambda: model.test_on_batch(x),
    ):
        with pytest.raises(ValueError, match=r"FullVB\(.*n_train=N\).*Received: n_train=None"):
            method()
    model = make_model(kv.FullVB, n_train=13)
    model.compile("adam")
    assert np.isfinite(model.fit(Batches([(x,)]), verbose=0).history["loss"][0])


@pytest.mark.parametrize("number", [0, 1.5])
def test_numbers_of_weight_samples(number, make_model, x):
    model = make_model(kv.FullVB)
    for method in (
        lambda: model.elbo(x, num_samples=number),
        lambda: model.sample(4, num_weight_samples=number),
        lambda: model.log_likelihood(x, num_weight_samples=number),
    ):
        with pytest.raises(ValueError, match=f"positive integer.*{number}"):
            method()


def test_needs_a_reparameterisable_posterior(make_model):
    with pytest.raises(ValueError, match="reparameterisable"):
        make_model(kv.FullVB, posterior=kv.Bernoulli(2), bound=kv.ELBO(kl="sampled"))


def test_sample_weights_do_not_scale_activity_penalties(x):
    """Only the bound is weighted: loss = -4 elbo + penalty, with the divergence of θ made small."""

    def penalty(weights):
        keras.utils.set_random_seed(0)
        model = kv.FullVB(
            encoder=keras.Sequential(
                [keras.layers.Dense(4, activity_regularizer=keras.regularizers.L2(1.0))]
            ),
            decoder=keras.Sequential([keras.layers.Dense(4)]),
            posterior=kv.DiagonalNormal(2),
            likelihood=kv.Bernoulli(6),
            n_train=1e12,
            seed=0,
        )
        model.compile(keras.optimizers.SGD(0.0))
        logs = model.fit(x, batch_size=13, sample_weight=weights, verbose=0).history
        return logs["loss"][0] + (1 if weights is None else 4) * logs["elbo"][0]

    alone = penalty(None)
    assert alone > 0.1
    # The difference of two losses of 20 in float32
    np.testing.assert_allclose(penalty(np.full(13, 4.0)), alone, atol=2e-5)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`")  # Keras' own
def test_weights_that_quantization_has_replaced(make_model, x):
    model = make_model(kv.FullVB, n_train=100)
    model.compile()
    model.decoder.quantize("int8")
    for call in (model.evaluate, model.elbo):
        with pytest.raises(ValueError, match=r"the model no longer has.*kernel"):
            call(x, verbose=0)


@pytest.mark.parametrize("frozen", ["all", "one layer"])
def test_saving_with_frozen_weights_is_refused(tmp_path, frozen):
    model = conjugate(n_train=10)
    (model if frozen == "all" else model.decoder.layers[0]).trainable = False
    with pytest.raises(ValueError, match=r"freeze or unfreeze them after.*shift"):
        model.save(tmp_path / "a.keras")
    model.trainable = model.decoder.layers[0].trainable = True
    model.save(tmp_path / "a.keras")
