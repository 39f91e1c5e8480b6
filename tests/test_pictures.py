"""Arrays of pictures, for models with known decoded means and quantiles."""

import keras
import numpy as np
import pytest
from scipy import integrate, stats

import keras_aevb as kv
from keras_aevb import pictures


@pytest.fixture
def linear(linear_gaussian):
    """A linear-Gaussian model, and its decoder as a function in float64."""
    lg = linear_gaussian(250)
    w, b = lg.model.likelihood.get_weights()
    return lg, lambda z: np.asarray(z, "float64") @ w + b


def small_model(prior=None, **parts):
    defaults = {
        "encoder": keras.Sequential([keras.layers.Dense(3)]),
        "decoder": keras.Sequential([keras.layers.Dense(3)]),
        "posterior": kv.DiagonalNormal(2),
        "likelihood": kv.Bernoulli(6),
    }
    return kv.AEVB(**{**defaults, **parts}, prior=prior, seed=0)


def test_decoded_points_are_means(linear):
    lg, decode = linear
    z = np.random.default_rng(0).normal(size=(250, 2))  # two batches and a half
    np.testing.assert_allclose(pictures.decoded(lg.model, z), decode(z), atol=1e-5)  # float32


def test_samples_decode_the_prior_without_the_models_seed_generator(linear):
    lg, decode = linear
    before = np.asarray(lg.model.seed_generator.state)
    x = pictures.samples(lg.model, 500)
    w, b = lg.model.likelihood.get_weights()
    z = (x - b) @ np.linalg.pinv(w)
    np.testing.assert_allclose(decode(z), x, atol=1e-5)  # on the plane, without the noise of x
    # 1000 samples of N(0, 1); Kolmogorov-Smirnov: probability 1e-4.
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    np.testing.assert_array_equal(pictures.samples(lg.model, 500), x)
    assert np.abs(pictures.samples(lg.model, 500, seed=1) - x).max() > 0.1
    np.testing.assert_array_equal(np.asarray(lg.model.seed_generator.state), before)


def test_encoded_examples_and_reconstructions(linear):
    lg, decode = linear
    np.testing.assert_allclose(pictures.encoded(lg.model, lg.x), lg.means, atol=1e-5)
    expected = decode(lg.means)
    np.testing.assert_allclose(pictures.reconstructions(lg.model, lg.x), expected, atol=1e-5)


def test_the_manifold_goes_through_the_priors_quantiles(linear):
    lg, decode = linear
    x = pictures.manifold(lg.model, 4)
    assert x.shape == (4, 4, 6)
    q = stats.norm.ppf([1 / 8, 3 / 8, 5 / 8, 7 / 8])
    for row in range(4):
        for column in range(4):
            z = [q[column], q[3 - row]]  # to the right, and upwards
            np.testing.assert_allclose(x[row, column], decode(z), atol=1e-5)


def test_traversals_move_one_dimension(linear):
    lg, decode = linear
    q = stats.norm.ppf([1 / 6, 1 / 2, 5 / 6])
    x = pictures.traversals(lg.model, num_values=3)
    for k in range(3):
        np.testing.assert_allclose(x[0, k], decode([q[k], 0]), atol=1e-5)
        np.testing.assert_allclose(x[1, k], decode([0, q[k]]), atol=1e-5)
    (row,) = pictures.traversals(lg.model, [0.3, -2.0], 3, dimensions=[1])
    np.testing.assert_allclose(row, decode([[0.3, value] for value in q]), atol=1e-5)


def test_quantiles_in_closed_form_and_of_samples():
    u = np.array([0.1, 0.5, 0.9])
    logistic = small_model(
        kv.Unconditional("Logistic", 2, loc=np.float32([0, 3]), scale=2.0),
        posterior=kv.Conditional("Logistic", 2),
    )
    expected = stats.logistic([0, 3], 2).ppf(u[:, None])
    np.testing.assert_allclose(pictures.prior_quantiles(logistic, u), expected, rtol=1e-5)
    back = pictures.prior_probabilities(logistic, expected)
    np.testing.assert_allclose(back, np.stack([u, u], axis=1), rtol=1e-5)

    mixture = small_model(kv.MixturePrior("Normal", 2, 3))
    q = pictures.prior_quantiles(mixture, u, num_samples=20_000)
    z = np.asarray(mixture.prior_distribution().sample(20_000, seed=_seed(5)))
    # Shares of 20,000 samples below the quantiles of as many others: standard error 0.005.
    share = (z[:, None] < q).mean(axis=0)
    np.testing.assert_allclose(share, np.stack([u, u], axis=1), atol=0.025)


