"""Mosaics: every pixel of every image where it belongs, and unchanged."""

import numpy as np
from matplotlib import image

from keras_aevb.pictures import mosaic
from replication.figures.images import MARGIN, TITLE, draw_mosaics


def test_images_keep_their_place_and_their_rows():
    images = np.random.default_rng(0).random((6, 4, 3))
    picture = mosaic(images, columns=2)
    assert picture.shape == (12, 6)
    for i, expected in enumerate(images):
        row, column = divmod(i, 2)
        tile = picture[4 * row : 4 * row + 4, 3 * column : 3 * column + 3]
        np.testing.assert_array_equal(tile, expected)


def test_pixels_become_squares_of_pixels(tmp_path):
    rng = np.random.default_rng(0)
    left, right = rng.random((10, 7)), rng.random((10, 12))
    draw_mosaics({"left": left, "right": right}, 42, tmp_path / "a.png")
    pixels = image.imread(tmp_path / "a.png")[..., :3]
    assert pixels.shape == (TITLE + 40 + MARGIN, 3 * MARGIN + 28 + 48, 3)
    first, second = MARGIN, 2 * MARGIN + 28
    for panel, start in ((left, first), (right, second)):
        grey = np.kron(panel, np.ones((4, 4)))[..., None]
        shown = pixels[TITLE : TITLE + 40, start : start + grey.shape[1]]
        np.testing.assert_allclose(shown, grey + np.zeros(3), atol=0.51 / 255)  # 256 shades
    assert np.all(pixels[TITLE:, first + 28 : second] == 1)


def test_black_is_zero_and_white_is_one(tmp_path):
    draw_mosaics({"": np.array([[0.4, 0.6]])}, 8, tmp_path / "a.png")
    pixels = image.imread(tmp_path / "a.png")[TITLE, MARGIN:, 0]
    np.testing.assert_allclose(pixels[[0, 8]], [0.4, 0.6], atol=0.51 / 255)


def test_the_picture_is_the_same_every_time(tmp_path):
    files = [tmp_path / name for name in ("a.png", "b.png")]
    for file in files:
        draw_mosaics({"$N_z = 2$": np.eye(5)}, 50, file)
    assert files[0].read_bytes() == files[1].read_bytes()
