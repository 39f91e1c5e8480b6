"""The variance of the gradient: measurement, file and table."""

import csv
import dataclasses
import json
import math

import made_up
import pytest

import keras_aevb as kv
from replication.errors import ReplicationError
from replication.figures import gradient_variance
from replication.measurements import records
from replication.measurements.variances import variances
from replication.plan.experiment import Experiment
from replication.plan.protocols import figure2_experiment
from replication.train import datasets, gradients, runner
from replication.train.model import build, trained
from replication.train.progress import RunProgress

EXPERIMENT = Experiment("digits", "aevb", 2, 0.02, hidden_units=10, accumulate_only=0, n_train=300)
SHOWN = figure2_experiment("digits", "aevb", 2, 0.02)
REPEATS = {"A": 40, "B": 40, "score function": 10}


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def results(digits, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    runner.train([EXPERIMENT], 3_000, digits, results, RunProgress())
    return results


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    estimators = gradients.ESTIMATORS
    few = {name: (estimators[name][0], n) for name, n in REPEATS.items()}
    monkeypatch.setattr(gradients, "ESTIMATORS", few)


@pytest.fixture
def measured(digits, results):
    return json.loads(gradients.measure(EXPERIMENT, digits, results).read_text())


def pick(measured, **settings):
    (row,) = [r for r in measured["variances"] if settings.items() <= r.items()]
    return row


def test_measures_the_trained_and_the_untrained_model(measured, digits, results):
    assert (measured["samples"], measured["examples"]) == (3_000, 100)
    assert {"commit", "backend"} <= set(measured["session"])
    assert len(measured["variances"]) == 2 * 3 * 2
    model, _ = trained(EXPERIMENT, digits, results)
    untrained = build(EXPERIMENT, digits.first(300))
    bounds = [kv.ELBO(kl="sampled"), kv.ELBO(kl="analytic"), kv.ScoreFunctionELBO()]
    for samples, a_model in ((0, untrained), (3_000, model)):
        for seed, (name, bound) in enumerate(zip(REPEATS, bounds)):
            x = digits.train[:100]
            expected = kv.gradient_variance(a_model, x, bound, REPEATS[name], seed)
            for parameters, variance in expected._asdict().items():
                row = pick(measured, samples=samples, estimator=name, parameters=parameters)
                assert row["num_repeats"] == REPEATS[name]
                # the same numbers, except for the order of summation
                assert row["variance"] == pytest.approx(variance.total, rel=1e-4)
                assert row["standard_error"] == pytest.approx(variance.standard_error, rel=1e-3)


def test_the_score_function_is_the_noisiest(measured):
    """Its variance is hundreds of times B's, with errors below 40 %."""
    for samples in (0, 3_000):
        naive, b = (
            pick(measured, samples=samples, estimator=name, parameters="phi")["variance"]
            for name in ("score function", "B")
        )
        assert naive > 20 * b


def test_is_not_measured_again_without_more_training(measured, digits, results, monkeypatch):
    def fail(*args):
        raise AssertionError("measured again")

    monkeypatch.setattr(kv, "gradient_variance", fail)
    path = gradients.measure(EXPERIMENT, digits, results)
    assert json.loads(path.read_text()) == measured
    assert path == records.runs_folder(results) / EXPERIMENT.id / "gradient_variance.json"


def test_is_measured_again_after_more_training(measured, digits, results):
    path = records.runs_folder(results) / EXPERIMENT.id / "gradient_variance.json"
    path.write_text(json.dumps({"samples": 1_000, "variances": []}))  # of a shorter run
    again = json.loads(gradients.measure(EXPERIMENT, digits, results).read_text())
    assert again["variances"] == measured["variances"]


def test_without_weights_the_measurements_are_kept(digits, tmp_path):
    with pytest.raises(ReplicationError, match="--fresh"):
        gradients.measure(EXPERIMENT, digits, tmp_path)
    write_run(tmp_path, EXPERIMENT, made_up_variances())
    path = gradients.measure(EXPERIMENT, digits, tmp_path)
    assert json.loads(path.read_text())["samples"] == 100_000


# --- the table ----------------------------------------------------------------------------------


def made_up_variances():
    """B's variance in φ is 2 ± 0.1, A's three times that, the score function's 10⁵ times."""
    factors = {"A": 3.0, "B": 1.0, "score function": 1e5}
    return [
        {
            "samples": samples,
            "estimator": name,
            "parameters": parameters,
            "variance": (2.0 if parameters == "phi" else 7.0) * factor,
            "standard_error": 0.1 * factor,
            "num_repeats": 50,
        }
        for samples in (0, 100_000)
        for name, factor in factors.items()
        for parameters in ("phi", "theta")
    ]


def write_run(results, experiment, variances):
    made_up.write_run(results, experiment, {0: {}, 100_000: {}})
    text = json.dumps({"samples": 100_000, "variances": variances})
    (results / "runs" / experiment.id / "gradient_variance.json").write_text(text)


def test_ratios_by_hand(tmp_path):
    write_run(tmp_path, SHOWN, made_up_variances())
    rows = variances(tmp_path).itertuples()
    rows = {(r.parameters, r.samples, r.estimator): r for r in rows}
    assert len(rows) == 12
    a = rows["phi", 100_000, "A"]
    assert a.ratio == pytest.approx(3)
    assert a.ratio_error == pytest.approx(3 * math.sqrt(0.05**2 + 0.05**2))
    assert rows["theta", 0, "score function"].ratio == pytest.approx(1e5)
    b = rows["phi", 0, "B"]
    assert (b.ratio, b.ratio_error) == (1.0, 0.0)


def test_the_page_and_the_table(tmp_path):
    write_run(tmp_path, figure2_experiment("mnist", "aevb", 2, 0.02), made_up_variances())
    write_run(tmp_path, SHOWN, made_up_variances())
    page, path = gradient_variance.build(tmp_path)
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in cells[2:]] == ["MNIST"] * 4 + ["Digits"] * 4
    assert cells[2][1:6] == ["2", "0.02", "0", "φ", "0"]
    assert cells[3][4:9] == ["φ", "10⁵", "2.00 ± 0.10", "6.00 ± 0.30", "3.00 ± 0.21"]
    assert cells[3][9:] == ["(2.00 ± 0.10)·10⁵", "(1.00 ± 0.07)·10⁵"]
    assert len({len(line) for line in lines}) == 1
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert rows[0]["run"] == figure2_experiment("mnist", "aevb", 2, 0.02).id
    (row,) = [
        r
        for r in rows
        if (r["dataset"], r["parameters"], r["samples"]) == ("digits", "phi", "100000")
        and r["estimator"] == "A"
    ]
    assert (row["variance"], row["standard_error"], row["num_repeats"]) == ("6", "0.3", "50")
    assert (row["ratio_to_b"], row["ratio_error"]) == ("3", "0.212")


def test_models_of_other_settings_are_left_out(tmp_path):
    write_run(tmp_path, SHOWN, made_up_variances())
    write_run(tmp_path, dataclasses.replace(SHOWN, initial_bias_stddev=0.0), made_up_variances())
    assert {*variances(tmp_path).run} == {SHOWN.id}


def test_nothing_measured(tmp_path):
    with pytest.raises(ReplicationError, match="python -m replication gradient-variance"):
        gradient_variance.build(tmp_path)
