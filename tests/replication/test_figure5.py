"""Figure 5: every tile is the mean of p(x|z) at a sample of z."""

import json

import numpy as np
import pytest
from matplotlib import image
from scipy.special import expit

from replication.errors import ReplicationError
from replication.figures import figure5
from replication.figures.images import MARGIN, TITLE
from replication.plan.experiment import Experiment
from replication.train import datasets, runner
from replication.train.model import trained
from replication.train.progress import RunProgress

# Large initial weights, so that every z has a different image without much training.
START = {"hidden_units": 10, "accumulate_only": 0, "initial_stddev": 0.5}
EXPERIMENTS = [Experiment("digits", "aevb", n, 0.02, **START) for n in (2, 5)]


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def results(digits, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    for experiment in EXPERIMENTS:
        runner.train([experiment], 2_000, digits, results, RunProgress())
    return results


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_tiles_are_means_at_samples_of_the_prior(digits, results, experiment):
    model, _ = trained(experiment, digits, results)
    w1, b1 = (np.asarray(v) for v in model.decoder.trainable_variables)
    w2, b2 = (np.asarray(v) for v in model.likelihood.trainable_variables)
    z = np.random.default_rng(0).standard_normal((100, experiment.latent_dim), "float32")
    expected = expit(np.tanh(z @ w1 + b1) @ w2 + b2).reshape(10, 10, 8, 8)
    picture = figure5.samples(model, (8, 8)).reshape(10, 8, 10, 8).swapaxes(1, 2)
    np.testing.assert_allclose(picture, expected, atol=1e-6)  # float32
    assert picture.std() > 0.1


@pytest.mark.slow
def test_panels_stand_in_the_order_of_the_experiments(digits, results):
    page, picture, mosaics, record = figure5.build(EXPERIMENTS, {"digits": digits}, results)
    assert picture == results / "figure5" / "figure5.png"
    assert mosaics == results / "figure5" / "samples-digits.png"
    pixels = image.imread(picture)[..., 0]
    left, side, top = MARGIN, 560, 2 * TITLE
    for experiment in EXPERIMENTS:
        model, _ = trained(experiment, digits, results)
        expected = np.kron(figure5.samples(model, (8, 8)), np.ones((7, 7)))
        shown = pixels[top : top + side, left : left + side]
        np.testing.assert_allclose(shown, expected, atol=0.51 / 255)  # 256 shades
        left += side + MARGIN
    record = json.loads(record.read_text())
    assert [(run["id"], run["samples"]) for run in record["runs"]] == [
        (e.id, 2_000) for e in EXPERIMENTS
    ]
    assert (record["tiles"], record["seed"]) == (10, 0)
    text = page.read_text()
    assert "![Samples side by side](figure5.png)" in text
    assert all(e.id in text for e in EXPERIMENTS)


def test_without_weights_nothing_is_drawn(digits, tmp_path):
    with pytest.raises(ReplicationError, match="--fresh"):
        figure5.build(EXPERIMENTS, {"digits": digits}, tmp_path)
    assert not list(tmp_path.iterdir())
