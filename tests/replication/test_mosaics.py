"""Mosaics: every pixel of every image in its place, and unchanged."""

import numpy as np
import pytest
from matplotlib import image

from keras_aevb.pictures import mosaic
from replication.errors import DamagedFileError
from replication.figures.images import (
    MARGIN,
    TITLE,
    draw_mosaics,
    draw_page,
    read_mosaic,
    write_mosaic,
    write_record,
)
from replication.plan.protocols import figure2_experiment


def test_images_keep_their_place_and_their_rows():
    images = np.random.default_rng(0).random((6, 4, 3))
    picture = mosaic(images, columns=2)
    assert picture.shape == (12, 6)
    for i, expected in enumerate(images):
        row, column = divmod(i, 2)
        tile = picture[4 * row : 4 * row + 4, 3 * column : 3 * column + 3]
        np.testing.assert_array_equal(tile, expected)


def shades(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype("uint8")


def squares(panel, side):
    return np.kron(panel, np.ones((side, side)))[..., None] + np.zeros(3)


def test_a_mosaic_is_saved_pixel_by_pixel(tmp_path):
    values = np.random.default_rng(0).random((10, 7))
    write_mosaic(values, tmp_path / "a.png")
    np.testing.assert_array_equal(read_mosaic(tmp_path / "a.png"), np.rint(255 * values))


def test_a_damaged_mosaic_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DamagedFileError, match=r"a\.png to be a picture"):
        read_mosaic(tmp_path / "a.png")


def test_a_record_that_does_not_match_its_mosaic_is_refused(tmp_path):
    """As when the process is killed between writing the two files."""
    folder = tmp_path / "figure5"
    models = [(figure2_experiment("digits", "aevb", n, 0.01), 100) for n in (2, 5)]
    write_mosaic(np.zeros((80, 240)), folder / "samples.png")  # three panels
    write_record(folder, "digits", models, pictures=["samples.png"])
    with pytest.raises(DamagedFileError, match=r"\(80, 160\) pixels.*\(80, 240\).*again with `fig"):
        draw_page(folder, 10, 560, str, str)


def test_pixels_become_squares_and_mosaics_are_side_by_side(tmp_path):
    left, right = shades(0, 10, 7), shades(1, 10, 12)
    draw_mosaics({"left": {"": left}, "right": {"": right}}, 42, tmp_path / "a.png")
    pixels = image.imread(tmp_path / "a.png")[..., :3]
    assert pixels.shape == (TITLE + 40 + MARGIN, 3 * MARGIN + 28 + 48, 3)
    first, second = MARGIN, 2 * MARGIN + 28
    for panel, start in ((left, first), (right, second)):
        expected = squares(panel, 4) / 255
        shown = pixels[TITLE : TITLE + 40, start : start + expected.shape[1]]
        np.testing.assert_allclose(shown, expected, atol=1e-6)  # float32
    assert np.all(pixels[TITLE:, first + 28 : second] == 1)


def test_several_mosaics_are_in_two_columns(tmp_path):
    four = [shades(i, 5, 3) for i in range(4)]
    wide = shades(9, 5, 6)
    blocks = {"a": {str(i): panel for i, panel in enumerate(four)}, "b": {"only": wide}}
    draw_mosaics(blocks, 20, tmp_path / "a.png")
    pixels = image.imread(tmp_path / "a.png")[..., :3]
    for i, panel in enumerate(four):
        row, column = divmod(i, 2)
        y, x = 2 * TITLE + row * (20 + TITLE), MARGIN + column * (12 + MARGIN)
        np.testing.assert_allclose(pixels[y : y + 20, x : x + 12], squares(panel, 4) / 255, 1e-6)
    x = MARGIN + 2 * (12 + MARGIN) + 2 * MARGIN  # a wider gap to the next block
    shown = pixels[2 * TITLE : 2 * TITLE + 20, x : x + 24]
    np.testing.assert_allclose(shown, squares(wide, 4) / 255, 1e-6)
    assert pixels.shape[1] == x + 24 + MARGIN


def test_the_picture_is_the_same_every_time(tmp_path):
    files = [tmp_path / name for name in ("a.png", "b.png")]
    for file in files:
        draw_mosaics({"$N_z = 2$": {"": np.eye(5, dtype="uint8")}}, 50, file)
    assert files[0].read_bytes() == files[1].read_bytes()