@pytest.mark.parametrize("a, b", [(0.5, 0.5), (0.9, 0.9), (0.9, 0.86), (2.0, 3.0)])
def test_quantiles_that_are_wrong_in_tfp(a, b):
    """TFP's float32 medians of a Beta distribution with a ≈ b < 1 are wrong."""
    parts = {"concentration1": a, "concentration0": b}
    beta = small_model(kv.Unconditional("Beta", 2, **parts), posterior=kv.Conditional("Beta", 2))
    u = np.arange(1, 20) / 20
    expected = stats.beta(a, b).ppf(u)[:, None]
    # Near 1, float32 numbers are 6e-8 apart; for b < 1 their probabilities are further apart.
    np.testing.assert_allclose(
        pictures.prior_quantiles(beta, u), np.tile(expected, 2), rtol=1e-5, atol=1e-6
    )
    (row,) = pictures.traversals(beta, [0.2, 0.2], 3, dimensions=[1])
    middle = pictures.decoded(beta, [[0.2, expected[9, 0]]])[0]
    np.testing.assert_allclose(row[1], middle, atol=1e-5)


def test_probabilities_of_a_circular_prior():
    """They agree with TFP's samples, which lie in [-π, π] wherever the mode is."""
    prior = kv.Unconditional("VonMises", 2, loc=1.0, concentration=1.0)
    circular = small_model(prior, posterior=kv.Conditional("VonMises", 2))
    z = np.array([-3.0, -2.0, 0.0, 1.0, 2.0, 3.1])
    density = stats.vonmises(1.0, 1.0).pdf
    expected = [integrate.quad(density, -np.pi, value)[0] for value in z]
    actual = pictures.prior_probabilities(circular, np.stack([z, z], axis=1))
    np.testing.assert_allclose(actual, np.stack([expected, expected], axis=1), atol=1e-5)


def test_a_prior_given_y():
    """p(z|y) = N(2y, 1): its medians, and the points of a manifold, depend on y."""
    join = kv.networks.Joined
    mean = keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(2.0))
    log_variance = keras.layers.Dense(2, kernel_initializer="zeros")
    model = small_model(
        kv.DiagonalNormal(2, mean, log_variance),
        encoder=join(keras.Sequential([keras.layers.Dense(3)])),
        decoder=join(keras.Sequential([keras.layers.Dense(3)])),
        condition=kv.Condition(),
    )
    q = pictures.prior_quantiles(model, [0.5, 0.9], condition=[3.0])
    expected = 6 + stats.norm.ppf([[0.5] * 2, [0.9] * 2])
    np.testing.assert_allclose(q, expected, rtol=1e-5)
    for condition in ([3.0], [3.0, 3.0]):
        u = pictures.prior_probabilities(model, expected, condition)
        np.testing.assert_allclose(u, [[0.5] * 2, [0.9] * 2], rtol=1e-5)
    middle = pictures.manifold(model, 3, condition=[3.0])[1, 1]
    np.testing.assert_allclose(
        middle, pictures.decoded(model, [[6.0, 6.0]], condition=[3.0])[0], rtol=1e-5
    )
    x = np.random.default_rng(0).random((4, 6))
    y = [0.0, 1.0, 2.0, 3.0]
    z = np.asarray(model.encode(x, condition=y).mean())
    np.testing.assert_allclose(pictures.encoded(model, x, condition=y), z, rtol=1e-5)
    expected = np.asarray(model.decode(z, condition=y).mean())
    shown = pictures.reconstructions(model, x, condition=y)
    np.testing.assert_allclose(shown, expected, rtol=1e-5)
    assert pictures.samples(model, 4, condition=y).shape == (4, 6)
    assert pictures.traversals(model, condition=[1.0]).shape == (2, 10, 6)


