"""TFP's families as likelihoods: densities against scipy in float64, and extreme inputs."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb.tfp_classes.counts import NegativeBinomial


def softplus(raw):
    return np.logaddexp(0, raw)


def continuous_bernoulli(logits):
    """The density of x in [0, 1] is proportional to exp(x logit)."""
    logits = np.asarray(logits)

    class Exact:
        @staticmethod
        def logpdf(x):
            size = np.abs(logits)
            # ∫ exp(x s) dx = (exp(s) - 1) / s for s > 0; else mirrored.
            log_integral = size + np.log(-np.expm1(-size) / size)
            return x * logits - log_integral + np.maximum(-logits, 0)

    return Exact


def nbinom(total_count, logits):
    return stats.nbinom(softplus(total_count), special.expit(-np.asarray(logits)))


class Inflated:
    """Zeros with probability sigmoid(inflated logits), else negative binomial."""

    def __init__(self, total_count, logits, inflated):
        self.inflated, self.counts = np.asarray(inflated), nbinom(total_count, logits)

    def logpmf(self, x):
        log_counts = special.log_expit(-self.inflated) + self.counts.logpmf(x)
        log_zero = special.log_expit(self.inflated)
        return np.where(np.equal(x, 0), np.logaddexp(log_zero, log_counts), log_counts)


class Geometric:
    """From logits; scipy takes probabilities, which round to 1."""

    def __init__(self, logits):
        self.logits = logits

    def logpmf(self, x):
        return special.log_expit(self.logits) + x * special.log_expit(-self.logits)


COUNTS = ["Poisson", "Geometric", "NegativeBinomial", "ZeroInflatedNegativeBinomial"]
MILLION = np.log(1e6)
# Raw values of each parameter, x, and the exact distribution; None for the softmax in the test.
TABLE = {
    "ContinuousBernoulli": ([[2.0, -0.7, 3.0]], [0.0, 1.0, 0.3], continuous_bernoulli),
    "ContinuousBernoulli near 0": ([[1e-4, -0.05, 0.4]], [0.0, 1.0, 0.3], continuous_bernoulli),
    "Laplace": (
        [[0.5, 0.0, -2.0], [1.0, -3.0, 0.2]],
        [0.4, 1.0, 30.0],
        lambda loc, raw: stats.laplace(loc, softplus(raw)),
    ),
    "StudentT": (
        [[1.0, 3.0, -1.0], [0.5, 0.0, -2.0], [1.0, -3.0, 0.2]],
        [0.4, 1.0, 300.0],
        lambda df, loc, raw: stats.t(softplus(df), loc, softplus(raw)),
    ),
    "Beta": (
        [[1.0, 3.0, -1.0], [0.5, 0.0, 5.0]],
        [1e-4, 0.5, 0.999],
        lambda a, b: stats.beta(softplus(a), softplus(b)),
    ),
    "Poisson": ([[0.3, 2.0, -3.0]], [0, 12, 1], lambda raw: stats.poisson(np.exp(raw))),
    "Poisson of a million": (
        [[MILLION, MILLION + 0.002, MILLION - 0.001]],
        [1_000_000, 1_001_000, 1_000_000],
        lambda raw: stats.poisson(np.exp(raw)),
    ),
    "Geometric": (
        [[0.4, -1.0, 3.0]],
        [0, 12, 1],
        lambda raw: stats.geom(special.expit(raw), loc=-1),
    ),
    "Geometric of small probabilities": ([[20.0, 20.0, -120.0]], [1, 20, 0], Geometric),
    "NegativeBinomial": ([[2.0, 0.5, -1.0], [0.3, 2.0, -1.0]], [0, 12, 1], nbinom),
    "NegativeBinomial of a million": (
        [[2.0, 0.5, 5.0], [13.0, 13.5, 12.0]],
        [1_000_000, 1_001_000, 900_000],
        nbinom,
    ),
    "ZeroInflatedNegativeBinomial": (
        [[2.0, 0.5, -1.0], [0.3, 2.0, -1.0], [-1.0, 0.0, 2.0]],
        [0, 12, 1],
        Inflated,
    ),
    "ZeroInflatedNegativeBinomial of a million": (
        [[2.0, 0.5, 5.0], [13.0, 13.5, 12.0], [-1.0, 0.0, 2.0]],
        [1_000_000, 0, 900_000],
        Inflated,
    ),
    "Categorical": (
        [[[0.3, -1.0, 2.0], [0.0, 0.0, 0.0], [50.0, -50.0, 0.0]]],
        [0, 2, 1],
        None,
    ),
}


def likelihood(name):
    family = name.split()[0]
    return kv.Conditional(family, 3, num_classes=3 if family == "Categorical" else None)


@pytest.mark.parametrize("name", TABLE)
def test_densities(name):
    raw, x, make_exact = TABLE[name]
    if make_exact is None:
        expected = np.take_along_axis(special.log_softmax(raw[0], axis=-1), np.c_[x], -1).sum()
    else:
        exact = make_exact(*(np.array(values) for values in raw))
        log_density = exact.logpmf if name.split()[0] in COUNTS else exact.logpdf
        expected = log_density(np.array(x)).sum()
    p = likelihood(name).distribution(*(np.float32([values]) for values in raw))
    actual = np.asarray(p.log_prob(np.float32([x])))
    # Rounding a logit of 13 to float32 changes a mean of a million by 1, and log p by thousandths.
    tolerance = 1e-2 if "million" in name else 1e-5
    np.testing.assert_allclose(actual, [expected], rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("x", [0.0, 9.0, 10.0, 1000.0])
def test_gradient_of_poisson(x, gradients):
    """The gradient is x - λ, below and above 10, from where Stirling's series is used."""
    log_rate = keras.Variable(np.float32([[1.5]]))
    part = kv.Conditional(_backend.tfp.distributions.Poisson, 1)
    actual = gradients(lambda: ops.sum(part.distribution(log_rate).log_prob([[x]])), [log_rate])
    np.testing.assert_allclose(actual[0], [[x - np.exp(1.5)]], rtol=1e-4)
    assert part.get_config()["family"] == "Poisson"


