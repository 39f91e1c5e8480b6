"""`verify` on synthetic results: accepted and detected differences from the reference."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from made_up_results import write_bounds, write_figure3, write_panel, write_variances

from replication.claims import Evidence
from replication.errors import ReplicationError
from replication.figures import cost, figure2, figure3, figure4, figure5, gradient_variance
from replication.figures.images import read_records
from replication.plan.protocols import figure2_experiment, figure3_experiment
from replication.verify import comparison, reference

SINGLE = figure2_experiment("mnist", "wake-sleep", 20, 0.01)
SEEDS = [figure2_experiment("mnist", "aevb", 20, 0.01, seed) for seed in range(3)]
LIKELIHOOD = figure3_experiment("mnist", "mcem", 1000, 0.02)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Results with their reference: AEVB with three seeds, the rest with one."""
    results = tmp_path_factory.mktemp("whole")
    write_bounds(results, SINGLE, 2_000_000)
    for experiment, offset in zip(SEEDS, (-0.2, 0.0, 0.3)):
        started = f"2026-01-1{experiment.seed}T00:00:00+00:00"
        write_bounds(results, experiment, 2_000_000, offset, started=started)
    write_figure3(results, 1000, end=2_000_000)
    write_variances(results, SEEDS[0], A=2.0, B=1.0, score_function=300.0)
    assert comparison.run(results, lambda line: None, update=True)
    return results


