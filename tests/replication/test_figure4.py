"""Figure 4: every tile is decoded from its point of the unit square."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib import image
from scipy.special import expit
from scipy.stats import norm

from keras_aevb.plots import COLOURS
from replication.errors import ReplicationError
from replication.figures import figure4
from replication.figures.images import MARGIN, TITLE, read_mosaic
from replication.measurements.records import runs_folder
from replication.plan.experiment import Experiment
from replication.train import datasets, runner
from replication.train.model import trained
from replication.train.progress import RunProgress

# Large initial weights, so that every z has a different image without much training.
START = {"accumulate_only": 0, "initial_stddev": 0.5}
DIGITS = Experiment("digits", "aevb", 2, 0.02, hidden_units=10, **START)
FREY = Experiment("frey", "aevb", 2, 0.02, hidden_units=4, **START)


def faces():
    """Random images in place of the Frey faces."""
    x = np.random.default_rng(0).random((250, 560)).astype("float32")
    return datasets.Dataset("frey", x[:200], x[200:], digest="")


@pytest.fixture(scope="module")
def data():
    return {"digits": datasets.load("digits"), "frey": faces()}


@pytest.fixture(scope="module")
def results(data, tmp_path_factory):
    """Results with both runs."""
    results = tmp_path_factory.mktemp("results")
    for experiment in (DIGITS, FREY):
        runner.train([experiment], 2_000, data[experiment.dataset], results, RunProgress())
    return results


@pytest.fixture(scope="module")
def model(data, results):
    return trained(DIGITS, data["digits"], results)[0]


@pytest.fixture(scope="module")
def weights(model):
    """The digits' weights: encoder W₃ b₃, q(z|x) W₄ b₄ W₅ b₅, decoder W₁ b₁, p(x|z) W₂ b₂."""
    parts = (model.encoder, model.posterior, model.decoder, model.likelihood)
    return [[np.asarray(v) for v in part.trainable_variables] for part in parts]


def test_a_tile_is_decoded_from_its_point_of_the_unit_square(model, weights):
    picture = figure4.manifold(model, (4, 16))  # not square, to detect swapped axes
    n = figure4.TILES
    assert picture.shape == (4 * n, 16 * n)
    (w1, b1), (w2, b2) = weights[2:]
    assert picture.std() > 0.1
    for right, up in ((0, 0), (n - 1, 0), (3, 12)):
        z = norm.ppf([(right + 0.5) / n, (up + 0.5) / n])
        expected = expit(np.tanh(z @ w1 + b1) @ w2 + b2).reshape(4, 16)
        row = n - 1 - up
        tile = picture[4 * row : 4 * row + 4, 16 * right : 16 * right + 16]
        np.testing.assert_allclose(tile, expected, atol=1e-6)  # float32


def test_the_encoded_points_are_the_means_in_the_unit_square(data, model, weights):
    x = data["digits"].test
    (w3, b3), (w4, b4, *_), *_ = weights
    expected = norm.cdf(np.tanh(x @ w3 + b3) @ w4 + b4)
    np.testing.assert_allclose(figure4.encoded(model, x), expected, atol=1e-6)  # float32


def test_records_name_the_runs(data, results):
    paths = figure4.build([DIGITS, FREY], data, results)
    assert [path.relative_to(results).as_posix() for path in paths] == [
        "figure4/figure4.md",
        "figure4/figure4.png",
        "figure4/manifold-digits.png",
        "figure4/encoded-digits.png",
        "figure4/digits.json",
        "figure4/manifold-frey.png",  # faces have no labels
        "figure4/frey.json",
    ]
    assert all(path.exists() for path in paths)
    record = json.loads(paths[4].read_text())
    assert record["pictures"] == ["manifold-digits.png", "encoded-digits.png"]
    assert record["tiles"] == 20
    assert record["runs"] == [
        {"id": DIGITS.id, "samples": 2_000, "experiment": dataclasses.asdict(DIGITS)}
    ]
    assert {"commit", "backend", "versions"} <= set(record["session"])
    page = paths[0].read_text()
    assert "| Digits" in page
    for text in (
        "![Manifolds side by side](figure4.png)",
        "![Digits](encoded-digits.png)",
        f"[{DIGITS.id}](../runs/{DIGITS.id}/run.json)",
        "2·10³",
    ):
        assert text in page


def test_the_page_keeps_other_data_sets(data, results, tmp_path):
    folder = tmp_path / "runs"
    folder.symlink_to(runs_folder(results))
    page, picture, *_ = figure4.build([FREY], data, tmp_path)
    assert "Digits" not in page.read_text()
    assert "test set" not in page.read_text()
    # 20 tiles of 28 × 20 pixels, and of 8 × 8; the height is as close to HEIGHT as possible.
    faces, digits = 2 * 400, 7 * 160
    assert image.imread(picture).shape[1] == faces + 2 * MARGIN
    figure4.build([DIGITS], data, tmp_path)
    assert "| Frey Face" in page.read_text()
    assert "![Digits](encoded-digits.png)" in page.read_text()
    pixels = image.imread(picture)[..., 0]
    assert pixels.shape[1] == faces + digits + 3 * MARGIN
    shown = pixels[TITLE : TITLE + 1120 : 7, 2 * MARGIN + faces : -MARGIN : 7]
    kept = read_mosaic(tmp_path / "figure4" / "manifold-digits.png")
    np.testing.assert_allclose(shown, kept / 255, atol=1e-6)  # float32


def test_without_weights_nothing_is_drawn(data, tmp_path):
    with pytest.raises(ReplicationError, match="--fresh"):
        figure4.build([DIGITS], data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_class_has_its_colour(tmp_path):
    # Each of four classes fills a corner, more of it than the name at its median covers.
    corners = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]])
    labels = np.array([1, 3, 7, 8], "uint8")
    spread = np.random.default_rng(0).uniform(-0.1, 0.1, (4, 200, 2))
    points = (corners[:, None] + spread).reshape(-1, 2)
    figure4.draw_encoded(points, np.repeat(labels, 200), tmp_path / "a.png")
    pixels = image.imread(tmp_path / "a.png")[..., :3]
    height, width, _ = pixels.shape
    found = {}
    for label in labels:
        code = COLOURS[label]
        full = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        colour = 1 - 0.8 * (1 - full)  # on white, at the points' opacity
        y, x = np.nonzero(np.all(np.abs(pixels - colour) < 0.01, axis=-1))
        found[int(label)] = (np.median(x) > width / 2, np.median(y) < height / 2)
    assert found == {1: (0, 0), 3: (1, 0), 7: (0, 1), 8: (1, 1)}
    assert len(set(COLOURS)) == 10