def test_negative_binomial(gradients):
    """Density and gradients for all sizes of x and r, below and above the mean."""
    means, totals = np.meshgrid([1e-3, 0.3, 1.0, 30.0, 1000.0], [1e-3, 0.1, 1.0, 8.0, 1000.0])
    x = np.stack(
        [np.floor(factor * means) for factor in (0, 1, 2)] + [means * 0 + 1, means * 0 + 9]
    )
    r, logits = np.float32(totals), np.float32(np.log(means / totals))
    variables = keras.Variable(r), keras.Variable(logits)

    def log_p():
        p = NegativeBinomial(*(ops.convert_to_tensor(v) for v in variables))
        return p.log_prob(x.astype("float32"))

    r, logits = r.astype("float64"), logits.astype("float64")
    expected = (
        (special.gammaln(x + r) - special.gammaln(r) - special.gammaln(x + 1))
        + x * special.log_expit(logits)
        + r * special.log_expit(-logits)
    )
    # Terms of 1000 log 2 cancel where x and r are 1000.
    np.testing.assert_allclose(log_p(), expected, rtol=5e-5, atol=0)
    by_r, by_logits = gradients(lambda: ops.sum(log_p()), variables)
    digammas = special.digamma(x + r) - special.digamma(r)
    np.testing.assert_allclose(
        by_r, (digammas + special.log_expit(-logits)).sum(0), rtol=1e-4, atol=1e-5
    )
    share = special.expit(logits)
    np.testing.assert_allclose(
        by_logits, (x * (1 - share) - r * share).sum(0), rtol=1e-4, atol=1e-4
    )