def test_modes_and_fixed_samples_replace_means():
    model = small_model(likelihood=kv.Conditional("Categorical", 6, num_classes=4))
    x = pictures.samples(model, 5)
    assert np.isin(x, range(4)).all()
    model = small_model(
        posterior=kv.FlowPosterior(kv.DiagonalNormal(2), [kv.Coupling(3)]),
        bound=kv.ELBO(kl="sampled"),
    )
    x = np.zeros((3, 6))
    before = np.asarray(model.seed_generator.state)
    first, second, other = (pictures.reconstructions(model, x, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.any(other != first)
    np.testing.assert_array_equal(np.asarray(model.seed_generator.state), before)


def test_mosaics_and_images():
    images = np.random.default_rng(0).random((5, 4, 3, 3))
    picture = pictures.mosaic(images, 2, fill=9.0)
    assert picture.shape == (12, 6, 3)
    np.testing.assert_array_equal(picture[4:8, 3:], images[3])
    assert (picture[8:, 3:] == 9).all()
    assert pictures.mosaic(images).shape == (8, 9, 3)
    flat = images.reshape(5, 36)
    np.testing.assert_array_equal(pictures.as_images(flat, (4, 3, 3)), images)
    np.testing.assert_array_equal(pictures.as_images(images[..., :1]), images[..., 0])


def test_channels_first():
    images = np.random.default_rng(0).random((2, 4, 5, 3))
    first = np.moveaxis(images, -1, 1)
    for x, shape in ((first, None), (first, (3, 4, 5)), (first.reshape(2, -1), (3, 4, 5))):
        np.testing.assert_array_equal(pictures.as_images(x, shape), images)
    np.testing.assert_array_equal(pictures.as_images(first[:, :1]), images[..., 0])
    np.testing.assert_array_equal(pictures.as_images(first[:, :1], (4, 5)), images[..., 0])
    # The first and the last axis could both be channels: the last one is taken.
    np.testing.assert_array_equal(pictures.as_images(images[:, :3]), images[:, :3])


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda m: pictures.decoded(m, np.zeros((2, 3))), r"shape \(2,\).*shape \(3,\)"),
        (lambda m: pictures.decoded(m.encoder, np.zeros((2, 2))), "LatentVariableModel"),
        (lambda m: pictures.samples(m, 0), "positive integer"),
        (lambda m: pictures.samples(m, 2, condition=[1, 2]), "no condition"),
        (lambda m: pictures.prior_quantiles(m, [0.0]), r"in \(0, 1\)"),
        (lambda m: pictures.traversals(m, dimensions=[2]), r"from 0 to 1.*\[2\]"),
        (lambda m: pictures.traversals(m, dimensions=[0.5]), r"from 0 to 1.*\[0.5\]"),
        (lambda m: pictures.traversals(m, z=[1.0]), r"event shape \(2,\)"),
        (lambda m: pictures.as_images(np.zeros((2, 6))), "height, width"),
        (lambda m: pictures.as_images(np.zeros((2, 6)), (2, 2)), r"shape \(6,\).*\(2, 2\)"),
        (lambda m: pictures.as_images(np.zeros((2, 3, 4, 5)), (4, 5, 3)), r"\(4, 5, 3\)"),
        (lambda m: pictures.as_images(np.zeros((2, 4, 5)), (5, 4)), r"\(5, 4\)"),
        (lambda m: pictures.mosaic(np.zeros((2, 6))), "Expected images"),
    ],
)
def test_errors_say_what_was_expected(linear_gaussian, call, match):
    with pytest.raises(ValueError, match=match):
        call(linear_gaussian(10).model)


def test_a_manifold_needs_two_independent_dimensions():
    with pytest.raises(ValueError, match=r"two latent variables.*\(3,\)"):
        pictures.manifold(small_model(posterior=kv.DiagonalNormal(3)))
    mixture = small_model(kv.MixturePrior("Normal", 2, 3))
    for call in (pictures.manifold, lambda m: pictures.prior_probabilities(m, np.zeros((1, 2)))):
        with pytest.raises(ValueError, match="need independent dimensions"):
            call(mixture)


def test_without_an_encoder_nothing_is_encoded():
    model = kv.MonteCarloEM(**kv.networks.bernoulli_mlp(4, 2, 3, recognition=False))
    assert pictures.samples(model, 3).shape == (3, 4)
    with pytest.raises(ValueError, match="VariationalModel"):
        pictures.encoded(model, np.zeros((2, 4)))


def _seed(n):
    from keras_aevb import _backend

    return _backend.fixed_seed(n, 0)
