"""`DiscretizedLogisticMixture`: probabilities, gradients, draws and errors."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

import keras_aevb as kv

BINS = np.arange(256)
# Raw values of K = 3 components: logits, μ and log s, with pixels scaled to [-1, 1].
CASES = {
    "wide": ([0.3, -1.0, 0.5], [0.1, -0.6, 0.9], [-1.0, 0.5, -3.0]),
    "narrow": ([0.0, 0.0, 0.0], [0.0, -0.5, 0.7], [-6.5, -6.0, -7.0]),
    "outside": ([0.0, 1.0, 0.0], [-3.0, 2.0, 0.0], [0.0, 0.0, 6.0]),
    "one component alone": ([50.0, -50.0, 0.0], [0.0, 0.0, 0.0], [-2.0, 1.0, 0.0]),
}


def distribution(case, event_shape=1, **arguments):
    likelihood = kv.DiscretizedLogisticMixture(event_shape, num_components=3, **arguments)
    raw = [np.array(values, "float32").reshape(1, 1, 3) for values in CASES[case]]
    return likelihood.distribution(*map(ops.convert_to_tensor, raw))


def exact_log_probs(case):
    """Log probabilities in float64, from the smaller tail."""
    logits, loc, log_scale = (np.array(v) for v in CASES[case])
    logistic = stats.logistic(127.5 + 127.5 * loc, 127.5 * np.exp(log_scale))
    x = BINS[:, None].astype("float64")
    lower = np.where(x == 0, -np.inf, x - 0.5)
    upper = np.where(x == 255, np.inf, x + 0.5)
    with np.errstate(divide="ignore"):
        log_probs = np.where(
            x > logistic.mean(),
            np.log(logistic.sf(lower) - logistic.sf(upper)),
            np.log(logistic.cdf(upper) - logistic.cdf(lower)),
        )
    return special.logsumexp(log_probs + special.log_softmax(logits), axis=1)


@pytest.mark.parametrize("case", CASES)
def test_probabilities(case):
    log_probs = np.asarray(distribution(case).log_prob(BINS.reshape(-1, 1, 1).astype("float32")))
    exact = exact_log_probs(case)
    # float32 has s and (x - μ) / s to 7 digits, and log p is of their size.
    likely = np.isfinite(exact)
    np.testing.assert_allclose(log_probs[likely, 0], exact[likely], rtol=2e-5, atol=2e-5)
    assert np.isfinite(log_probs).all()
    np.testing.assert_allclose(np.exp(log_probs.astype("float64")).sum(), 1, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_mean_and_frequencies_of_draws(case, noise):
    """χ² of 20 000 draws in ten groups of bins: fails with probability 10⁻⁴ for another seed."""
    p = distribution(case)
    probabilities = np.exp(exact_log_probs(case))
    np.testing.assert_allclose(np.asarray(p.mean()), [[probabilities @ BINS]], rtol=1e-4)
    draws = np.asarray(p.sample(20_000, seed=noise(0))).ravel().astype(int)
    assert draws.min() >= 0 and draws.max() <= 255
    edges = np.unique(np.searchsorted(np.cumsum(probabilities), np.linspace(0, 1, 11)[1:-1]))
    starts = np.concatenate([[0], edges + 1])
    starts = starts[starts < 256]
    expected = np.add.reduceat(probabilities, starts)
    counts = np.add.reduceat(np.bincount(draws, minlength=256), starts)
    keep = expected > 1e-4
    statistic = np.sum((counts - 20_000 * expected)[keep] ** 2 / (20_000 * expected[keep]))
    assert stats.chi2(len(expected) - 1).sf(statistic) > 1e-4


@pytest.mark.parametrize("x", [0.0, 7.0, 128.0, 255.0])
def test_gradient_against_finite_differences(x, gradients):
    raw = [np.array(v).reshape(1, 1, 3) for v in CASES["wide"]]
    likelihood = kv.DiscretizedLogisticMixture(1, num_components=3)
    variables = [keras.Variable(v.astype("float32")) for v in raw]
    actual = gradients(
        lambda: ops.sum(likelihood.distribution(*variables).log_prob(np.float32([[x]]))), variables
    )

    def exact(logits, loc, log_scale):
        s, centre = 127.5 * np.exp(log_scale), 127.5 + 127.5 * loc
        upper = 1.0 if x == 255 else special.expit((x + 0.5 - centre) / s)
        lower = 0.0 if x == 0 else special.expit((x - 0.5 - centre) / s)
        return np.log(np.sum(special.softmax(logits) * (upper - lower)))

    step = 1e-6
    for i, gradient in enumerate(actual):
        for k in range(3):
            moved = [[v.copy() for v in raw] for _ in range(2)]
            moved[0][i][..., k] -= step
            moved[1][i][..., k] += step
            low, high = (exact(*values) for values in moved)
            assert gradient[0, 0, k] == pytest.approx((high - low) / (2 * step), 2e-4, 1e-5)


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_features(size, gradients):
    """Every log probability and gradient is finite, of all-0 and all-255 images too."""
    likelihood = kv.DiscretizedLogisticMixture((2, 2))
    features = keras.Variable(np.full((3, 4), size, "float32"))
    x = np.stack([np.full((2, 2), v, "float32") for v in (0, 100, 255)])

    def loss():
        return ops.sum(likelihood.distribution(*likelihood(features)).log_prob(x))

    assert np.isfinite(float(loss()))
    variables = [features, *likelihood.trainable_variables]
    assert all(np.isfinite(g).all() for g in gradients(loss, variables))


@pytest.mark.slow
def test_training_and_saving(make_model, tmp_path):
    x = np.random.default_rng(0).binomial(15, 0.8, size=(13, 6)).astype("float32")
    encoder = keras.Sequential([keras.layers.Rescaling(1 / 15), keras.layers.Dense(5, "tanh")])
    model = make_model(encoder=encoder, likelihood=kv.DiscretizedLogisticMixture(6, 3, high=15))
    model.compile(keras.optimizers.Adam(0.05), jit_compile=False)
    before = model.elbo(x, num_samples=10, seed=0).mean()
    model.fit(x, batch_size=len(x), epochs=10, verbose=0)
    after = model.elbo(x, num_samples=10, seed=0)
    assert after.mean() > before + 1
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, num_samples=10, seed=0), after)
    draws = model.sample(5, seed=0)
    model.likelihood.check(draws)
    reconstructed = model.reconstruct(x)
    assert reconstructed.shape == x.shape and reconstructed.min() >= 0


def test_errors():
    likelihood = kv.DiscretizedLogisticMixture(2, low=-3, high=4)
    likelihood.check(np.array([[-3.0, 4.0]]))
    for bad in (-4.0, 5.0, 0.5):
        with pytest.raises(ValueError, match=r"whole numbers from -3 to 4.*Received: values"):
            likelihood.check(np.array([[bad, 0.0]]))
    wrong = {"num_components": 0, "low": 0.5, "high": 0}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"Expected `{name}`.*Received: {value}"):
            kv.DiscretizedLogisticMixture(2, **{name: value})
    with pytest.raises(ValueError, match=r"`loc`.*10 values.*Received: output of shape"):
        kv.DiscretizedLogisticMixture(2, loc=keras.layers.Dense(2)).build((None, 4))
