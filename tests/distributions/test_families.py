"""`Conditional` and `Unconditional`: families against scipy, and constraints of parameters."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import integrate, special, stats

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb._backend import tfp
from keras_aevb.distributions.family import Family

tfd = tfp.distributions
GRID = np.array([0.15, 0.4, 0.85])

# TFP's parameters, and scipy's distribution of one element.
SCALAR = {
    "Beta": ({"concentration1": 2.0, "concentration0": 3.0}, stats.beta(2, 3)),
    "Cauchy": ({"loc": 0.5, "scale": 2.0}, stats.cauchy(0.5, 2)),
    "Chi2": ({"df": 3.0}, stats.chi2(3)),
    "Exponential": ({"rate": 2.0}, stats.expon(scale=0.5)),
    "F": ({"df1": 3.0, "df2": 5.0}, stats.f(3, 5)),
    "Gamma": ({"concentration": 2.0, "rate": 3.0}, stats.gamma(2, scale=1 / 3)),
    "GeneralizedPareto": (
        {"loc": 0.1, "scale": 2.0, "concentration": 0.5},
        stats.genpareto(0.5, 0.1, 2),
    ),
    "Gompertz": ({"concentration": 0.5, "rate": 2.0}, stats.gompertz(0.5, scale=0.5)),
    "Gumbel": ({"loc": 0.5, "scale": 2.0}, stats.gumbel_r(0.5, 2)),
    "HalfNormal": ({"scale": 2.0}, stats.halfnorm(scale=2)),
    "InverseGamma": ({"concentration": 2.0, "scale": 3.0}, stats.invgamma(2, scale=3)),
    "Laplace": ({"loc": 0.5, "scale": 2.0}, stats.laplace(0.5, 2)),
    "LogNormal": ({"loc": 0.5, "scale": 2.0}, stats.lognorm(2, scale=np.exp(0.5))),
    "Logistic": ({"loc": 0.5, "scale": 2.0}, stats.logistic(0.5, 2)),
    "Moyal": ({"loc": 0.5, "scale": 2.0}, stats.moyal(0.5, 2)),
    "Normal": ({"loc": 0.5, "scale": 2.0}, stats.norm(0.5, 2)),
    "Pareto": ({"concentration": 2.0, "scale": 0.1}, stats.pareto(2, scale=0.1)),
    "Reciprocal": ({"low": 0.1, "high": 2.0}, stats.loguniform(0.1, 2)),
    "StudentT": ({"df": 4.0, "loc": 0.5, "scale": 2.0}, stats.t(4, 0.5, 2)),
    "Triangular": ({"low": 0.0, "high": 2.0, "peak": 0.5}, stats.triang(0.25, 0, 2)),
    "TruncatedNormal": (
        {"loc": 0.5, "scale": 2.0, "low": 0.0, "high": 1.0},
        stats.truncnorm(-0.25, 0.25, 0.5, 2),
    ),
    "Uniform": ({"low": -1.0, "high": 3.0}, stats.uniform(-1, 4)),
    "VonMises": ({"loc": 0.5, "concentration": 2.0}, stats.vonmises(2, 0.5)),
    "Weibull": ({"concentration": 2.0, "scale": 3.0}, stats.weibull_min(2, scale=3)),
}
COUNTS = {
    "Binomial": ({"total_count": 9.0, "logits": 0.4}, stats.binom(9, special.expit(0.4))),
    "Geometric": ({"logits": 0.4}, stats.geom(special.expit(0.4), loc=-1)),
    "NegativeBinomial": (
        {"total_count": 3.0, "logits": 0.4},
        stats.nbinom(3, 1 - special.expit(0.4)),
    ),
    "Poisson": ({"log_rate": 0.4}, stats.poisson(np.exp(0.4))),
    "Poisson of a rate": ({"rate": 2.0}, stats.poisson(2.0)),
}
# Families in the paper's section 2.4 that are special cases of a TFP family.
SPECIAL = {
    "Rayleigh": ("Weibull", {"concentration": 2.0, "scale": 2**0.5}, stats.rayleigh()),
    "Erlang": ("Gamma", {"concentration": 3.0, "rate": 2.0}, stats.erlang(3, scale=0.5)),
}


def log_prob(family, event_shape, x, **parameters):
    prior = kv.Unconditional(family, event_shape, **parameters)
    assert prior.trainable_variables == []
    return np.asarray(prior.distribution().log_prob(np.asarray(x, "float32")))


@pytest.mark.parametrize("name", [*SCALAR, *SPECIAL])
def test_densities_over_numbers(name):
    if name in SPECIAL:
        name, parameters, exact = SPECIAL[name]
    else:
        parameters, exact = SCALAR[name]
    expected = exact.logpdf(GRID).sum()
    # float32; a sum may lie near 0
    np.testing.assert_allclose(log_prob(name, 3, GRID, **parameters), expected, 2e-5, 1e-6)


@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_of_counts(name):
    parameters, exact = COUNTS[name]
    expected = exact.logpmf([0, 2, 5]).sum()
    actual = log_prob(name.split()[0], 3, [0, 2, 5], **parameters)
    np.testing.assert_allclose(actual, expected, rtol=2e-5)


TRIL = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.1, -0.3, 0.7]])
LOC = np.array([0.5, -1.0, 0.2])
ON_SIMPLEX = GRID / GRID.sum()
ON_SPHERE = GRID / np.linalg.norm(GRID)
VECTOR = {
    "Dirichlet": ({"concentration": [2.0, 1.0, 3.0]}, stats.dirichlet([2, 1, 3]), ON_SIMPLEX),
    "MultivariateNormalTriL": (
        {"loc": LOC, "scale_tril": TRIL},
        stats.multivariate_normal(LOC, TRIL @ TRIL.T),
        GRID,
    ),
    "MultivariateStudentT": (
        {"df": 4.0, "loc": LOC, "scale_tril": TRIL},
        stats.multivariate_t(LOC, TRIL @ TRIL.T, 4),
        GRID,
    ),
    "VonMisesFisher": (
        {"mean_direction": [0.6, 0.0, 0.8], "concentration": 2.0},
        stats.vonmises_fisher([0.6, 0.0, 0.8], 2),
        ON_SPHERE,
    ),
    "OneHotCategorical": (
        {"probs": [0.2, 0.3, 0.5]},
        stats.multinomial(1, [0.2, 0.3, 0.5]),
        [0.0, 1.0, 0.0],
    ),
}


@pytest.mark.parametrize("name", VECTOR)
def test_densities_over_vectors(name):
    parameters, exact, x = VECTOR[name]
    log_density = exact.logpmf if name == "OneHotCategorical" else exact.logpdf
    expected = float(np.squeeze(log_density(x)))
    np.testing.assert_allclose(log_prob(name, 3, x, **parameters), expected, rtol=2e-5)
    two = log_prob(name, (2, 3), [x, x], **parameters)  # independent vectors
    np.testing.assert_allclose(two, 2 * expected, rtol=2e-5)


@pytest.mark.parametrize("name", [*SCALAR, *COUNTS, *VECTOR])
def test_parameters_from_features(name):
    """One distribution per example; only parameters of families over vectors are validated."""
    family = name.split()[0]
    parameters = {"Binomial": {"total_count": 9.0}, "Pareto": {"scale": 0.1}}
    parameters = {**parameters, "GeneralizedPareto": {"loc": 0.1}}.get(family, {})
    part = kv.Conditional(family, 3, **parameters)
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    raw = part(features)
    assert [tuple(r.shape) for r in raw] == [
        (4, *part.parameter_shape(name)) for name in part.heads
    ]
    for scale in (1.0, 30.0):
        q = part.distribution(*(scale * r for r in raw))
        q = q.copy(validate_args=True) if not isinstance(q, tfd.Independent) else q
        assert (tuple(q.batch_shape), tuple(q.event_shape)) == ((4,), (3,))
    # Leading batch dimensions, as `decode` makes them.
    q = part.distribution(*(ops.stack([r, r]) for r in raw))
    assert tuple(q.batch_shape) == (2, 4)
    # Save by name, without weights.
    again = kv.Conditional.from_config(part.get_config())
    assert again.get_config()["family"] == part.get_config()["family"]
    assert list(again.heads) == list(part.heads)


@pytest.mark.parametrize("classes", [2, 5])
def test_categorical_pixels(classes):
    part = kv.Conditional("Categorical", (2, 3), num_classes=classes)
    (logits,) = part(np.ones((4, 5), "float32"))
    assert tuple(logits.shape) == (4, 2, 3, classes)
    p = part.distribution(logits)
    x = np.random.default_rng(0).integers(classes, size=(4, 2, 3))
    logits = np.asarray(logits, "float64")
    log_probs = logits - special.logsumexp(logits, -1, keepdims=True)
    expected = np.take_along_axis(log_probs, x[..., None], -1).sum((1, 2, 3))
    np.testing.assert_allclose(p.log_prob(x.astype("float32")), expected, rtol=1e-5)
    for bad in (-1, classes, 0.5):
        with pytest.raises(ValueError, match=f"classes from 0 to {classes - 1}"):
            part.check_support(np.array([0, bad]))


def test_constraints_are_those_of_tfp():
    """A scale is the softplus of its raw value, and a factor fills a triangle."""
    part = kv.Conditional("MultivariateNormalTriL", 2)
    raw = np.array([[0.3, -0.2]], "float32"), np.array([[0.1, 0.2, 0.3]], "float32")
    q = part.distribution(*map(ops.convert_to_tensor, raw))
    factor = np.asarray(q.scale_tril if hasattr(q, "scale_tril") else q.scale.to_dense())[0]
    softplus = np.log1p(np.exp(np.array([0.3, 0.1])))
    np.testing.assert_allclose(np.diag(factor), softplus, rtol=1e-5)
    assert factor[0, 1] == 0
    uniform = kv.Conditional("Uniform", 2)
    q = uniform.distribution(*(ops.zeros((1, 2)) for _ in range(2))).distribution
    np.testing.assert_allclose(q.low, [[0, 0]])
    np.testing.assert_allclose(q.high, np.log([[2, 2]]), rtol=1e-6)


def test_custom_heads_and_trainable_values():
    head = keras.Sequential([keras.layers.Dense(7, "tanh"), keras.layers.Dense(3)])
    part = kv.Conditional("StudentT", 3, df=4.0, loc=head, scale=kv.Trainable(()))
    loc, scale = part(np.ones((2, 5), "float32"))
    np.testing.assert_array_equal(loc, head(np.ones((2, 5), "float32")))
    np.testing.assert_array_equal(scale, np.zeros((2, 3)))
    assert [tuple(v.shape) for v in part.trainable_variables][-1] == ()
    per_pixel = kv.Normal((2, 3), log_variance=kv.Trainable(initializer="ones"))
    _, log_variance = per_pixel(np.ones((4, 5), "float32"))
    np.testing.assert_array_equal(log_variance, np.ones((4, 2, 3)))
    again = kv.Normal.from_config(per_pixel.get_config())
    _, log_variance = again(np.ones((4, 5), "float32"))
    np.testing.assert_array_equal(log_variance, np.ones((4, 2, 3)))


@pytest.mark.parametrize("shape", [None, (), (1,)], ids=str)
def test_trainable_values_are_saved(shape, tmp_path):
    """Values of the parameter's shape, one number, and values that broadcast to the parameter."""
    parts = kv.networks.bernoulli_mlp(6, latent_dim=2)
    head = kv.Trainable(shape, initializer="random_normal")
    parts["likelihood"] = kv.Conditional("NegativeBinomial", 6, total_count=head)
    model = kv.AEVB(**parts)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").likelihood.heads["total_count"]
    assert tuple(again.value.shape) == ((6,) if shape is None else shape)
    np.testing.assert_array_equal(again.value, head.value)


