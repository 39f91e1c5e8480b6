"""p(x|z): log densities against scipy in float64, then gradients, then construction."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from scipy import integrate, special, stats

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb.distributions.likelihoods import log_prob_of_pairs

RTOL = 1e-5  # float32 keeps 6e-8; log1p, exp and the sum over pixels lose the rest

# Bernoulli


def bernoulli_log_prob(x, logits):
    x, logits = np.float64(x), np.float64(logits)
    return x * special.log_expit(logits) + (1 - x) * special.log_expit(-logits)


@pytest.mark.parametrize("x", [0.0, 1e-3, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("logit", [-100, -40, -3.5, 0, 1e-3, 2.0, 40, 100])
def test_bernoulli_log_density(x, logit):
    x, logit = np.float32(x), np.float32(logit)
    p = kv.Bernoulli(1).distribution(ops.convert_to_tensor([[logit]]))
    # atol: below float32's smallest normal number results are flushed to zero.
    np.testing.assert_allclose(
        float(p.log_prob([[x]])[0]), bernoulli_log_prob(x, logit), rtol=RTOL, atol=1e-37
    )


@pytest.mark.parametrize("logit", [-100, -40, -3.5, 0, 2.0, 40, 100])
def test_bernoulli_gradient_is_x_minus_y(logit, gradients):
    x = np.array([[0.0], [0.3], [1.0]], "float32")
    logits = keras.Variable(np.full((3, 1), logit, "float32"))
    likelihood = kv.Bernoulli(1)
    (gradient,) = gradients(
        lambda: ops.sum(likelihood.distribution(ops.convert_to_tensor(logits)).log_prob(x)),
        [logits],
    )
    # atol: one float32 rounding of x and y, which are at most 1.
    expected = x.astype("float64") - special.expit(float(logit))
    np.testing.assert_allclose(gradient, expected, rtol=RTOL, atol=1e-7)


def test_bernoulli_infinite_logits_and_integer_pixels(gradients):
    p = kv.Bernoulli(2).distribution(ops.convert_to_tensor([[np.inf, -np.inf]], "float32"))
    assert float(p.log_prob(np.array([[1.0, 0.0]], "float32"))[0]) == 0
    wrong = float(p.log_prob(np.array([[0.0, 0.0]], "float32"))[0])
    assert np.isfinite(wrong) and wrong < -1e29
    whole = ops.convert_to_tensor([[1, 0]], "int32")
    assert float(p.log_prob(whole)[0]) == 0


def test_bernoulli_probabilities_of_binary_images_sum_to_one():
    images = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32")
    p = kv.Bernoulli(4).distribution(ops.convert_to_tensor([[-2.0, 0.1, 1.0, 30.0]]))
    np.testing.assert_allclose(np.sum(np.exp(p.log_prob(images))), 1.0, rtol=RTOL)


def test_bernoulli_mean_is_sigmoid_and_samples_are_binary(noise):
    logits = np.linspace(-3, 3, 8, dtype="float32").reshape(1, 8)
    p = kv.Bernoulli(8).distribution(ops.convert_to_tensor(logits))
    np.testing.assert_allclose(p.mean(), special.expit(logits), rtol=RTOL)
    samples = np.asarray(p.sample(4000, seed=noise(0)))
    assert set(np.unique(samples)) == {0.0, 1.0}
    # Five standard errors of a mean of 4000, at most 0.5 / sqrt(4000) each: odds 5e-6 in all.
    np.testing.assert_allclose(samples.mean(0), special.expit(logits), atol=5 * 0.5 / 4000**0.5)


@pytest.mark.parametrize(
    "how", [{"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}]
)
def test_bernoulli_samples_are_independent(how, make_model):
    """Samples of different pixels, and of consecutive seeds, are uncorrelated."""
    model = make_model()
    model.compile("sgd", **how)
    p = kv.Bernoulli(20_000).distribution(ops.zeros((1, 20_000)))
    program = _backend.compiled(model, lambda seed: p.sample(seed=seed))
    generator = keras.random.SeedGenerator(3)
    bits = np.stack([program(_backend.next_seed(generator))[0] for _ in range(10)])
    correlations = np.corrcoef(bits)[np.triu_indices(10, 1)]
    # Five standard errors, 1/√n each, for 45 pairs and for the neighbours of a row: odds 3e-5.
    assert np.abs(correlations).max() < 5 / 20_000**0.5
    neighbours = np.corrcoef(bits[:, :-1].ravel(), bits[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / 200_000**0.5


# Normal


@pytest.mark.parametrize("log_variance", [-20.0, -9.0, -1.0, 0.0, 0.7, 9.0, 20.0])
@pytest.mark.parametrize("deviations", [0.0, 0.5, -3.0])
@pytest.mark.parametrize("mean", [0.0, 0.75])
def test_normal_log_density(mean, log_variance, deviations):
    scale = np.exp(0.5 * log_variance)
    x, mean = np.float32(mean + deviations * scale), np.float32(mean)
    p = kv.Normal(1).distribution(*ops.convert_to_tensor([[[mean]], [[log_variance]]]))
    expected = stats.norm.logpdf(np.float64(x), np.float64(mean), scale)
    np.testing.assert_allclose(float(p.log_prob([[x]])[0]), expected, rtol=RTOL)


@pytest.mark.parametrize("log_variance, clipped", [(-21, -20), (-1e4, -20), (21, 20), (1e4, 20)])
def test_normal_log_variance_is_clipped(log_variance, clipped):
    log_probs = [
        kv.Normal(1).distribution(*ops.convert_to_tensor([[[0.0]], [[v]]])).log_prob([[1e-5]])
        for v in (float(log_variance), float(clipped))
    ]
    assert float(log_probs[0][0]) == float(log_probs[1][0])


@pytest.mark.parametrize("scale", [1e-3, 0.5, 30])
def test_normal_with_fixed_scale(scale):
    x, mean = np.float32([[0.2, -0.4]]) * scale, np.float32([[0.1, 0.3]]) * scale
    p = kv.Normal(2, scale=scale).distribution(ops.convert_to_tensor(mean))
    expected = stats.norm.logpdf(x.astype("float64"), mean.astype("float64"), scale).sum()
    np.testing.assert_allclose(float(p.log_prob(x)[0]), expected, rtol=RTOL)


@pytest.mark.parametrize("log_variance", [-6.0, 0.0, 2.0])
def test_normal_density_integrates_to_one(log_variance):
    scale = np.exp(0.5 * log_variance)
    x = np.linspace(-10, 10, 2001)[:, None] * scale  # 2e-23 of the mass lies outside
    p = kv.Normal(1).distribution(*ops.convert_to_tensor([[[0.0]], [[log_variance]]]))
    density = np.exp(np.float64(p.log_prob(x.astype("float32"))))
    np.testing.assert_allclose(integrate.trapezoid(density, x[:, 0]), 1.0, rtol=RTOL)


def test_normal_mean_through_a_sigmoid():
    likelihood = kv.Normal(3, mean=keras.layers.Dense(3, "sigmoid"))
    features = np.linspace(-4, 4, 10, dtype="float32").reshape(2, 5)
    p = likelihood.distribution(*likelihood(features))
    kernel, bias = likelihood.heads["mean"].get_weights()
    expected = special.expit(np.float64(features) @ kernel + bias)
    np.testing.assert_allclose(p.mean(), expected, rtol=RTOL)


# Both

CASES = {
    "bernoulli": (lambda **kwargs: kv.Bernoulli((4, 3, 2), **kwargs), 1),
    "normal": (lambda **kwargs: kv.Normal((4, 3, 2), **kwargs), 2),
    "normal, fixed scale": (lambda **kwargs: kv.Normal((4, 3, 2), scale=0.5, **kwargs), 1),
}
all_likelihoods = pytest.mark.parametrize("make, n_parameters", CASES.values(), ids=CASES)


@all_likelihoods
def test_images_of_any_rank(make, n_parameters):
    rng = np.random.default_rng(1)
    likelihood = make()
    parameters = likelihood(rng.normal(size=(5, 2, 7)).astype("float32"))
    assert [tuple(p.shape) for p in parameters] == n_parameters * [(5, 4, 3, 2)]
    p = likelihood.distribution(*parameters)
    assert tuple(p.batch_shape) == (5,)
    assert tuple(p.event_shape) == (4, 3, 2)
    x = rng.random((5, 4, 3, 2)).astype("float32")
    parameters = [np.float64(p) for p in parameters]
    if isinstance(likelihood, kv.Bernoulli):
        per_pixel = bernoulli_log_prob(x, *parameters)
    else:
        scales = [np.exp(0.5 * v) for v in parameters[1:]] or [0.5]
        per_pixel = stats.norm.logpdf(np.float64(x), parameters[0], *scales)
    np.testing.assert_allclose(p.log_prob(x), per_pixel.sum((1, 2, 3)), rtol=RTOL)


@all_likelihoods
def test_further_batch_dimensions_come_first(make, n_parameters):
    likelihood = make()
    parameters = likelihood(np.random.default_rng(1).normal(size=(6, 7)).astype("float32"))
    p = likelihood.distribution(*(ops.reshape(p, (3, 2, 4, 3, 2)) for p in parameters))
    x = np.random.default_rng(2).random((2, 4, 3, 2)).astype("float32")
    flat = likelihood.distribution(*parameters).log_prob(np.tile(x, (3, 1, 1, 1)))
    np.testing.assert_allclose(
        p.log_prob(x), np.reshape(flat, (3, 2)), rtol=1e-6
    )  # the sum's order


@all_likelihoods
def test_densities_of_every_image_under_every_z(make, n_parameters):
    likelihood = make()
    rng = np.random.default_rng(1)
    parameters = likelihood(rng.normal(size=(6, 7)).astype("float32"))
    x = rng.random((5, 4, 3, 2)).astype("float32")
    pairs = log_prob_of_pairs(likelihood.distribution(*parameters), x)
    one_by_one = [
        likelihood.distribution(*(p[s : s + 1] for p in parameters)).log_prob(x) for s in range(6)
    ]
    # Sums of 24 pixels in another order, of at most 40 nats in all
    np.testing.assert_allclose(pairs, one_by_one, rtol=0, atol=1e-5)


def test_infinite_logits_of_pairs():
    logits = np.array([[np.inf, -np.inf, np.inf], [-np.inf, np.inf, 0.0]], "float32")
    x = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]], "float32")
    pairs = log_prob_of_pairs(kv.Bernoulli(3).distribution(logits), x)
    # A pixel of probability zero is treated as one of exp(-10⁴).
    expected = [[0.0, -3e4], [-2e4 - np.log(2), -np.log(2)]]
    np.testing.assert_allclose(pairs, expected, rtol=0, atol=2e-3)  # float32 at 2·10⁴


@all_likelihoods
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_densities_are_float32_in_mixed_precision(make, n_parameters, dtype):
    likelihood = make(dtype=dtype)
    features = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    parameters = likelihood(features)
    p = likelihood.distribution(*parameters)
    x = np.random.default_rng(1).random((5, 4, 3, 2)).astype("float32")
    dtypes = [*(p.dtype for p in parameters), p.log_prob(x).dtype, p.mean().dtype]
    assert {keras.backend.standardize_dtype(d) for d in dtypes} == {"float32"}


@all_likelihoods
def test_config_round_trip(make, n_parameters):
    likelihood = make(name="pixels")
    config = keras.saving.serialize_keras_object(likelihood)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(likelihood)
    assert keras.saving.serialize_keras_object(copy) == config
    features = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")
    x = np.random.default_rng(1).random((5, 4, 3, 2)).astype("float32")
    log_prob = likelihood.distribution(*likelihood(features)).log_prob(x)
    copy.build(features.shape)
    copy.set_weights(likelihood.get_weights())
    np.testing.assert_array_equal(copy.distribution(*copy(features)).log_prob(x), log_prob)


def test_config_keeps_heads():
    head = keras.layers.Dense(6, "sigmoid", kernel_regularizer=keras.regularizers.L2(0.25))
    likelihood = kv.Normal((3, 2), mean=head, scale=2.0)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(likelihood))
    assert copy.heads["mean"].get_config() == head.get_config()
    assert copy.scale == 2.0
    assert copy.event_shape == (3, 2)


@pytest.mark.parametrize(
    "layer, n_weights",
    [
        (kv.Bernoulli(784), 500 * 784 + 784),
        (kv.Normal(560), 2 * (500 * 560 + 560)),
        (kv.Normal((28, 20), scale=1), 500 * 560 + 560),
        (kv.Bernoulli((4, 2), logits=keras.layers.Dense(8, use_bias=False)), 500 * 8),
    ],
)
def test_weight_counts(layer, n_weights):
    layer.build((None, 500))
    assert layer.count_params() == n_weights
    assert layer.non_trainable_variables == []


def test_heads_may_be_convolutions():
    likelihood = kv.Bernoulli((4, 4, 1), logits=keras.layers.Conv2DTranspose(1, 3, padding="same"))
    (logits,) = likelihood(np.ones((2, 4, 4, 3), "float32"))
    assert tuple(logits.shape) == (2, 4, 4, 1)
    assert likelihood.count_params() == 3 * 3 * 3 + 1


# Errors


@pytest.mark.parametrize(
    "shape",
    [0, -1, 2.5, (), (3, 0), (3, 1.5), "784", None, True, (3, True), 2**70, (2**20, 2**20)],
)
def test_event_shape_must_be_positive_integers(shape):
    with pytest.raises(ValueError, match="positive integer") as error:
        kv.Bernoulli(shape)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda head: kv.Bernoulli((3, 2), logits=head), "logits"),
        (lambda head: kv.Normal((3, 2), mean=head), "mean"),
        (lambda head: kv.Normal((3, 2), log_variance=head), "log_variance"),
    ],
)
def test_a_head_must_have_the_size_of_the_event(make, name):
    with pytest.raises(ValueError, match=name) as error:
        make(keras.layers.Dense(5)).build((None, 7))
    assert "(3, 2)" in str(error.value)
    assert "(None, 5)" in str(error.value)


@pytest.mark.parametrize("head", ["dense", 3, keras.layers.Dense, lambda h: h])
def test_a_head_must_be_a_layer(head):
    with pytest.raises(ValueError, match=r"Expected `logits` to be a Keras layer.*Received"):
        kv.Bernoulli(2, logits=head)


@pytest.mark.parametrize("make", [kv.Bernoulli, kv.Normal, kv.DiagonalNormal, kv.StandardNormal])
@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64"])
def test_densities_need_floating_point_numbers(make, dtype):
    with pytest.raises(ValueError, match=rf"`dtype`.*floating-point.*Received: '{dtype}'"):
        make(2, dtype=dtype)


@pytest.mark.parametrize("make", [kv.Bernoulli, kv.DiagonalNormal, kv.StandardNormal])
def test_float64_is_float64_or_an_error(make):
    """By default JAX rounds float64 to float32."""
    if keras.backend.backend() == "tensorflow":
        assert make(2, dtype="float64").density_dtype == "float64"
        return
    import jax

    with pytest.raises(ValueError, match="jax_enable_x64"):
        make(2, dtype="float64")
    with (jax if hasattr(jax, "enable_x64") else jax.experimental).enable_x64(True):  # jax 0.8
        assert make(2, dtype="float64").density_dtype == "float64"


@pytest.mark.parametrize("scale", [1e-300, 1e39])
def test_scale_must_fit_in_float32(scale):
    with pytest.raises(ValueError, match=r"`scale`.*float32 can hold.*Received"):
        kv.Normal(2, scale=scale)


@pytest.mark.parametrize("scale", [0, -1.0, np.nan, np.inf, [1.0, 2.0], "1", True])
def test_scale_must_be_positive_and_finite(scale):
    with pytest.raises(ValueError, match="positive number") as error:
        kv.Normal(2, scale=scale)
    assert str(scale) in str(error.value)


def test_scale_and_log_variance_exclude_each_other():
    with pytest.raises(ValueError, match="either `log_variance` or `scale`") as error:
        kv.Normal(2, log_variance=keras.layers.Dense(2), scale=0.5)
    assert "0.5" in str(error.value)


@pytest.mark.parametrize(
    "likelihood, bad, message",
    [
        (kv.Bernoulli(2), [[0.0, 1.5]], r"\[0, 1\].*1\.5"),
        (kv.Bernoulli(2), [[-0.25, 1.0]], r"\[0, 1\].*-0\.25"),
        (kv.Bernoulli(2), [[np.nan, 1.0]], "finite.*1 NaN and 0 infinite"),
        (kv.Normal(2), [[np.nan, -np.inf]], "finite.*1 NaN and 1 infinite"),
    ],
)
def test_check_rejects_invalid_events(likelihood, bad, message):
    with pytest.raises(ValueError, match=message):
        likelihood.check(np.array(bad))


def test_check_accepts_the_edges():
    kv.Bernoulli(2).check(np.array([[0.0, 1.0]]))
    kv.Normal(2).check(np.array([[-1e14, 1e14]]))
    kv.Normal(2, scale=1e10).check(np.array([[-1e28, 1e28]]))


@pytest.mark.parametrize("settings", [{}, {"scale": 0.5}])
def test_normal_data_beyond_the_limit_overflows_the_density(settings):
    """At the smallest σ. A sum of x²/σ² overflows at the limit, a sum of x²/σ²/2 at √2 times it."""
    likelihood = kv.Normal(3, **settings)
    smallest = [] if settings else [np.full((1, 3), -20.0, "float32")]
    p = likelihood.distribution(np.zeros((1, 3), "float32"), *smallest)
    x = np.full((1, 3), likelihood.largest_value, "float32")
    likelihood.check(0.9 * x)
    assert np.isfinite(np.asarray(p.log_prob(0.9 * x)))
    assert not np.isfinite(np.asarray(p.log_prob(1.5 * x)))
    for bad in (1.1 * x, -1.1 * x):
        with pytest.raises(ValueError, match=r"Expected values below.*standardise.*Received"):
            likelihood.check(bad)