def test_negative_binomial_of_infinite_logits():
    """A float16 layer may overflow; zeros then keep the density of a large negative logit."""
    p = NegativeBinomial(2.0, np.float32([-np.inf, -np.inf, np.inf]))
    actual = np.asarray(p.log_prob(np.float32([0, 3, 3])))
    assert actual[0] == 0
    assert (actual[1:] < -1e29).all() and np.isfinite(actual).all()


# x at the boundary of the support and far from it.
EXTREME = {
    "ContinuousBernoulli": [0.0, 1.0, 0.3],
    "Laplace": [0.0, 1e4, -1e4],
    "StudentT": [0.0, 1e4, -1e4],
    "Beta": [1e-6, 0.999999, 0.3],
    "Poisson": [0, 3, 1e6],
    "Geometric": [0, 3, 1e6],
    "NegativeBinomial": [0, 3, 1e6],
    "ZeroInflatedNegativeBinomial": [0, 3, 1e6],
    "Categorical": [0, 2, 1],
}


@pytest.mark.parametrize("size", [1e4, -1e4, 0.0])
@pytest.mark.parametrize("family", EXTREME)
def test_extreme_features(family, size):
    """Every value before its constraint is ±10⁴ or 0: loss and gradients are finite."""
    part = likelihood(family)
    x = np.float32([EXTREME[family]])
    raw = [
        keras.Variable(np.full((1, *shape), size, "float32"))
        for shape in part.family.raw_shapes.values()
    ]
    assert np.isfinite(np.asarray(part.distribution(*raw).log_prob(x))).all()
    found = _backend.gradients(lambda: ops.sum(part.distribution(*raw).log_prob(x)), raw)
    assert all(np.isfinite(np.asarray(g)).all() for g in found)


def model_of(make_model, family):
    return make_model(likelihood=kv.Conditional(family, 6), encoder=keras.layers.Dense(3, "tanh"))


def test_edges_of_the_unit_interval(make_model, x):
    """A Beta density is 0 or infinite there: `fit` raises an error before training."""
    edges = np.where(x > 0.5, 1.0, 0.0)
    model = model_of(make_model, "Beta")
    model.compile("adam")
    weights = model.get_weights()
    for bad in (edges, np.where(x > 0.5, 1.0, x), np.where(x > 0.5, x, 0.0)):
        with pytest.raises(ValueError, match=r"support of .*Beta.*Received: values from"):
            model.fit(bad, verbose=0)
    for before, after in zip(weights, model.get_weights()):
        np.testing.assert_array_equal(before, after)
    model.likelihood.check(x)
    model_of(make_model, "ContinuousBernoulli").likelihood.check(edges)


@pytest.mark.parametrize("family", COUNTS)
def test_counts_are_whole_and_not_negative(family, make_model, x):
    model = model_of(make_model, family)
    model.likelihood.check(np.floor(1e6 * x))
    for bad in (x, -np.floor(10 * x)):
        with pytest.raises(ValueError, match=f"inside the support of .*{family}"):
            model.elbo(bad)
    bad = np.zeros((2001, 6), "float32")
    bad[2000, 5] = 0.5  # in the last of three chunks
    with pytest.raises(ValueError, match=r"Received: fractional numbers from 0.0 to 0.5"):
        model.likelihood.check(bad)


@pytest.mark.parametrize("family", ["ContinuousBernoulli", *COUNTS])
def test_training(family, make_model, x):
    """Ten steps raise the bound, on edges and counts."""
    x = np.where(x > 0.5, 1.0, 0.0) if "Bernoulli" in family else np.floor(10 * x)
    model = model_of(make_model, family)
    model.compile(keras.optimizers.Adam(0.05), jit_compile=keras.backend.backend() == "jax")
    before = model.elbo(x, num_samples=10, seed=0).mean()
    model.fit(x, batch_size=13, epochs=10, verbose=0)
    assert model.elbo(x, num_samples=10, seed=0).mean() > before
    assert np.isfinite(model.reconstruct(x)).all()
