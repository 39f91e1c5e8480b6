"""The choice of the step size, on synthetic runs."""

import dataclasses
import math

import pytest
from made_up import SESSION

from replication.measurements.records import Run
from replication.measurements.table import table
from replication.plan import step_sizes
from replication.plan.experiment import Experiment
from replication.plan.protocols import figure2_experiment, figure3_experiment
from replication.plan.step_sizes import chosen, pilot_samples

UNTRAINED = -543.0


def a_run(step_size, latent_dim, pilot, *, dataset="mnist", at=None, later=None, **settings):
    """A run with the training bound `pilot` after the pilot, and `later` after more samples."""
    algorithm = settings.pop("algorithm", "aevb")
    experiment = figure2_experiment(dataset, algorithm, latent_dim, step_size)
    experiment = dataclasses.replace(experiment, **settings)
    return run_of(experiment, pilot, at, later)


def run_of(experiment, pilot, at=None, later=None):
    at = pilot_samples(experiment) if at is None else at
    scores = {0: UNTRAINED, at: pilot} | ({} if later is None else {2 * at: later})
    rows = [{"samples": s, experiment.score: score, "seconds": 1.0} for s, score in scores.items()]
    return Run(experiment, rows, {"sessions": [SESSION]})


def pilots(runs, figure=2):
    """The rows of step_sizes.pilots for the runs of a figure."""
    measured = table(runs)
    return step_sizes.pilots(measured[measured.figure == figure])


def listed(rows):
    return [*rows.itertuples(index=False, name=None)]


def verdicts(runs):
    return {row.step_size: row.verdict for row in pilots(runs).itertuples()}


def test_each_latent_size_has_its_own_choice():
    runs = [
        a_run(0.02, 20, -195.0),
        a_run(0.01, 5, -200.0),
        a_run(0.01, 20, -210.0),
        a_run(0.02, 5, -205.0),
    ]
    rows = pilots(runs)
    assert listed(rows) == [
        ("mnist", "aevb", 5, "", 0.01, 1, -200.0, "chosen"),
        ("mnist", "aevb", 5, "", 0.02, 1, -205.0, ""),
        ("mnist", "aevb", 20, "", 0.01, 1, -210.0, ""),
        ("mnist", "aevb", 20, "", 0.02, 1, -195.0, "chosen"),
    ]
    assert chosen(rows, "mnist", "aevb", 5) == 0.01
    assert chosen(rows, "mnist", "aevb", 20) == 0.02
    assert chosen(rows, "mnist", "aevb", 3) is None
    assert chosen(rows, "mnist", "wake-sleep", 20) is None


def test_no_choice_between_latent_sizes():
    rows = pilots([a_run(0.01, 3, -250.0), a_run(0.02, 20, -190.0)])
    assert [*rows.verdict] == ["", ""]


def test_each_data_set_and_algorithm_has_its_own_choice_and_pilot():
    runs = []
    for dataset, algorithm, best in (
        ("frey", "aevb", 0.01),
        ("digits", "aevb", 0.02),
        ("digits", "wake-sleep", 0.1),
    ):
        for step in (0.01, 0.02, 0.1):
            bound = -100.0 if step == best else -101.0
            runs.append(a_run(step, 2, bound, dataset=dataset, algorithm=algorithm))
    rows = pilots(runs)
    assert [*rows.dataset] == ["frey"] * 3 + ["digits"] * 6
    assert chosen(rows, "frey", "aevb", 2) == 0.01
    assert chosen(rows, "digits", "aevb", 2) == 0.02
    assert chosen(rows, "digits", "wake-sleep", 2) == 0.1


def test_the_second_curves_have_their_own_choice():
    """Frey Face with the settings of the text, whose pilots are shorter."""
    runs = [
        run_of(figure2_experiment("frey", "aevb", 2, step, text=text), 700.0 + (step == best))
        for text, best in ((True, 0.02), (False, 0.01))
        for step in (0.01, 0.02)
    ]
    rows = pilots(runs)
    assert listed(rows[rows.verdict == "chosen"]) == [
        ("frey", "aevb", 2, "", 0.01, 1, 701.0, "chosen"),
        ("frey", "aevb", 2, "text", 0.02, 1, 701.0, "chosen"),
    ]
    assert chosen(rows, "frey", "aevb", 2) == 0.01
    assert chosen(rows, "frey", "aevb", 2, "text") == 0.02


def test_samples_after_the_pilot_do_not_count():
    runs = [a_run(0.01, 5, -200.0, later=-1e6), a_run(0.02, 5, -205.0, later=-90.0)]
    assert verdicts(runs) == {0.01: "chosen", 0.02: ""}


def test_a_bound_below_the_untrained_one_has_diverged():
    assert listed(pilots([a_run(0.01, 5, -200.0), a_run(0.02, 5, UNTRAINED - 1)])) == [
        ("mnist", "aevb", 5, "", 0.01, 1, -200.0, "chosen"),
        ("mnist", "aevb", 5, "", 0.02, 1, UNTRAINED - 1, "diverged"),
    ]


def test_a_bound_equal_to_the_untrained_one_has_not_diverged():
    assert verdicts([a_run(0.01, 5, UNTRAINED), a_run(0.02, 5, -200.0)])[0.01] == ""