@pytest.fixture
def results(whole, tmp_path):
    return shutil.copytree(whole, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def check(results):
    """check(): whether the results agree with their reference, and the lines that are not ok."""

    def run():
        lines = []
        good = comparison.run(results, lines.append)
        return good, [line for line in lines[:-1] if not line.startswith("ok ")]

    return run


def change_metric(results, experiment, samples, name, change):
    """Adds to a number in a metrics.csv."""
    path = results / "runs" / experiment.id / "metrics.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(r for r in rows if r["samples"] == str(samples))
    row[name] = repr(float(row[name]) + change)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def change_reference(results, section, change):
    """Applies `change` to every entry of a section; returns the entries that it changed."""
    path = results / "reference.json"
    stored = json.loads(path.read_text())
    changed = [entry for entry in stored[section] if change(entry) is not False]
    path.write_text(json.dumps(stored))
    return changed


def statuses(now, stored):
    """The statuses other than ok."""
    return [status for status, _ in comparison.compare(now, stored) if status != "ok"]


def test_unchanged_results_agree(check, results, capsys):
    assert check() == (True, [])
    lines = []
    comparison.run(results, lines.append)
    assert lines[-1] == f"{len(lines) - 1} ok, 0 new, 0 regressed, 0 missing"
    # Three seeds, −0.2, 0, 0.3 around the paper's curve: 0.03 ± 0.15, and 0.3 over examples.
    place = "figure 2, MNIST N_z=20, AEVB, test, 10⁶, from the paper"
    assert f"ok        {place}: 0.03 ± 0.33 (reference 0.03 ± 0.33)" in lines


@pytest.mark.parametrize(
    ("experiment", "samples", "name"),
    [
        (SINGLE, 1_000_000, "test_elbo"),
        (SINGLE, 1_000_000, "train_elbo"),
        (SINGLE, 125_000, "test_elbo"),  # neither a decade nor an end
        (SINGLE, 1_000_000, "test_sem"),
        (SINGLE, 1_000_000, "seconds"),
        (SEEDS[1], 1_000_000, "test_elbo"),
        (LIKELIHOOD, 2_000_000, "train_density"),
        (LIKELIHOOD, 2_000_000, "test_annealed"),  # measured only at the end
    ],
)
def test_a_changed_measurement_is_detected(results, check, experiment, samples, name):
    """A hundredth is a thirtieth of the standard error of a bound."""
    change_metric(results, experiment, samples, name, 0.01)
    good, lines = check()
    assert not good
    assert any(experiment.id in line and f"{name} after {samples:,}" in line for line in lines)


@pytest.mark.parametrize("section", ["distances", "numbers"])
def test_a_reference_changed_by_five_errors_is_detected(results, section):
    now = reference.of(Evidence(results))
    stored = json.loads((results / "reference.json").read_text())
    count = len(stored[section])
    assert count > 8
    for i in range(count):
        changed = json.loads(json.dumps(stored))
        entry = changed[section][i]
        entry["value"] += 5 * (entry["standard_error"] or 1e-3)
        assert statuses(now, changed) == ["regressed"], entry


def test_a_changed_run_of_the_reference_is_detected(results, check):
    def change(run):
        metric = run["metrics"].get("test_elbo")
        if metric is None:
            return False
        metric[-1] += 0.01

    change_reference(results, "runs", change)
    good, lines = check()
    assert not good
    assert len(lines) == 4 and all("test_elbo after 2,000,000" in line for line in lines)


def test_every_changed_verdict_is_detected(results):
    now = reference.of(Evidence(results))
    stored = json.loads((results / "reference.json").read_text())
    for i, verdict in enumerate(v["verdict"] for v in stored["verdicts"]):
        for other in {"replicated", "not replicated", "budget too small to say"} - {verdict}:
            changed = json.loads(json.dumps(stored))
            changed["verdicts"][i]["verdict"] = other
            assert statuses(now, changed) == ["regressed"]


def test_a_missing_run_is_named(results, check):
    shutil.rmtree(results / "runs" / SINGLE.id)
    good, lines = check()
    assert not good
    assert f"missing   run {SINGLE.id}" in lines
    assert any(line.startswith("missing   figure 2, MNIST N_z=20, Wake-sleep") for line in lines)


def test_a_shortened_run_is_detected(results, check):
    path = results / "runs" / SINGLE.id / "metrics.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    good, lines = check()
    assert not good
    assert any(line.startswith("missing   AEVB beats wake-sleep") for line in lines)
    assert any(line.startswith("missing   figure 2") and "2·10⁶" in line for line in lines)


def test_longer_runs_are_new(results, check):
    for experiment, offset in ((SINGLE, 0.0), (SEEDS[0], -0.2)):
        shutil.rmtree(results / "runs" / experiment.id)
        write_bounds(results, experiment, 20_000_000, offset)
    write_variances(results, SEEDS[0], A=2.0, B=1.0, score_function=300.0)
    good, lines = check()
    assert good
    assert all(line.startswith("new ") for line in lines)
    assert any("MNIST, N_z = 20: replicated (reference partly)" in line for line in lines)
    assert any("AEVB, test, 10⁷, from the paper" in line for line in lines)


def test_additional_runs_are_new(results, check):
    write_panel(results, "frey", 10, end=1_000_000)
    good, lines = check()
    assert good
    assert any(line.startswith("new       figure 2, Frey Face N_z=10") for line in lines)


def test_a_run_that_was_trained_again_is_new(results, check):
    again = {"started": "2026-02-02T00:00:00+00:00"}
    shutil.rmtree(results / "runs" / SINGLE.id)
    # 0.8 is two standard errors of the difference.
    write_bounds(results, SINGLE, 2_000_000, offset=0.8, **again)
    assert check() == (True, [f"new       run {SINGLE.id}: trained again"])
    shutil.rmtree(results / "runs" / SINGLE.id)
    write_bounds(results, SINGLE, 2_000_000, offset=2.0, **again)
    good, lines = check()
    assert not good
    assert any(line.startswith("regressed figure 2, MNIST N_z=20, Wake-sleep") for line in lines)


def test_numbers_that_agree():
    assert comparison.agrees(1.0, 0.0, 1.0, 0.0)
    assert comparison.agrees(-104.00001, 0.0, -104.0, None)
    assert not comparison.agrees(-104.001, 0.0, -104.0, None)
    assert not comparison.agrees(1e-3, 0.0, 0.0, 0.0)
    assert comparison.agrees(None, None, None, 0.1)
    assert not comparison.agrees(None, None, 1.0, 0.1)
    # 3 √(0.3² + 0.4²) = 1.5
    assert comparison.agrees(1.49, 0.3, 0.0, 0.4) and not comparison.agrees(1.51, 0.3, 0.0, 0.4)


def test_diverged_values_are_stored_and_compared(results, check):
    diverged = dataclasses.replace(SINGLE, step_size=0.1)
    write_bounds(results, diverged, 200_000)
    change_metric(results, diverged, 200_000, "train_elbo", float("nan"))
    comparison.run(results, lambda line: None, update=True)
    assert check() == (True, [])
    shutil.rmtree(results / "runs" / diverged.id)
    write_bounds(results, diverged, 200_000)
    assert not check()[0]


def test_without_reference_or_runs(results, tmp_path_factory):
    (results / "reference.json").unlink()
    with pytest.raises(ReplicationError, match=r"Expected the reference .*`verify --update`"):
        comparison.run(results, print)
    with pytest.raises(ReplicationError, match="Expected runs in"):
        comparison.run(tmp_path_factory.mktemp("empty"), print)


def test_the_results_of_this_repository_agree_with_their_reference():
    results = ROOT / "results"
    if not (results / "reference.json").exists():
        pytest.skip("results/reference.json is missing")
    lines = []
    assert comparison.run(results, lines.append), [line for line in lines if "ok " not in line]


def test_the_tables_of_this_repository_are_up_to_date(tmp_path):
    (tmp_path / "runs").symlink_to(ROOT / "results" / "runs")
    for figure in (figure2, figure3, cost, gradient_variance):
        for table in figure.build(tmp_path):
            if table.suffix != ".png":
                committed = ROOT / "results" / table.relative_to(tmp_path)
                assert table.read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")


@pytest.mark.parametrize("figure", [figure4, figure5])
def test_the_pages_of_pictures_are_up_to_date(figure):
    folder = ROOT / "results" / figure.__name__.rpartition(".")[-1]
    page = (folder / f"{folder.name}.md").read_text(encoding="utf-8")
    assert page == figure.page_text(read_records(folder))
