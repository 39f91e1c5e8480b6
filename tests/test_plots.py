"""Contents of plots: pixels, points and bars."""

import sys

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import keras_aevb as kv
from keras_aevb import pictures, plots


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    parts = kv.networks.bernoulli_mlp(12, 2, 8, stddev=0.5, seed=0)
    return kv.AEVB(**parts, seed=0)


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((7, 12)).astype("float32")


def pixels(ax):
    (image,) = ax.images
    return np.asarray(image.get_array())


def test_grey_values_are_scaled_and_clipped(ax):
    images = np.array([[[-1.0, 0.0], [5.0, 10.0]], [[20.0, np.nan], [0.0, 0.0]]])
    assert plots.mosaic(images, value_range=(0, 10), ax=ax) is ax
    expected = [[0, 0, 1, 0.5], [0.5, 1, 0, 0]]
    np.testing.assert_array_equal(pixels(ax), expected)


def test_samples_and_the_manifold(model, ax):
    plots.samples(model, 6, columns=3, image_shape=(4, 3), ax=ax)
    expected = pictures.mosaic(pictures.samples(model, 6).reshape(6, 4, 3), 3)
    np.testing.assert_allclose(pixels(ax), expected, rtol=1e-6)
    other = Figure().subplots()
    plots.manifold(model, 5, image_shape=(4, 3), ax=other)
    tile = pixels(other)[:4, -3:]  # the corner where both coordinates are large
    z = pictures.prior_quantiles(model, [0.9])
    np.testing.assert_allclose(tile.ravel(), pictures.decoded(model, z)[0], rtol=1e-5)


def test_reconstructions_stand_below_their_examples(model, x, ax):
    plots.reconstructions(model, x, columns=4, image_shape=(4, 3), ax=ax)
    shown = pixels(ax).reshape(4, 4, 4, 3).swapaxes(1, 2)  # rows, columns, height, width
    np.testing.assert_allclose(shown[0].reshape(4, 12), x[:4], rtol=1e-6)
    np.testing.assert_allclose(shown[2, :3].reshape(3, 12), x[4:], rtol=1e-6)
    decoded = pictures.reconstructions(model, x)
    np.testing.assert_allclose(shown[1].reshape(4, 12), decoded[:4], rtol=1e-6)
    np.testing.assert_allclose(shown[3, :3].reshape(3, 12), decoded[4:], rtol=1e-6)
    assert (shown[2:, 3] == 1).all()


def test_traversals_are_named_by_their_dimension(model, ax):
    plots.traversals(model, num_values=5, dimensions=[1], image_shape=(4, 3), ax=ax)
    assert pixels(ax).shape == (4, 15)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["z[1]"]


def test_points_have_the_colours_of_their_labels(model, x, ax):
    labels = np.array(["b", "a", "c", "a", "b", "c", "a"])
    plots.encoded(model, x, labels, unit_square=True, ax=ax)
    points = ax.collections[0]
    z = pictures.prior_probabilities(model, pictures.encoded(model, x))
    for place, colour in zip(points.get_offsets(), points.get_facecolors()):
        (i,) = np.flatnonzero(np.isclose(z, place).all(axis=1))
        np.testing.assert_allclose(colour[:3], to_rgb(plots.COLOURS["abc".index(labels[i])]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    assert ax.get_xlabel() == "F(z[0])"


def test_many_integers_have_a_colour_scale(model, ax):
    x = np.random.default_rng(0).random((25, *model.likelihood.event_shape)).astype("float32")
    plots.encoded(model, x, labels=np.arange(25), ax=ax)
    assert ax.get_legend() is None and len(ax.figure.axes) == 2


def test_a_column_of_strings_is_a_list_of_labels(model, x, ax):
    """As a NumPy array, such a column has dtype object."""
    labels = np.array(["b", "a", "c", "a", "b", "c", "a"], dtype=object)
    plots.encoded(model, x, labels, ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"`labels`.*object"):
        plots.encoded(model, x, np.array([None, *labels[1:]], dtype=object), ax=ax)


def test_numbers_get_a_scale_and_many_classes_a_colour_each(model, x, ax):
    plots.encoded(model, x, np.linspace(0, 1, 7), dimensions=(1, 0), ax=ax)
    assert len(ax.figure.axes) == 2
    assert ax.get_xlabel() == "z[1]"
    other = Figure().subplots()
    plots.encoded(model, np.repeat(x, 2, axis=0), range(14), ax=other)
    assert len({tuple(c) for c in other.collections[0].get_facecolors()}) == 14
    plots.encoded(model, x, ax=Figure().subplots())


def test_bars_are_the_mean_divergences(model, x, ax):
    plots.kl_by_dimension(model, x, ax=ax)
    heights = [bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(heights, kv.evaluation.kl_by_dimension(model, x).mean(0), rtol=1e-6)


def test_errors_say_what_was_expected(model, x, ax):
    with pytest.raises(ValueError, match=r"`labels`.*7.*shape \(3,\)"):
        plots.encoded(model, x, [1, 2, 3], ax=ax)
    with pytest.raises(ValueError, match=r"`dimensions`.*\(0, 2\)"):
        plots.encoded(model, x, dimensions=(0, 2), ax=ax)
    with pytest.raises(ValueError, match="`value_range`"):
        plots.samples(model, image_shape=(4, 3), value_range=(1, 1), ax=ax)
    with pytest.raises(ValueError, match="`image_shape`"):
        plots.samples(model, ax=ax)


def test_the_extra_is_named_if_matplotlib_is_missing(model, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"keras-aevb\[plots\]"):
        plots.samples(model, image_shape=(4, 3))
    with pytest.raises(ImportError, match=r"keras-aevb\[plots\]"):
        kv.callbacks.Pictures("pictures")
