"""Distances from the paper's curves, for synthetic results."""

import pytest
from made_up_results import write_bounds, write_figure3

from replication.claims import Evidence
from replication.plan.protocols import figure2_experiment


def test_every_decade_and_the_end(tmp_path):
    for seed in (0, 1):
        experiment = figure2_experiment("mnist", "aevb", 20, 0.01, seed)
        write_bounds(tmp_path, experiment, 20_000_000, offset=-1.5)
    found = [*Evidence(tmp_path).distances().itertuples()]
    places = [(d.split, d.samples) for d in found]
    ends = (1_000_000, 10_000_000, 20_000_000)
    assert places == [(split, s) for split in ("train", "test") for s in ends]
    assert all(d.estimate.value == pytest.approx(-1.5) for d in found)
    assert all(d.estimate.error == pytest.approx(0.3) for d in found)
    assert {d.estimate.over for d in found} == {("2 seeds", "examples")}


def test_nothing_where_the_paper_has_no_curve(tmp_path):
    # At N_z = 3 the paper's curve enters its panel after 10⁶; there is no comparison below 10⁶.
    write_bounds(tmp_path, figure2_experiment("mnist", "aevb", 3, 0.01), 2_000_000)
    write_bounds(tmp_path, figure2_experiment("mnist", "aevb", 10, 0.01), 800_000)
    found = [*Evidence(tmp_path).distances().itertuples()]
    assert {(d.latent_dim, d.samples) for d in found} == {(3, 2_000_000)}


def test_second_curves_are_left_out(tmp_path):
    """Frey Face with the settings of the text, even if it was trained for longer."""
    for text, end, offset in ((False, 1_000_000, 20.0), (True, 10_000_000, 150.0)):
        experiment = figure2_experiment("frey", "aevb", 10, 0.01, text=text)
        write_bounds(tmp_path, experiment, end, offset)
    found = [*Evidence(tmp_path).distances().itertuples()]
    assert [(d.split, d.samples) for d in found] == [("train", 10**6), ("test", 10**6)]
    assert [d.estimate.value for d in found] == pytest.approx([20.0, 20.0])


def test_figure_3(tmp_path):
    write_figure3(tmp_path, 1000, end=10_000_000, mcem=2.0)
    found = [*Evidence(tmp_path).distances().itertuples()]
    mcem = [d for d in found if d.algorithm == "mcem" and d.split == "train"]
    assert [d.samples for d in mcem] == [1_000_000, 10_000_000]
    assert [d.estimate.value for d in mcem] == pytest.approx([2.0, 2.0])
    assert mcem[0].estimate.over == ("2 seeds", "samples of z")