def test_a_bound_that_is_not_finite_has_diverged():
    runs = [a_run(0.01, 5, -200.0), a_run(0.02, 5, math.nan), a_run(0.1, 5, math.inf)]
    assert verdicts(runs) == {0.01: "chosen", 0.02: "diverged", 0.1: "diverged"}


def test_a_run_that_diverged_within_the_pilot():
    runs = [a_run(0.01, 5, -200.0), a_run(0.1, 5, math.nan, at=50_000)]
    assert verdicts(runs) == {0.01: "chosen", 0.1: "diverged"}


def test_a_run_interrupted_within_the_pilot_has_no_verdict():
    runs = [a_run(0.01, 5, -200.0), a_run(0.02, 5, -300.0, at=50_000), a_run(0.1, 5, -210.0)]
    assert verdicts(runs) == {0.01: "chosen", 0.1: ""}


def test_a_run_that_diverged_at_an_unknown_time_has_no_verdict():
    runs = [a_run(0.01, 5, -200.0), a_run(0.02, 5, math.nan, at=150_000), a_run(0.1, 5, -210.0)]
    assert verdicts(runs) == {0.01: "chosen", 0.1: ""}


def test_no_choice_from_one_step_size_or_when_all_diverge():
    assert verdicts([a_run(0.02, 5, -200.0)]) == {0.02: ""}
    assert verdicts([a_run(0.02, 5, math.nan), a_run(0.1, 5, math.nan)]) == {
        0.02: "diverged",
        0.1: "diverged",
    }


def test_step_sizes_are_compared_over_their_common_seeds():
    scores = {0.01: (-200.0, -204.0, -100.0), 0.02: (-199.0, -206.0), 0.1: (-300.0, -300.0)}
    runs = [
        a_run(step, 5, score, seed=seed)
        for step, own in scores.items()
        for seed, score in enumerate(own)
    ]
    assert listed(pilots(runs)) == [
        ("mnist", "aevb", 5, "", 0.01, 2, -202.0, "chosen"),
        ("mnist", "aevb", 5, "", 0.02, 2, -202.5, ""),
        ("mnist", "aevb", 5, "", 0.1, 2, -300.0, ""),
    ]


@pytest.mark.parametrize("others", [(0,), (0, 1)])
def test_a_step_size_with_one_seed_that_diverged_has_diverged(others):
    """Whether or not the other step sizes have that seed."""
    runs = [a_run(step, 5, -200.0 - step, seed=seed) for step in (0.01, 0.02) for seed in others]
    runs += [a_run(0.1, 5, -100.0, seed=0), a_run(0.1, 5, UNTRAINED - 1, seed=1)]
    assert verdicts(runs) == {0.01: "chosen", 0.02: "", 0.1: "diverged"}


def test_step_sizes_without_the_lowest_seed_do_not_count():
    runs = [
        a_run(0.01, 5, -200.0, seed=1),
        a_run(0.02, 5, -205.0, seed=1),
        a_run(0.02, 5, -100.0, seed=2),
        a_run(0.1, 5, math.nan, seed=2),
    ]
    assert verdicts(runs) == {0.01: "chosen", 0.02: ""}


def test_only_the_papers_step_sizes_and_settings_count():
    runs = [
        a_run(0.01, 5, -200.0),
        a_run(0.02, 5, -205.0),
        a_run(0.05, 5, -100.0),
        a_run(0.02, 5, -100.0, accumulate_only=0),
        a_run(0.1, 5, -100.0, hidden_units=100),
        run_of(figure3_experiment("mnist", "aevb", 1000, 0.1), -100.0),
    ]
    assert verdicts(runs) == {0.01: "chosen", 0.02: ""}


@pytest.mark.parametrize(
    "experiment, samples",
    [
        (Experiment("mnist", "aevb", 20, 0.01), 100_000),
        (Experiment("frey", "wake-sleep", 20, 0.01), 100_000),
        (figure2_experiment("frey", "wake-sleep", 20, 0.01), 500_000),
        (Experiment("digits", "aevb", 2, 0.01), 20_000),
        (figure3_experiment("mnist", "wake-sleep", 1000, 0.01), 100_000),
        # 200 iterations, each with 5 updates and 15 N_train samples.
        (figure3_experiment("mnist", "mcem", 1000, 0.01), 200 * 15 * 1000),
        (figure3_experiment("digits", "mcem", 300, 0.01), 40 * 15 * 300),
    ],
)
def test_a_pilot_is_a_number_of_weight_updates(experiment, samples):
    assert pilot_samples(experiment) == samples


def test_figure_3_chooses_by_the_likelihood_of_the_smaller_training_set():
    scores = {(1000, 0.01): -150.0, (1000, 0.02): -140.0, (50_000, 0.01): -100.0}
    runs = [
        run_of(figure3_experiment("mnist", algorithm, *setting), score)
        for algorithm in ("aevb", "mcem")
        for setting, score in scores.items()
    ]
    rows = pilots([*runs, a_run(0.1, 3, -90.0), a_run(0.01, 3, -80.0)], figure=3)
    assert listed(rows) == [
        ("mnist", "aevb", 3, "", 0.01, 1, -150.0, ""),
        ("mnist", "aevb", 3, "", 0.02, 1, -140.0, "chosen"),
        ("mnist", "mcem", 3, "", 0.01, 1, -150.0, ""),
        ("mnist", "mcem", 3, "", 0.02, 1, -140.0, "chosen"),
    ]