def test_gradients_reach_raw_values():
    """d log N(x; μ, σ) / d raw, with σ = softplus(raw), by the chain rule."""
    prior = kv.Unconditional("Normal", 1)
    loc, scale = prior.trainable_variables
    scale.assign([0.7])
    x, sigma = 1.3, np.log1p(np.exp(0.7)) + np.finfo("float32").eps
    gradient = _backend.gradients(
        lambda: prior.distribution().log_prob(np.array([x], "float32")), [loc, scale]
    )
    expected = [x / sigma**2, (x**2 / sigma**3 - 1 / sigma) * special.expit(0.7)]
    np.testing.assert_allclose([float(g[0]) for g in gradient], expected, rtol=1e-5)


# Pairs of a posterior and a prior that supports its samples, for each kind of support.
PAIRS = {
    "half line": ("Exponential", "Gamma", {"concentration": 1.5, "rate": 1.0}),
    "line": ("Laplace", "StudentT", {"df": 4.0}),
    "interval": ("Kumaraswamy", "Beta", {"concentration1": 2.0, "concentration0": 2.0}),
    "vectors": ("MultivariateNormalTriL", "MultivariateNormalTriL", {}),
    "relaxed one-hot": ("RelaxedOneHotCategorical", "RelaxedOneHotCategorical", {}),
}


