"""The paper's curves, against their values at round sample counts."""

import math

import numpy as np
import pytest

from replication.paper import paper_curve, paper_value

# Nats per example: AEVB test at 1e6, 1e7, 1e8; AEVB train at 1e8; wake-sleep test at 1e7, 1e8.
TABLE = {
    ("mnist", 3): (None, -138.0, -133.4, -130.3, -144.8, -138.9),
    ("mnist", 5): (-138.9, -124.1, -119.1, -116.5, -127.2, -121.9),
    ("mnist", 10): (-128.3, -108.5, -103.7, -100.7, -113.5, -107.6),
    ("mnist", 20): (-124.2, -104.8, -100.2, -98.3, -108.3, -104.6),
    ("mnist", 200): (-119.9, -103.9, -100.2, -98.4, -109.1, -104.6),
    ("frey", 2): (673, 823, 872, 934, 569, 569),
    ("frey", 5): (761, 1044, 1115, 1232, 569, 569),
    ("frey", 10): (792, 1171, 1310, 1458, 569, 569),
    ("frey", 20): (754, 1200, 1312, 1487, 569, 569),
}
CELLS = (
    ("aevb", "test", 1e6),
    ("aevb", "test", 1e7),
    ("aevb", "test", 1e8),
    ("aevb", "train", 1e8),
    ("wake-sleep", "test", 1e7),
    ("wake-sleep", "test", 1e8),
)
# The table is rounded to 0.1 and 1: half of that, and a little for the interpolation.
TOLERANCE = {"mnist": 0.06, "frey": 0.6}

FIGURE_3 = {  # at the end, about 6e7 samples; rounded to 0.1
    ("aevb", 1000): (-109.1, -143.2),
    ("mcem", 1000): (-109.2, -141.6),
    ("wake-sleep", 1000): (-125.5, -144.8),
    ("aevb", 50000): (-131.1, -138.1),
    ("wake-sleep", 50000): (-137.1, -140.8),
    ("mcem", 50000): (-148.8, -150.4),
}


@pytest.mark.parametrize("dataset, latent_dim", TABLE)
def test_figure_2_at_round_sample_counts(dataset, latent_dim):
    for (algorithm, split, at), expected in zip(CELLS, TABLE[dataset, latent_dim]):
        value = paper_value(2, dataset, algorithm, latent_dim, split, at=at)
        if expected is None:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(expected, abs=TOLERANCE[dataset])


@pytest.mark.parametrize("algorithm, n_train", FIGURE_3)
def test_figure_3_is_found_by_the_number_of_training_examples(algorithm, n_train):
    for split, expected in zip(("train", "test"), FIGURE_3[algorithm, n_train]):
        value = paper_value(3, "mnist", algorithm, 3, split, n_train, at=6e7)
        assert value == pytest.approx(expected, abs=0.06)


def test_a_curve_is_ordered_by_samples():
    # The drawing of this curve steps back once.
    curve = paper_curve(2, "mnist", "wake-sleep", 10, "test")
    assert curve.shape == (500,)
    assert curve.index.dtype == curve.dtype == np.float64
    assert curve.index.is_monotonic_increasing and curve.index.is_unique


def test_interpolation_is_linear_in_log_samples():
    curve = paper_curve(2, "frey", "aevb", 2, "test")
    samples, values = curve.index, curve.to_numpy()
    between = math.sqrt(samples[4] * samples[5])
    value = paper_value(2, "frey", "aevb", 2, "test", at=between)
    assert value == pytest.approx((values[4] + values[5]) / 2, rel=1e-9)


def test_a_curve_starts_at_its_first_reading_and_ends_at_the_panels_edge():
    curve = (2, "frey", "aevb", 2, "test")
    samples, values = paper_curve(*curve).index, paper_curve(*curve).to_numpy()
    assert paper_value(*curve, at=samples[0]) == values[0]
    assert np.isnan(paper_value(*curve, at=samples[0] - 1))
    assert samples[-1] < 1e8  # the last point before the panel's edge, used as the value there
    assert paper_value(*curve, at=1e8) == values[-1]
    assert np.isnan(paper_value(*curve, at=1.2e8))


@pytest.mark.parametrize(
    "curve",
    [
        (2, "digits", "aevb", 2, "test"),
        (2, "mnist", "aevb", 7, "test"),
        (2, "mnist", "mcem", 3, "test"),
        (3, "mnist", "aevb", 3, "test"),  # figure 3 needs n_train
    ],
)
def test_none_where_the_paper_has_no_curve(curve):
    assert paper_curve(*curve) is None
    assert np.isnan(paper_value(*curve, at=1e7))
