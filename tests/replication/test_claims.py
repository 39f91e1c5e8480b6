"""Verdicts on the paper's claims, from synthetic results."""

import itertools
import math

import pytest
from made_up import write_run
from made_up_results import (
    write_bounds,
    write_figure3,
    write_panel,
    write_variances,
)

from replication import claims
from replication.claims import Evidence
from replication.claims.bounds import PANELS, overfitting_start
from replication.claims.rules import Estimate, Verdict, ahead, all_of, combined, not_below, within
from replication.paper import paper_value
from replication.plan.protocols import figure2_experiment

YES, PARTLY, NO, SMALL = Verdict


@pytest.fixture
def judge(tmp_path):
    """judge(): the judgements on the runs in tmp_path, in the order of the claims."""
    return lambda: claims.judge(Evidence(tmp_path))


def estimate(value, error=1.0):
    return Estimate(value, error, ("examples",))


def paper_test(samples):
    return paper_value(2, "mnist", "aevb", 20, "test", at=samples).item()


def part(judgement, name):
    return next(f for f in judgement.findings if name in f.part)


def test_a_difference_counts_beyond_three_standard_errors():
    assert [ahead(estimate(v)) for v in (3.1, 2.9, 0.0, -2.9, -3.1)] == [
        YES,
        SMALL,
        SMALL,
        SMALL,
        NO,
    ]
    assert [ahead(estimate(v), by=2.0) for v in (5.1, 4.9, -0.9, -1.1)] == [YES, SMALL, SMALL, NO]
    assert ahead(estimate(0.1, 0.0)) is YES
    assert ahead(estimate(1.0, float("nan"))) is SMALL
    # A nat is allowed, or three standard errors; errors of more than 2/3 nat hide two nats.
    assert [not_below(estimate(v, 0.1)) for v in (5.0, -0.9, -1.1)] == [YES, YES, NO]
    assert [not_below(estimate(v, 0.6)) for v in (-1.7, -1.9)] == [YES, NO]
    assert not_below(estimate(5.0, 0.7)) is SMALL
    assert [within(estimate(v, 0.1)) for v in (0.9, -0.9, 1.1, -1.1)] == [YES, YES, NO, NO]
    assert within(estimate(0.0, 0.7)) is SMALL


def test_combined_verdicts():
    for pair in itertools.product(Verdict, repeat=2):
        kinds = set(pair)
        if len(kinds) == 1:
            expected = pair[0]
        elif kinds == {NO, SMALL}:
            expected = NO
        else:
            expected = PARTLY
        assert combined(pair) is expected


def test_a_condition_that_must_hold_in_every_case():
    assert all_of([]) is all_of([YES, YES]) is YES
    assert all_of([YES, SMALL]) is SMALL
    assert all_of([SMALL, YES, NO]) is NO


def test_the_papers_own_curves_replicate_the_paper(tmp_path, judge):
    for dataset, latent_dim in PANELS:
        write_panel(tmp_path, dataset, latent_dim, end=100_000_000)
    for n_train in (1000, 50_000):
        write_figure3(tmp_path, n_train, end=60_000_000)
    faster, superfluous, likelihood, gradients, _ = judge()
    assert [j.verdict for j in (faster, superfluous, likelihood)] == [YES] * 3
    assert len(faster.findings) == 9
    assert all(f.verdict is YES for f in faster.findings)
    assert gradients.verdict is SMALL and gradients.findings[0].note == "not run"


def test_short_runs_show_a_lead_but_not_the_end(tmp_path, judge):
    write_panel(tmp_path, "mnist", 20, end=1_000_000)
    faster = judge()[0]
    panel = part(faster, "MNIST, N_z = 20")
    gained, lead = panel.numbers
    # The paper at 10⁶: −124.2 and −130.8; from 5·10⁵ its wake-sleep gains more than this 6.6.
    assert lead.estimate.value == pytest.approx(6.6, abs=0.1)
    assert lead.estimate.error == pytest.approx(0.3 * 2**0.5)
    assert gained.estimate.value > lead.estimate.value
    assert panel.verdict is PARTLY
    others = [f for f in faster.findings if f is not panel]
    assert {f.note for f in others} == {"not run, or diverged: AEVB, Wake-sleep"}
    assert faster.verdict is PARTLY