SLOW_ON_JAX = [pytest.mark.slow] * (keras.backend.backend() == "jax")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=SLOW_ON_JAX) for kind in PAIRS])
def test_training_and_saving(kind, make_model, x, tmp_path):
    """Ten steps raise the bound; the loaded model has exactly the same bound."""
    q, p, fixed = PAIRS[kind]
    temperature = {"temperature": 0.7} if kind == "relaxed one-hot" else {}
    model = make_model(
        kv.AEVB,
        posterior=kv.Conditional(q, 3, **temperature),
        prior=kv.Unconditional(p, 3, **fixed, **temperature),
        bound=kv.ELBO(kl="sampled"),
    )
    model.compile(keras.optimizers.Adam(0.05), jit_compile=keras.backend.backend() == "jax")
    before = model.elbo(x, num_samples=10, seed=0).mean()
    model.fit(x, batch_size=len(x), epochs=10, verbose=0)
    after = model.elbo(x, num_samples=10, seed=0)
    assert after.mean() > before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, num_samples=10, seed=0), after)


def wrong(message, *arguments, part=kv.Conditional, **parameters):
    with pytest.raises(ValueError, match=message):
        part(*arguments, **parameters)


def test_errors():
    wrong("Expected a class of .*'Gamma'. Received: 'Gama'", "Gama", 3)
    wrong("parameters of Normal, which are .*'scale'.*Received: .'rate'.", "Normal", 3, rate=1.0)
    wrong("`loc` to be a Keras layer, or a fixed number", "Normal", 3, loc="zero")
    wrong("depends on the features.*only fixed", "Normal", 3, loc=0.0, scale=1.0)
    wrong("Expected `num_classes`", "Categorical", 3)
    wrong("valid values of `total_count` of Binomial", "Binomial", 3)
    wrong("valid values of `loc` of GeneralizedPareto", "GeneralizedPareto", 3)
    wrong("parameters are tensors.*Mixture", "MixtureSameFamily", 3)
    wrong("fixed numbers", "Normal", 3, part=kv.Unconditional, loc=keras.layers.Dense(3))

    for part in (kv.Conditional, kv.Unconditional):
        wrong("valid parameter.*Received: .'scale': -1.0.", "Normal", 3, part=part, scale=-1.0)
        wrong("of shapes that fit", "Normal", 3, part=part, loc=[1.0, 2.0])
    wrong("valid parameter values", "Uniform", 3, part=kv.Unconditional, low=2.0, high=1.0)
    wrong("valid parameter values", "Normal", 3, part=kv.MixturePrior, num_components=2, scale=-1.0)

    class Own(tfd.Normal):
        pass

    with pytest.raises(ValueError, match="registered with Keras"):
        kv.Unconditional(Own, 3).get_config()
    assert Family(Own, (3,), {}).parameters == ["loc", "scale"]


