"""The table of cost, from synthetic run folders."""

import csv
import dataclasses
import json
import math

import made_up
import pytest

from replication.errors import ReplicationError
from replication.figures import cost
from replication.measurements.records import read_runs
from replication.plan.experiment import Experiment

MNIST = Experiment("mnist", "aevb", 20, 0.01)


def write_run(results, experiment, seconds, started="10:00", machine="a CPU", **session):
    """A run folder from {samples: seconds}."""
    session = {"started": f"2026-01-01T{started}:00+00:00", "machine": machine, **session}
    made_up.write_run(results, experiment, {s: {} for s in seconds}, seconds, **session)


def costs(results):
    return [*cost.costs_of(read_runs(results)).itertuples()]


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_by_hand(tmp_path):
    # 1000, 20 000 (too short to tell) and 3556 samples a second; 100 000 in 33 seconds.
    write_run(tmp_path, MNIST, {0: 0.0, 10_000: 10.0, 20_000: 10.5, 100_000: 33.0})
    (row,) = costs(tmp_path)
    assert row.machine == "a CPU (cpu:0), jax"
    assert (row.runs, row.shared_runs, row.samples, row.seconds) == (1, 0, 100_000, 33.0)
    assert row.samples_per_second == pytest.approx(100_000 / 33)
    assert row.minutes_per_million == pytest.approx(330 / 60)
    assert row.fastest_samples_per_second == pytest.approx(80_000 / 22.5)
    # 4.1 MFLOP for each of them
    assert row.fastest_gflop_per_second == pytest.approx(80_000 / 22.5 * 4.1e6 / 1e9)


def test_seeds_and_step_sizes_share_a_row_and_settings_that_affect_cost_do_not(tmp_path):
    free = {"seed": 1, "step_size": 1, "initial_bias_stddev": 0.0, "log_variance_gain": 0.1}
    alike = [MNIST, *(dataclasses.replace(MNIST, **{n: value}) for n, value in free.items())]
    for i, e in enumerate(alike):
        write_run(tmp_path, e, {0: 0.0, 10_000: 10.0 * (i + 1)}, started=f"1{i}:00")
    others = {
        "latent_dim": 5,
        "algorithm": "wake-sleep",
        "hidden_units": 100,
        "n_train": 1000,
        "num_samples": 2,
        "decoder_layers": 2,
    }
    for i, (name, value) in enumerate(others.items()):
        e = dataclasses.replace(MNIST, **{name: value})
        write_run(tmp_path, e, {0: 0.0, 10_000: 10.0}, started=f"2{i % 4}:{i:02}")
    rows = costs(tmp_path)
    assert len(rows) == 7
    (row,) = [r for r in rows if r.runs == 5]
    assert (row.samples, row.seconds, row.fastest_samples_per_second) == (50_000, 150.0, 1000.0)


def test_each_machine_and_backend_has_its_section(tmp_path):
    places = [("jax", "a CPU"), ("tensorflow", "a CPU"), ("jax", "another")]
    for seed, (backend, machine) in enumerate(places):
        e = dataclasses.replace(MNIST, seed=seed)
        seconds = {0: 0.0, 10_000: 10.0 * (seed + 1)}
        write_run(tmp_path, e, seconds, backend=backend, machine=machine)
    page, _ = cost.build(tmp_path)
    titles = [line for line in page.read_text().splitlines() if line.startswith("## ")]
    assert titles == [
        "## a CPU (cpu:0), jax",
        "## a CPU (cpu:0), tensorflow",
        "## another (cpu:0), jax",
    ]


def test_a_run_on_two_machines_names_both(tmp_path):
    write_run(tmp_path, MNIST, {0: 0.0, 10_000: 10.0})
    path = tmp_path / "runs" / MNIST.id / "run.json"
    info = json.loads(path.read_text())
    info["sessions"] += [info["sessions"][0], {**info["sessions"][0], "machine": "another"}]
    path.write_text(json.dumps(info))
    (row,) = costs(tmp_path)
    assert row.machine == "a CPU (cpu:0), jax; another (cpu:0), jax"


def test_the_page_and_the_table(tmp_path):
    write_run(tmp_path, MNIST, {0: 0.0, 10_000: 1.0, 100_000: 20.0})
    sleep = dataclasses.replace(MNIST, algorithm="wake-sleep")
    write_run(tmp_path, sleep, {0: 0.0, 10_000: 1.0}, started="10:00")
    small = Experiment("digits", "mcem", 3, 0.01, hidden_units=50, n_train=300)
    write_run(tmp_path, small, {0: 0.0, 4_500: 30.0}, started="20:00")
    page, table = cost.build(tmp_path)
    text = page.read_text()
    # 10⁶ / (40 · 60) and 10⁶ / (20 · 60) a second; 4.1·10¹² / (40·10⁹ · 60) minutes
    for part in ("417 to 833 samples per second", "4.1 MFLOP", "take 1.7 minutes per million"):
        assert part in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    # 100 000 samples in 20 s, shared with wake-sleep; 90 000 of them in 19 s.
    expected = [
        "MNIST",
        "AEVB",
        "20",
        "500",
        "1",
        "all",
        "100",
        "1",
        "1",
        "5000",
        "3.33",
        "4740",
        "4.10",
    ]
    assert cells[2] == [*expected, "19.4", "–"]
    assert cells[3][:12] == [*expected[:1], "Wake-sleep", *expected[2:9], "10000", "1.67", "–"]
    assert cells[4][:9] == ["Digits", "MCEM", "3", "50", "1", "300", "100", "1", "0"]
    assert len({len(line) for line in lines}) == 1
    row, shortest, _ = read_csv(table)
    assert row["samples_per_second"] == "5000.0000"
    assert row["mflop_per_sample"] == "4.1000"
    assert shortest["fastest_samples_per_second"] == shortest["fastest_gflop_per_second"] == ""


def test_untrained_runs_are_an_error(tmp_path):
    write_run(tmp_path, MNIST, {0: 0.0})
    with pytest.raises(ReplicationError, match=r"Expected trained runs in .*runs"):
        cost.build(tmp_path)


def test_evaluation_is_a_part_of_the_longest_runs_time(tmp_path):
    for seed, seconds in enumerate((2.0, 10.0)):
        run = dataclasses.replace(MNIST, seed=seed)
        write_run(tmp_path, run, {0: 0.0, 100_000: 30.0}, evaluation_seconds=seconds)
    pilot = dataclasses.replace(MNIST, seed=2)
    write_run(tmp_path, pilot, {0: 0.0, 10_000: 3.0}, evaluation_seconds=3.0)
    # An older run did not record it.
    write_run(tmp_path, dataclasses.replace(MNIST, seed=3), {0: 0.0, 200_000: 50.0})
    (row,) = costs(tmp_path)
    assert row.evaluation_share == pytest.approx(12 / 72)
    page, table = cost.build(tmp_path)
    assert read_csv(table)[0]["evaluation_share"] == "0.1667"
    assert "17%" in page.read_text()


def test_evaluation_that_was_not_recorded(tmp_path):
    write_run(tmp_path, MNIST, {0: 0.0, 10_000: 30.0})
    (row,) = costs(tmp_path)
    assert math.isnan(row.evaluation_share)