def test_a_panel_below_a_million_samples_is_too_short(tmp_path, judge):
    write_panel(tmp_path, "mnist", 20, end=500_000)
    panel = part(judge()[0], "MNIST, N_z = 20")
    assert (panel.verdict, panel.numbers) == (SMALL, ())
    assert "500,000" in panel.note


@pytest.mark.parametrize(("wake_sleep", "verdict"), [(20.0, NO), (-40.0, YES)])
def test_wake_sleep_ahead_and_far_behind(tmp_path, judge, wake_sleep, verdict):
    write_panel(tmp_path, "mnist", 20, end=1_000_000, wake_sleep=wake_sleep)
    assert part(judge()[0], "MNIST, N_z = 20").verdict is verdict


def test_large_errors_leave_the_verdict_open(tmp_path, judge):
    for latent_dim in (20, 200):
        write_panel(tmp_path, "mnist", latent_dim, end=100_000_000, sem=5.0)
    faster, superfluous, *_ = judge()
    assert part(faster, "MNIST, N_z = 200").verdict is SMALL
    assert superfluous.verdict is SMALL


def test_errors_are_over_seeds_if_there_are_several(tmp_path):
    for seed, offset in enumerate((-1.0, 0.0, 4.0)):
        experiment = figure2_experiment("mnist", "aevb", 20, 0.01, seed)
        write_bounds(tmp_path, experiment, 2_000_000 if seed else 4_000_000, offset)
    curve = Evidence(tmp_path).figure2("mnist", 20, "aevb")
    paper = paper_test(1_000_000)
    several = curve.at(1_000_000, "test")
    # Variance of −1, 0, 4: 7. All seeds are evaluated on the same examples, with an error of 0.3.
    error = pytest.approx((7 / 3 + 0.3**2) ** 0.5)
    assert several == Estimate(pytest.approx(paper + 1), error, ("3 seeds", "examples"))
    # The last doubling uses only the longest seed, with the spread of all seeds at 2·10⁶.
    gained = curve.gain(4_000_000, "test")
    assert gained.value == pytest.approx(paper_test(4_000_000) - paper_test(2_000_000))
    assert gained.error == pytest.approx(0.3 * 2**0.5)  # offsets do not change the gain
    assert curve.gap(1_000_000).error == pytest.approx(0.3 * 2**0.5)


def test_one_seed_has_the_spread_of_others(tmp_path):
    def write(latent_dim, algorithm, offsets, end, step_size=0.01):
        for seed, offset in enumerate(offsets):
            experiment = figure2_experiment("mnist", algorithm, latent_dim, step_size, seed)
            write_bounds(tmp_path, experiment, end if seed == 0 else 1_000_000, offset)

    write(20, "aevb", (0.0, 2.0), 4_000_000)
    write(10, "aevb", (0.0, 1.0), 2_000_000)
    write(5, "aevb", (0.0,), 2_000_000)
    write(5, "wake-sleep", (0.0,), 2_000_000)
    evidence = Evidence(tmp_path)

    def spread_and_source(latent_dim, algorithm, samples):
        found = evidence.figure2("mnist", latent_dim, algorithm).at(samples, "test")
        return math.sqrt(found.error**2 - 0.3**2), found.over[0]

    # Standard deviations of 0 and 2, and of 0 and 1.
    wide, narrow = (pytest.approx(offset / 2**0.5) for offset in (2.0, 1.0))
    assert spread_and_source(20, "aevb", 4_000_000) == (wide, "2 seeds after 10⁶")
    assert spread_and_source(10, "aevb", 2_000_000) == (narrow, "2 seeds after 10⁶")
    assert spread_and_source(5, "aevb", 2_000_000) == (wide, "seeds of N_z = 20")
    assert spread_and_source(5, "wake-sleep", 2_000_000) == (
        wide,
        "seeds of AEVB, step 0.01, N_z = 20",
    )