@pytest.mark.parametrize("concentration", [-0.5, 0.0, 0.5])
def test_a_generalised_pareto_density_is_zero_outside_its_support(concentration):
    y = np.float32([-3, 1.99, 2, 2.5, 3.9, 4.1, 9])
    prior = kv.Unconditional(
        "GeneralizedPareto", 1, loc=2.0, scale=1.0, concentration=concentration
    )
    p, exact = prior.distribution(), stats.genpareto(concentration, 2, 1)
    np.testing.assert_allclose(p.log_prob(y[:, None]), exact.logpdf(y), 1e-5, 1e-6)
    np.testing.assert_allclose(p.distribution.cdf(y), exact.cdf(y), 1e-5, 1e-6)


def test_the_variance_of_gamma_gamma():
    """E[y²] = a (a + 1) E[1/β²], with E[1/β] = b₀ / (a₀ - 1), E[1/β²] = b₀² / (a₀ - 1)(a₀ - 2)."""
    a, a_0, b_0 = 2.5, 3.5, 1.5
    prior = kv.Unconditional(
        "GammaGamma", 1, concentration=a, mixing_concentration=a_0, mixing_rate=b_0
    )
    mean = a * b_0 / (a_0 - 1)
    variance = a * (a + 1) * b_0**2 / ((a_0 - 1) * (a_0 - 2)) - mean**2
    np.testing.assert_allclose(prior.distribution().mean(), [mean], rtol=1e-6)
    np.testing.assert_allclose(prior.distribution().variance(), [variance], rtol=1e-6)


