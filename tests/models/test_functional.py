"""A model, its encoder and its encoding are parts of functional Keras models."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv

Y = np.arange(13) % 3
OUTPUTS = ("mean", "mean_and_log_variance", "sample")
POSTERIORS = {
    "DiagonalNormal": lambda: kv.DiagonalNormal(2),
    "MultivariateNormalTriL": lambda: kv.Conditional("MultivariateNormalTriL", 2),
    "FlowPosterior": lambda: kv.FlowPosterior(kv.DiagonalNormal(2), [kv.Coupling(3)]),
    "images": lambda: kv.DiagonalNormal((2, 3)),
}


@pytest.fixture
def model(make_model):
    return make_model()


@pytest.fixture
def conditional(make_model):
    join = kv.networks.Joined
    return make_model(
        encoder=join(keras.layers.Dense(5, "tanh")),
        decoder=join(keras.layers.Dense(4, "tanh")),
        condition=kv.Condition(num_classes=3),
    )


def reloaded(functional, path):
    functional.save(path / "functional.keras")
    return keras.saving.load_model(path / "functional.keras")


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of log_variance, on TensorFlow
def test_a_model_is_a_layer(model, x, tmp_path):
    pixels = keras.Input((6,))
    images = model(pixels)
    assert images.shape == (None, 6)
    functional = keras.Model(pixels, keras.layers.Rescaling(2.0)(images))
    functional.compile("sgd", "mse")
    expected = 2 * model.predict(x, verbose=0)
    np.testing.assert_allclose(functional.predict(x, verbose=0), expected, rtol=1e-6)
    before = [np.asarray(v) for v in model.trainable_variables]
    functional.fit(x, 2 * x, verbose=0)
    # Every weight changes but those of log_variance, on which the mean of q(z|x) does not depend.
    unused = {id(v) for v in model.posterior.heads["log_variance"].variables}
    for variable, value in zip(model.trainable_variables, before):
        assert np.array_equal(variable, value) == (id(variable) in unused), variable.path
    loaded = reloaded(functional, tmp_path)
    after = functional.predict(x, verbose=0)
    assert not np.allclose(after, expected, rtol=1e-5)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), after)


@pytest.mark.parametrize("name", POSTERIORS)
def test_symbolic_shapes(name, make_model, x):
    """A flow has no mean, so `model(pixels)` decodes samples: noise for a batch of any size."""
    model = make_model(
        posterior=POSTERIORS[name](),
        decoder=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)]),
        bound=kv.ELBO(kl="sampled"),
    )
    pixels = keras.Input((6,))
    functional = keras.Model(pixels, [model(pixels), model.encoding("sample", seed=0)(pixels)])
    assert [tuple(o.shape) for o in functional.outputs] == [
        (None, 6),
        (None, *model.posterior.event_shape),
    ]
    for n in (1, 7):
        images, z = functional.predict(x[:n], verbose=0)
        assert images.shape == (n, 6) and z.shape == (n, *model.posterior.event_shape)


def test_a_model_with_a_condition_takes_it_as_a_second_input(conditional, x):
    pixels, y = keras.Input((6,)), keras.Input(())
    functional = keras.Model([pixels, y], conditional(pixels, condition=y))
    expected = conditional.reconstruct(x, condition=Y)
    np.testing.assert_allclose(functional.predict([x, Y], verbose=0), expected, rtol=1e-5)


def test_outputs_of_an_encoding(model, x):
    q = model.encode(x)
    mean, log_variance = model.encoding("mean_and_log_variance")(x)
    np.testing.assert_allclose(mean, q.mean(), rtol=1e-6)
    # the logarithm amplifies the rounding of a variance
    np.testing.assert_allclose(log_variance, np.log(q.variance()), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(model.encoding()(x), mean)


def test_samples_of_an_encoding(model, x):
    """Standard scores of 13 · 2 · 1000 draws: |mean| < 5 / √26000, 5 standard errors, odds 6e-7."""
    encoding = model.encoding("sample", seed=0)
    q = model.encode(x)
    many = np.tile(x, (1000, 1))
    z, again = (np.asarray(encoding(many)).reshape(1000, 13, 2) for _ in range(2))
    scores = (z - np.asarray(q.mean())) / np.asarray(q.stddev())
    assert abs(scores.mean()) < 5 / np.sqrt(scores.size)
    # var(s²) = 2 of a standard normal s
    assert abs((scores**2).mean() - 1) < 5 * np.sqrt(2 / scores.size)
    same = np.asarray(model.encoding("sample", seed=0)(many)).reshape(z.shape)
    np.testing.assert_array_equal(same, z)
    assert not np.array_equal(again, z)


def test_an_output_that_the_posterior_lacks_is_refused(make_model, x):
    model = make_model(
        posterior=kv.FlowPosterior(kv.DiagonalNormal(2), [kv.Coupling(3)]),
        bound=kv.ELBO(kl="sampled"),
    )
    with pytest.raises(ValueError, match=r"`output='sample'`.*'mean'"):
        model.encoding("mean")(x)
    with pytest.raises(ValueError, match=r"`output`.*'median'"):
        model.encoding("median")
    with pytest.raises(ValueError, match=r"ConditionalDistribution.*StandardNormal"):
        kv.Encoding(model.encoder, model.prior)


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_encoding_is_trained_and_saved_with_a_classifier(output, model, x, tmp_path):
    pixels = keras.Input((6,))
    z = model.encoding(output)(pixels)
    features = keras.layers.Concatenate()(z) if isinstance(z, (list, tuple)) else z
    labels = keras.layers.Dense(3, "softmax")(features)
    classifier = keras.Model(pixels, labels)
    classifier.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    before = np.asarray(model.encoder.trainable_variables[0])
    history = classifier.fit(x, Y, epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert not np.array_equal(model.encoder.trainable_variables[0], before)
    loaded = reloaded(classifier, tmp_path)
    if output != "sample":
        expected = classifier.predict(x, verbose=0)
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    for actual, desired in zip(classifier.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(actual, desired)


def test_an_encoding_with_a_condition(conditional, x, tmp_path):
    pixels, y = keras.Input((6,)), keras.Input(())
    functional = keras.Model([pixels, y], conditional.encoding()([pixels, y]))
    expected = np.asarray(conditional.encode(x, condition=Y).mean())
    np.testing.assert_allclose(functional.predict([x, Y], verbose=0), expected, rtol=1e-5)
    loaded = reloaded(functional, tmp_path)
    np.testing.assert_allclose(loaded.predict([x, Y], verbose=0), expected, rtol=1e-5)


def test_an_encoding_of_missing_values(make_model, x):
    model = make_model(likelihood=kv.Observed(kv.Bernoulli(6), fill=0.5))
    incomplete = np.where(x < 0.3, np.nan, x)
    np.testing.assert_allclose(
        model.encoding()(incomplete), model.encode(incomplete).mean(), rtol=1e-6
    )


def test_gradients_reach_the_encoder_through_samples(model, gradients, x):
    """d Σz / d b = d Σ(μ + σ ε) / d b: 13 for the bias of μ's head."""
    encoding = model.encoding("sample", seed=0)
    bias = model.posterior.heads["mean"].layers[-1].bias
    (gradient,) = gradients(lambda: ops.sum(encoding(x)), [bias])
    np.testing.assert_allclose(gradient, [13, 13], rtol=1e-5)


PAIRS = {
    "encoding and model": lambda m, i: [m.encoding("mean")(i), m(i)],
    "model and encoding": lambda m, i: [m(i), m.encoding("mean")(i)],
    "two encodings": lambda m, i: [
        m.encoding("mean")(i),
        m.encoding("mean_and_log_variance")(i)[1],
    ],
}


@pytest.mark.parametrize("pair", PAIRS)
def test_layers_that_share_an_encoder_are_saved(pair, model, x, tmp_path):
    pixels = keras.Input((6,))
    functional = keras.Model(pixels, PAIRS[pair](model, pixels))
    loaded = reloaded(functional, tmp_path)
    assert len(loaded.weights) == len(functional.weights)
    for a, b in zip(functional.predict(x, verbose=0), loaded.predict(x, verbose=0)):
        np.testing.assert_array_equal(a, b)