def test_the_monte_carlo_error_of_figure_3_shrinks_with_seeds(tmp_path):
    write_figure3(tmp_path, 1000, end=1_000_000, seeds=(-1.0, 1.0))
    found = Evidence(tmp_path).figure3(1000, "aevb").at(1_000_000, "train")
    # Variance of −1 and 1: 2, of their mean 1; a Monte Carlo error of 0.05 in each.
    assert found.error == pytest.approx((1 + 0.05**2 / 2) ** 0.5)
    assert found.over == ("2 seeds", "samples of z")


def test_a_single_seed_leaves_the_verdict_open(tmp_path, judge):
    write_panel(tmp_path, "mnist", 20, end=100_000_000, seeds=(0.0,))
    write_panel(tmp_path, "mnist", 200, end=100_000_000, seeds=(0.0,))
    write_figure3(tmp_path, 1000, end=60_000_000, seeds=(0.0,))
    faster, superfluous, likelihood, *_ = judge()
    panel = part(faster, "MNIST, N_z = 20")
    assert panel.verdict is SMALL
    assert math.isnan(panel.numbers[-1].estimate.error)
    assert panel.numbers[-1].estimate.over == ("one seed", "examples")
    assert superfluous.verdict is SMALL
    assert {finding.verdict for finding in likelihood.findings} == {SMALL}


def test_the_chosen_step_size_is_judged(tmp_path):
    # Training bounds after the pilot of 10⁵ samples choose the better one, which is 0.02 here.
    for step_size, offset in ((0.01, 0.0), (0.02, 5.0)):
        experiment = figure2_experiment("mnist", "aevb", 20, step_size)
        write_bounds(tmp_path, experiment, 2_000_000, offset)
    assert {*Evidence(tmp_path).figure2("mnist", 20, "aevb").rows.step_size} == {0.02}


def test_without_a_choice_of_step_size_there_is_no_verdict(tmp_path):
    for step_size in (0.03, 0.04):
        write_bounds(tmp_path, figure2_experiment("mnist", "aevb", 20, step_size), 2_000_000)
        curve = Evidence(tmp_path).figure2("mnist", 20, "aevb")
        assert (curve is None) == (step_size == 0.04)


def test_overfitting_can_show_where_the_papers_curves_differ():
    # By the curves: half a nat apart at 10⁷, and 0.1 at 5·10⁶.
    assert 5_000_000 < overfitting_start() < 10_000_000


@pytest.mark.parametrize(
    ("loss", "gap", "verdicts"),
    [(0.0, 0.0, [YES, YES]), (3.0, 0.0, [NO, YES]), (0.0, 3.0, [YES, NO]), (-3, -3, [YES, YES])],
)
def test_superfluous_latents(tmp_path, judge, loss, gap, verdicts):
    for seed in (0, 1):
        few, many = (figure2_experiment("mnist", "aevb", n, 0.01, seed) for n in (20, 200))
        write_bounds(tmp_path, few, 10_000_000)
        write_bounds(tmp_path, many, 10_000_000, offset=-loss, gap=gap)
    assert [f.verdict for f in judge()[1].findings] == verdicts


@pytest.mark.parametrize(
    ("offsets", "name", "verdict"),
    [
        ({"mcem": -3.0}, "MCEM reaches AEVB", NO),
        ({"mcem": -0.5}, "MCEM reaches AEVB", YES),
        ({"wake_sleep": 30.0}, "wake-sleep stays below", NO),
    ],
)
def test_few_images(tmp_path, judge, offsets, name, verdict):
    write_figure3(tmp_path, 1000, end=60_000_000, **offsets)
    assert part(judge()[2], name).verdict is verdict


def test_the_budget_is_too_small_to_compare_monte_carlo_em(tmp_path, judge):
    write_figure3(tmp_path, 1000, end=10_000_000, mcem=3.9)  # the paper's are 3.9 apart there
    assert part(judge()[2], "MCEM reaches AEVB").verdict is SMALL


@pytest.mark.parametrize(("mcem", "verdict"), [(0.0, YES), (9.0, PARTLY), (30.0, NO)])
def test_many_images(tmp_path, judge, mcem, verdict):
    # The paper's MCEM ends 17.7 behind its AEVB and 11.6 behind its wake-sleep.
    write_figure3(tmp_path, 50_000, end=60_000_000, mcem=mcem)
    assert part(judge()[2], "MCEM is far behind").verdict is verdict
    assert part(judge()[2], "AEVB is ahead").verdict is YES