def compiled(function):
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)()
    import tensorflow as tf

    return tf.function(function)()


LOC, SCALE = 0.5, 2.0
# scipy's standard deviation has an error of 1e-4 for smaller shapes.
TAILS = np.array([-5.0, -0.7, -0.125, -1e-3, 1e-4, 0.1, 0.13, 0.3, 0.49])
ALMOST_GUMBEL = np.array([-1e-6, 0.0, 1e-9, 1e-7])
HEAVY_TAILS = np.array([0.6, 0.995])  # the variance is infinite
EXTREME_VALUE, HEAVY = (stats.genextreme(-t, LOC, SCALE) for t in (TAILS, HEAVY_TAILS))
GUMBEL = stats.gumbel_r(LOC, SCALE)
WEIBULL, LOG_LOGISTIC = np.array([0.5, 2.0, 7.9, 30.0]), np.array([0.02, 0.13, 0.3, 0.49])
LOW, HIGH = np.array([-20.0, -1.0, 0.5, 8.0]), np.array([30.0, 2.0, 1.0, 9.0])
TRUNCATED = stats.truncnorm((LOW - LOC) / SCALE, (HIGH - LOC) / SCALE, LOC, SCALE)
B = np.array([0.5, 1.0, 3.0])
# For a = 2, E[yⁿ] = b B(1 + n / 2, b).
FIRST, SECOND = (B * special.beta(1 + n / 2, B) for n in (1, 2))
POWERS = np.array([0.5, 3.0, 12.0, 300.0, 1e4])
OF_POWERS = POWERS[::-1] * special.beta(1 + 1 / POWERS, POWERS[::-1])
DEGREES = np.array([7.0, 11.0, 1e6])
LOGITS = np.array([-14.0, 0.0, 14.0, 30.0])
# Parameters, means and standard deviations.
MOMENTS = {
    "GeneralizedExtremeValue": (
        {"loc": LOC, "scale": SCALE, "concentration": TAILS},
        EXTREME_VALUE.mean(),
        EXTREME_VALUE.std(),
    ),
    "GeneralizedExtremeValue, almost Gumbel": (
        {"loc": LOC, "scale": SCALE, "concentration": ALMOST_GUMBEL},
        np.full(4, GUMBEL.mean()),
        np.full(4, GUMBEL.std()),
    ),
    "GeneralizedExtremeValue, heavy tails": (
        {"loc": LOC, "scale": SCALE, "concentration": HEAVY_TAILS},
        HEAVY.mean(),
        np.full(2, np.inf),
    ),
    "Chi": (
        {"df": DEGREES},
        stats.chi(DEGREES).mean(),
        np.array([stats.chi(7.0).std(), stats.chi(11.0).std(), np.sqrt(0.5 - 1 / 8e6)]),
    ),
    "Binomial": (
        {"total_count": 10.0, "logits": LOGITS},
        stats.binom(10, special.expit(LOGITS)).mean(),
        np.sqrt(10 * special.expit(LOGITS) * special.expit(-LOGITS)),
    ),
    "Weibull": (
        {"concentration": WEIBULL, "scale": SCALE},
        stats.weibull_min(WEIBULL, scale=SCALE).mean(),
        stats.weibull_min(WEIBULL, scale=SCALE).std(),
    ),
    # For large k, k log(y / λ) is minus a Gumbel variable, up to terms of size 1 / k.
    "Weibull, narrow": (
        {"concentration": np.array([1e6]), "scale": SCALE},
        np.array([SCALE]),
        np.array([SCALE * 1e-6 * np.pi / np.sqrt(6)]),
    ),
    "LogLogistic": (
        {"loc": LOC, "scale": LOG_LOGISTIC},
        stats.fisk(1 / LOG_LOGISTIC, scale=np.exp(LOC)).mean(),
        stats.fisk(1 / LOG_LOGISTIC, scale=np.exp(LOC)).std(),
    ),
    # For small scales y is logistic.
    "LogLogistic, narrow": (
        {"loc": LOC, "scale": np.array([1e-6])},
        np.array([np.exp(LOC)]),
        np.array([np.exp(LOC) * 1e-6 * np.pi / np.sqrt(3)]),
    ),
    "TruncatedNormal": (
        {"loc": LOC, "scale": SCALE, "low": LOW, "high": HIGH},
        TRUNCATED.mean(),
        TRUNCATED.std(),
    ),
    # Uniform in a narrow interval, exponential in a distant one.
    "TruncatedNormal, limits": (
        {"loc": 0.0, "scale": np.array([1e3, 1e-4]), "low": [2.0, -1.0], "high": [4.0, -0.5]},
        np.array([3.0, -0.5]),
        np.array([1 / np.sqrt(3), 1e-8 / 0.5]),
    ),
    "Kumaraswamy": (
        {"concentration1": 2.0, "concentration0": B},
        FIRST,
        np.sqrt(SECOND - FIRST**2),
    ),
    "Kumaraswamy, narrow": (
        {"concentration1": POWERS, "concentration0": POWERS[::-1]},
        OF_POWERS,
        np.sqrt(POWERS[::-1] * special.beta(1 + 2 / POWERS, POWERS[::-1]) - OF_POWERS**2),
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_in_a_compiled_program(name):
    """TFP's are inaccurate in float32, or cannot be compiled on JAX."""
    parameters, mean, stddev = MOMENTS[name]
    prior = kv.Unconditional(name.split(",")[0], len(mean), **parameters)
    statistics = ("mean", "stddev", "variance")
    actual = compiled(lambda: [getattr(prior.distribution(), s)() for s in statistics])
    # float32: at a shape of 0.13 the standard deviation is a difference of log Γ of 0.1,
    # and squaring doubles its error
    np.testing.assert_allclose(actual, [mean, stddev, stddev**2], rtol=4e-5)


@pytest.mark.parametrize("concentration, scale", [(3.0, 0.5), (2.0, 0.6), (40.0, 1.2), (80.0, 2.0)])
def test_the_divergence_of_weibull_distributions(concentration, scale):
    """Equals quadrature; TFP's overflows for the last case."""
    q, p = stats.weibull_min(2.0, scale=0.5), stats.weibull_min(concentration, scale=scale)
    expected, _ = integrate.quad(lambda y: q.pdf(y) * (q.logpdf(y) - p.logpdf(y)), 0, 5, limit=200)
    q, p = (
        kv.Unconditional("Weibull", 1, concentration=k, scale=s).distribution()
        for k, s in ((2.0, 0.5), (concentration, scale))
    )
    np.testing.assert_allclose(q.kl_divergence(p), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("product", [0.1, 3.0, 30.0, 1000.0, 5700.0])
def test_gradients_of_an_exponentially_modified_gaussian(product, gradients):
    """Against central differences in float64; for large σ λ, p is nearly N(0, 1)."""
    value = np.float64(np.float32(product))
    y = np.float64(np.float32([-3.0, 0.5, 2.0]))
    λ = keras.Variable(np.full(3, product, "float32"))
    prior = kv.Unconditional("ExponentiallyModifiedGaussian", 3, loc=0.0, scale=1.0)

    def log_density():
        normal = prior.distribution().distribution.copy(loc=0.0, scale=1.0, rate=λ.value)
        return ops.sum(normal.log_prob(ops.convert_to_tensor(y, "float32")))

    def exact(rate):
        x = (rate - y) / np.sqrt(2)
        return np.log(rate / 2) - y**2 / 2 + np.log(special.erfcx(x))

    (received,) = gradients(log_density, [λ])
    step = 1e-4 * value
    expected = (exact(value + step) - exact(value - step)) / (2 * step)
    # In d log p / d log λ: below 1e-3, where its terms of order 1 cancel
    np.testing.assert_allclose(received * value, expected * value, rtol=1e-3, atol=1e-3)


def test_gradients_of_the_moments_of_extreme_values_are_finite(gradients):
    values = np.array([-5.0, -0.125, 0.0, 1e-9, 0.125, 0.49, 0.5, 0.995, 1.0, 2.0], "float32")
    ξ = keras.Variable(values)
    prior = kv.Unconditional("GeneralizedExtremeValue", len(values), concentration=0.0)

    def finite_sum(statistic):
        d = prior.distribution().distribution.copy(loc=0.0, scale=1.0, concentration=ξ.value)
        moments = getattr(d, statistic)()
        return ops.sum(ops.where(ops.isfinite(moments), moments, 0.0))

    for statistic in ("mean", "stddev"):
        (gradient,) = gradients(lambda s=statistic: finite_sum(s), [ξ])
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("number", [4, 5])
def test_counts_of_categories(number, make_model):
    """One total for each event; batches of any size."""
    n = np.random.default_rng(0).dirichlet(np.ones(number), 3)
    x = np.stack([np.random.default_rng(i).multinomial(10, n[i % 3]) for i in range(7)])
    p = kv.Unconditional("Multinomial", number, total_count=10.0, probs=n[0]).distribution()
    expected = stats.multinomial(10, n[0]).logpmf(x)
    np.testing.assert_allclose(p.log_prob(np.float32(x)), expected, rtol=1e-5)
    p = kv.Unconditional(
        "DirichletMultinomial", (2, number), total_count=10.0, concentration=1 + n[:2]
    ).distribution()
    expected = sum(stats.dirichlet_multinomial(1 + n[i], 10).logpmf(x[i]) for i in (0, 1))
    np.testing.assert_allclose(p.log_prob(np.float32(x[:2])), expected, rtol=1e-5)
    for family in ("Multinomial", "DirichletMultinomial"):
        likelihood = kv.Conditional(family, number, total_count=10.0)
        model = make_model(likelihood=likelihood, encoder=keras.layers.Dense(3))
        model.compile("sgd")
        assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()
        with pytest.raises(ValueError, match="inside the support"):
            model.elbo(x + 1)


@pytest.mark.parametrize("number", [2, 3, 5])
def test_ordered_classes(number, noise):
    """K classes have K - 1 cutpoints and probability 1: P(x > k) = σ(loc - c_k)."""
    cutpoints = np.linspace(-1, 2, number - 1)
    settings = {"num_classes": number, "loc": 0.3}
    p = kv.Unconditional("OrderedLogistic", 1, cutpoints=[cutpoints], **settings).distribution()
    above = np.r_[1, special.expit(0.3 - cutpoints), 0]
    actual = [float(p.prob(np.float32([k]))) for k in range(number)]
    np.testing.assert_allclose(actual, -np.diff(above), rtol=1e-5, atol=1e-7)
    part = kv.Conditional("OrderedLogistic", 4, num_classes=number)
    assert part.parameter_shape("cutpoints") == (4, number - 1)
    p = part.distribution(*part(np.ones((2, 3), "float32")))
    classes = np.broadcast_to(np.arange(number, dtype="float32")[:, None, None], (number, 2, 4))
    np.testing.assert_allclose(np.exp(p.distribution.log_prob(classes)).sum(0), 1, rtol=1e-5)
    assert np.asarray(p.sample(200, seed=noise(0))).max() <= number - 1


@pytest.mark.parametrize(
    "name",
    ["PERT", "Reciprocal", "Triangular", "TruncatedCauchy", "TruncatedNormal", "Uniform"],
)
def test_trained_limits_are_in_order(name):
    part = kv.Conditional(name, 3)
    features = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
    p = part.distribution(*part(features)).distribution
    low, high = (np.asarray(p.parameters[limit]) for limit in ("low", "high"))
    assert (low < high).all()
    if name != "PERT":  # whose limits start with a peak between them
        above = kv.Unconditional(name, 1, low=1.0).distribution().distribution.parameters["high"]
        np.testing.assert_allclose(above, [1 + np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("shape", [None, ()])
def test_a_trainable_parameter_of_one_element(shape):
    model = kv.AEVB(
        encoder=keras.layers.Dense(4),
        decoder=keras.layers.Dense(4),
        posterior=kv.DiagonalNormal(1, log_variance=kv.Trainable(shape)),
        likelihood=kv.Conditional("NegativeBinomial", 1, total_count=kv.Trainable(shape)),
    )
    assert np.isfinite(model.elbo(np.ones((3, 1)))).all()


def test_parameters_in_place_of_their_logarithms():
    """Skellam, the difference of two Poisson counts."""
    p = kv.Unconditional("Skellam", 1, rate1=3.0, rate2=1.5).distribution()
    values = np.arange(-4.0, 8.0)
    log_p = [p.log_prob([n]) for n in values]
    np.testing.assert_allclose(log_p, stats.skellam(3, 1.5).logpmf(values), rtol=1e-5)


def test_the_error_of_a_misspelled_family_suggests_the_right_one():
    with pytest.raises(ValueError, match="NegativeBinomial"):
        kv.Conditional("NegativBinomial", 3)
    with pytest.raises(ValueError, match="'LogNormal'"):  # not the module `lognormal`
        kv.Conditional("Lognormal", 3)
    with pytest.raises(ValueError, match="'Reciprocal'"):  # a family that TFP lacks
        kv.Conditional("Reciprocl", 3)