@pytest.mark.parametrize(
    ("variances", "verdicts"),
    [
        ({"A": 1.5, "B": 1.0, "score_function": 300.0}, [YES, YES, YES]),
        ({"A": 1.5, "B": 1.0, "score_function": 12.0}, [YES, NO, YES]),
        ({"A": 0.9, "B": 1.0, "score_function": 300.0}, [NO, YES, YES]),
        ({"A": 1.02, "B": 1.0, "score_function": 300.0}, [SMALL, YES, YES]),
    ],
)
def test_gradients(tmp_path, judge, variances, verdicts):
    for seed in (0, 1):
        experiment = figure2_experiment("mnist", "aevb", 20, 0.01, seed)
        write_bounds(tmp_path, experiment, 1_000_000)
        write_variances(tmp_path, experiment, **variances)
    gradients = judge()[3]
    assert [f.verdict for f in gradients.findings] == verdicts
    ratio = gradients.findings[0].numbers[0].estimate
    assert ratio.value == pytest.approx(variances["A"])
    # 1 % in each of two variances, of two seeds that agree.
    assert ratio.error == pytest.approx(variances["A"] * 0.01)
    assert ratio.over == ("2 seeds", "samples of z")


def test_seeds_are_part_of_the_error_of_a_ratio(tmp_path, judge):
    for seed, variance in enumerate((1.5, 6.0)):
        experiment = figure2_experiment("mnist", "aevb", 20, 0.01, seed)
        write_bounds(tmp_path, experiment, 1_000_000)
        write_variances(tmp_path, experiment, A=variance, B=1.0, score_function=300.0)
    ratio = judge()[3].findings[0].numbers[0].estimate
    assert ratio.value == pytest.approx(3.0)  # √(1.5 · 6)
    # The logarithms differ by log 4: a standard deviation of log 4/√2, and an error of 1 % √2.
    assert ratio.error == pytest.approx(3 * ((math.log(4) ** 2 / 2 + 2e-4) / 2) ** 0.5)


def test_gradients_of_one_seed_leave_the_verdict_open(tmp_path, judge):
    experiment = figure2_experiment("mnist", "aevb", 20, 0.01)
    write_bounds(tmp_path, experiment, 1_000_000)
    write_variances(tmp_path, experiment, A=1.5, B=1.0, score_function=300.0)
    assert {f.verdict for f in judge()[3].findings} == {SMALL}


def test_cost_by_machine(tmp_path, judge):
    # `made_up` takes a second for 10⁴ samples: 5/3 minutes for a million.
    def write(seed, machine, day):
        experiment = figure2_experiment("mnist", "aevb", 20, 0.01, seed)
        started = f"2026-01-0{day}T00:00:00+00:00"
        write_bounds(tmp_path, experiment, 1_000_000, machine=machine, started=started)

    write(0, "Abacus", day=1)
    write(1, "Abacus", day=1)  # side by side
    write(2, "Difference Engine", day=2)
    assert judge()[4].findings[0].verdict is SMALL  # one program has no spread
    write(3, "Abacus", day=3)
    (found,) = judge()[4].findings
    assert found.part == "Abacus (cpu:0), jax"
    assert found.numbers[0].estimate == Estimate(pytest.approx(5 / 3), 0.0, ("2 programs",))
    assert found.verdict is YES


def test_the_digits_do_not_count_for_the_paper(tmp_path, judge):
    experiment = figure2_experiment("digits", "aevb", 2, 0.01)
    write_run(tmp_path, experiment, {s: {"train_elbo": -9.0, "test_elbo": -9.0} for s in (0, 100)})
    assert {j.verdict for j in judge()} == {SMALL}


def test_every_claim_has_a_rule_for_readers():
    assert len(claims.CLAIMS) == len({claim.name for claim in claims.CLAIMS}) == 5
    for claim in claims.CLAIMS:
        assert "standard errors" in claim.rule and claim.source and claim.parts
        assert not claim.statement.endswith(".")  # the report makes a sentence of it
