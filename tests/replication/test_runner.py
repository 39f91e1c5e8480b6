"""Runs end with the same numbers whether or not they were interrupted."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import invoke
from made_up import numbers

from replication.errors import ReplicationError
from replication.measurements import files, provenance, records
from replication.plan import schedule
from replication.plan.curves import figure2_curves
from replication.plan.experiment import ALGORITHMS, Experiment
from replication.plan.protocols import figure2_experiment
from replication.train import datasets, evaluation, runner
from replication.train.groups import Group, merged
from replication.train.jobs import Jobs
from replication.train.model import build, trained
from replication.train.progress import RunProgress
from replication.train.training import Training

EXPERIMENT = Experiment("digits", "wake-sleep", 2, 0.02, hidden_units=10)


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(autouse=True)
def short_intervals(monkeypatch):
    monkeypatch.setattr(schedule, "LONGEST_STRETCH", 5_000)
    monkeypatch.setattr(runner, "SECONDS_BETWEEN_CHECKPOINTS", 0)


def train(digits, results, samples):
    (run,) = runner.train([EXPERIMENT], samples, digits, results, RunProgress())
    return run


def counts(run):
    return [row["samples"] for row in run.rows]


LIKELIHOOD = Experiment(
    "digits", "mcem", 3, 0.02, hidden_units=10, n_train=40, measure="likelihood"
)


@pytest.fixture(scope="module")
def uninterrupted(digits, tmp_path_factory):
    results = tmp_path_factory.mktemp("uninterrupted")
    return train(digits, results, 20_000), results


def test_learns_and_evaluates_on_schedule(uninterrupted):
    run, _ = uninterrupted
    assert counts(run) == schedule.evaluations(20_000, first=10_000)
    # An untrained Bernoulli decoder gives every pixel p ≈ ½: 64 log ½, up to weights of 0.01
    assert run.rows[0]["test_elbo"] == pytest.approx(-64 * np.log(2), abs=0.1)
    assert run.rows[-1]["test_elbo"] > run.rows[0]["test_elbo"] + 10
    assert run.info["status"] == "complete"


@pytest.mark.slow
def test_minibatches_of_500(digits, tmp_path):
    """A step counts as 500 samples, and its minibatch has 500 rows."""
    experiment = dataclasses.replace(EXPERIMENT, batch_size=500)
    (run,) = runner.train([experiment], 10_700, digits, tmp_path, RunProgress())
    assert counts(run) == [0, 10_000, 11_000]
    assert run.info["experiment"]["batch_size"] == 500
    folder = records.runs_folder(tmp_path) / experiment.id
    training = Training(experiment, digits, digits.train, folder, {})
    batches = training.batches(13_000)
    assert len(batches) == 4
    assert batches[0][0].shape == (500, 64)
    assert int(np.asarray(training.model.optimizer.iterations)) == 11_000 // 500


def test_resumed_run_equals_uninterrupted_one(digits, tmp_path, uninterrupted):
    expected, expected_results = uninterrupted
    train(digits, tmp_path, 12_500)
    continued = train(digits, tmp_path, 20_000)
    assert numbers(continued) == numbers(expected)
    assert len(continued.info["sessions"]) == 2
    weights = [_weights(results) for results in (tmp_path, expected_results)]
    for actual, desired in zip(*weights):
        np.testing.assert_array_equal(actual, desired)


@pytest.mark.slow
def test_monte_carlo_em_resumes_with_its_chains(digits, tmp_path):
    """The whole training set in each step; a step counts as 15 N = 600 samples."""
    (whole,) = runner.train([LIKELIHOOD], 12_000, digits, tmp_path / "whole", RunProgress())
    for samples in (5_500, 12_000):  # rounded up to 6000
        (continued,) = runner.train(
            [LIKELIHOOD], samples, digits, tmp_path / "parts", RunProgress()
        )
    assert counts(whole) == [0, 10_200, 12_000]
    assert counts(continued) == [0, 6_000, 10_200, 12_000]
    assert numbers(whole)[-1] == numbers(continued)[-1]
    assert whole.info["data"]["train"] == 40
    names = {f"{split}_{m}" for split in ("train", "test") for m in ("density", "annealed")}
    names |= {f"{name}_error" for name in names}
    assert {*whole.rows[-1]} == {"samples", "seconds"} | names
    # Final measurements are missing at counts that were not the end at the time.
    folder = records.runs_folder(tmp_path / "parts") / LIKELIHOOD.id
    last = {n: v for n, v in continued.rows[-1].items() if "annealed" not in n}
    records.write_metrics(folder, [*continued.rows[:-1], last])
    (again,) = runner.train([LIKELIHOOD], 12_000, digits, tmp_path / "parts", RunProgress())
    assert again.rows == continued.rows


@pytest.mark.slow
def test_an_encoder_gives_the_bound_always_and_importance_sampling_at_the_end(digits):
    few = dataclasses.replace(digits, train=digits.train[:10], test=digits.test[:10])
    experiment = dataclasses.replace(LIKELIHOOD, algorithm="aevb", n_train=10)
    untrained = build(experiment, few)
    names = {"density", "density_error", "elbo"}
    for more, at_end in ((set(), False), ({"importance", "importance_error"}, True)):
        metrics = evaluation.measure(untrained, experiment, few, at_end=at_end)
        expected = {f"{split}_{name}" for split in ("train", "test") for name in names | more}
        assert set(metrics) == expected


@pytest.mark.slow
def test_the_likelihood_before_training_takes_few_examples(digits, monkeypatch):
    monkeypatch.setattr(evaluation, "UNTRAINED_EXAMPLES", 4)
    few, fewer = (
        dataclasses.replace(digits, train=digits.train[:n], test=digits.test[:n]) for n in (10, 4)
    )
    untrained = build(LIKELIHOOD, digits.first(40))
    at_start = evaluation.measure(untrained, LIKELIHOOD, few, at_start=True)
    assert at_start == evaluation.measure(untrained, LIKELIHOOD, fewer)
    assert at_start != evaluation.measure(untrained, LIKELIHOOD, few)


def test_weights_can_be_restored(uninterrupted, digits, tmp_path):
    run, results = uninterrupted
    model, samples = trained(EXPERIMENT, digits, results)
    assert samples == 20_000
    # Evaluation uses separate seeds, so that the same weights give the same number.
    bound = model.elbo(digits.test, seed=evaluation.SEED).astype("float64").mean()
    assert bound == run.rows[-1]["test_elbo"]
    with pytest.raises(ReplicationError, match="Expected the weights of digits wake-sleep"):
        trained(EXPERIMENT, digits, tmp_path)


def _weights(results):
    with np.load(records.runs_folder(results) / EXPERIMENT.id / records.CHECKPOINT) as file:
        return [file[name] for name in file.files if name != "seconds"]


def test_rows_after_the_checkpoint_are_measured_again(digits, tmp_path, uninterrupted, copied):
    expected, _ = uninterrupted
    folder = records.runs_folder(tmp_path) / EXPERIMENT.id
    rows = records.read_metrics(folder)
    records.write_metrics(folder, [*rows, dict.fromkeys(rows[0], 0.0) | {"samples": 12_500}])
    assert numbers(train(digits, tmp_path, 20_000)) == numbers(expected)


@pytest.mark.slow
def test_killed_command_resumes(digits, tmp_path):
    """`kill -9` after the first checkpoint, then the same command again."""
    options = ["--dataset", "digits", "--latent-dim", "2", "--algorithm", "wake-sleep"]
    command = [sys.executable, "-m", "replication", "figure2", *options, "--step-size", "0.02"]
    command += ["--samples", "30000", "--results", str(tmp_path / "killed")]
    experiment = figure2_experiment("digits", "wake-sleep", 2, 0.02)
    folder = records.runs_folder(tmp_path / "killed") / experiment.id
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    output = invoke(*command[3:])
    assert output.exit_code == 0
    killed = records.read_run(folder)
    assert killed.info["status"] == "complete"
    assert killed.info["sessions"][1]["samples_from"] >= 10_000  # the first checkpoint
    (whole,) = runner.train([experiment], 30_000, digits, tmp_path / "whole", RunProgress())
    assert numbers(killed) == numbers(whole)
    assert str(tmp_path / "killed" / "figure2" / "table.md") in output.stdout


@pytest.fixture(scope="module")
def short_run(digits, tmp_path_factory):
    results = tmp_path_factory.mktemp("short")
    return train(digits, results, 10_000), results


@pytest.fixture
def copied(short_run, tmp_path):
    """A copy of a run of 10 000 samples, in a separate folder."""
    run, results = short_run
    shutil.copytree(results, tmp_path, dirs_exist_ok=True)
    return run


def test_run_with_enough_samples_is_not_trained_again(digits, tmp_path, copied):
    for samples in (10_000, 7_000, 1_500):
        assert train(digits, tmp_path, samples).info == copied.info


def test_end_at_a_checkpoint_without_a_row(digits, tmp_path, monkeypatch):
    """The end may be a count at which training paused without an evaluation."""
    monkeypatch.setattr(schedule, "LONGEST_STRETCH", 1_000)
    save = Training.save

    def save_and_stop(self, status):
        save(self, status)
        if self.samples == 7_000:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "save", save_and_stop)
        train(digits, tmp_path, 10_000)
    run = train(digits, tmp_path, 7_000)
    assert run.info["status"] == "complete"
    assert counts(run) == [0, 7_000]


@pytest.mark.parametrize("module, name", [(records, "save_checkpoint"), (files, "write")])
def test_kill_while_the_last_files_are_written(
    module, name, digits, tmp_path, uninterrupted, monkeypatch
):
    """Between rows and checkpoint, or between checkpoint and run.json."""
    expected, _ = uninterrupted
    original = getattr(module, name)

    def fail_at_the_end(*args):
        at_the_end = "complete" in str(args[-1]) or 20_000 in args
        if at_the_end:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, name, fail_at_the_end)
        train(digits, tmp_path, 20_000)
    run = train(digits, tmp_path, 20_000)
    assert run.info["status"] == "complete" and run.info["samples"] == 20_000
    assert numbers(run) == numbers(expected)


def test_a_run_that_is_discarded_starts_over(digits, tmp_path, copied, monkeypatch):
    """Also after a kill while the record, the weights and the rest are deleted, in this order."""
    folder = records.runs_folder(tmp_path) / EXPERIMENT.id
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda folder: None)
        records.discard(folder)
    assert [path.name for path in folder.iterdir()] == [records.METRICS]
    again = train(digits, tmp_path, 10_000)
    assert numbers(again) == numbers(copied)
    (session,) = again.info["sessions"]
    assert session["samples_from"] == 0
    assert session != copied.info["sessions"][0]
    for _ in range(2):  # once more without a run
        records.discard(folder)
        assert not folder.exists()


def test_run_of_another_backend_is_not_resumed(digits, tmp_path, copied):
    path = records.runs_folder(tmp_path) / EXPERIMENT.id / "run.json"
    info = json.loads(path.read_text())
    info["sessions"][0]["backend"] = "another"
    path.write_text(json.dumps(info))
    with pytest.raises(ReplicationError, match="Expected the another backend, on which"):
        train(digits, tmp_path, 15_000)


def test_numbers_without_a_checkpoint_are_not_overwritten(digits, tmp_path, copied):
    (records.runs_folder(tmp_path) / EXPERIMENT.id / records.CHECKPOINT).unlink()
    with pytest.raises(ReplicationError, match="start this run over with --fresh"):
        train(digits, tmp_path, 15_000)
    assert train(digits, tmp_path, 10_000).info == copied.info


def test_diverging_run_is_recorded(digits, tmp_path):
    experiment = Experiment("digits", "aevb", 2, 1e30, hidden_units=10, accumulate_only=0)
    (run,) = runner.train([experiment], 20_000, digits, tmp_path, RunProgress())

    assert run.info["status"] == "diverged"
    assert run.info["samples"] < 20_000
    (again,) = runner.train([experiment], 20_000, digits, tmp_path, RunProgress())
    assert again.info == run.info


def test_kill_before_divergence_is_recorded(digits, tmp_path, monkeypatch):
    """Between the checkpoint and run.json."""
    experiment = Experiment("digits", "aevb", 2, 1e30, hidden_units=10, accumulate_only=0)

    def fail(path, text):
        if "diverged" in str(text):
            raise KeyboardInterrupt
        original(path, text)

    original = files.write
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "write", fail)
        runner.train([experiment], 20_000, digits, tmp_path, RunProgress())
    (run,) = runner.train([experiment], 20_000, digits, tmp_path, RunProgress())
    assert run.info["status"] == "diverged"


def test_run_json_has_the_provenance(uninterrupted, digits):
    run, _ = uninterrupted
    assert run.info["data"] == {
        "digest": digits.digest,
        "train": 1500,
        "test": 297,
        "evaluated_train": 1500,
        "evaluated_test": 297,
    }
    # 64-10-(2+2), 2-10-64, each with biases
    assert run.info["parameters"] == 650 + 44 + 30 + 704
    session = run.info["sessions"][0]
    assert {"command", "commit", "backend", "device", "machine", "versions"} <= set(session)


@pytest.mark.slow
def test_with_a_gpu_one_program_trains_all_curves(tmp_path, monkeypatch):
    """Their numbers equal those of runs trained one after another."""

    def command(results):
        with Jobs(["digits"], None, results, jobs=1) as jobs:
            curves = figure2_curves(["digits"], ("aevb", "wake-sleep"), (2,), 5_000)
            jobs.curves(curves, 1, [0.02])
        return {run.info["id"]: run for run in records.read_runs(results)}

    alone = command(tmp_path / "alone")
    monkeypatch.setattr(provenance, "gpus", lambda: ["a GPU"])
    together = command(tmp_path / "together")
    assert alone.keys() == together.keys() and len(alone) == 2
    for name, run in together.items():
        assert run.info["sessions"][0]["side_by_side"] == 2
        assert alone[name].info["sessions"][0]["side_by_side"] == 1
        actual, desired = ([[*row.values()] for row in numbers(r)] for r in (run, alone[name]))
        # A program of several models may sum in another order.
        np.testing.assert_allclose(actual, desired, rtol=1e-4)


def test_runs_of_other_data_or_batches_have_their_own_program():
    frey = figure2_experiment("frey", "aevb", 2, 0.01)
    experiments = [
        figure2_experiment("mnist", "aevb", 3, 0.01),
        figure2_experiment("mnist", "wake-sleep", 200, 0.02, seed=1),
        frey,
        dataclasses.replace(frey, batch_size=100),
        dataclasses.replace(frey, split_seed=1),
        dataclasses.replace(LIKELIHOOD, algorithm="aevb"),
        LIKELIHOOD,
    ]
    groups = [Group((e,), 1000) for e in experiments] + [Group((frey,), 2000)]
    programs = merged(groups)
    assert [len(programs[group].experiments) for group in groups] == [2, 2, *[1] * 6]
    assert len(set(programs.values())) == 7


def test_evaluation_does_not_affect_training(digits):
    models = [build(EXPERIMENT, digits) for _ in range(2)]
    models[1].elbo(digits.test, seed=0)
    for actual, desired in zip(models[0].variables, models[1].variables):
        np.testing.assert_array_equal(np.asarray(actual), np.asarray(desired))


GROUP = [
    Experiment("digits", "aevb", 2, step_size, seed, hidden_units=10)
    for step_size, seed in ((0.01, 0), (0.02, 1), (1e30, 0))
]


@pytest.fixture(scope="module")
def alone(digits, tmp_path_factory):
    """The first two of the group, each trained alone."""
    results = tmp_path_factory.mktemp("alone")
    return [
        runner.train([experiment], 20_000, digits, results, RunProgress())[0]
        for experiment in GROUP[:2]
    ]


def assert_same_points(runs, others):
    for run, other in zip(runs, others):
        assert counts(run) == counts(other)
        for actual, desired in zip(numbers(run), numbers(other)):
            # float32 sums in another order; 200 steps
            assert actual == pytest.approx(desired, rel=1e-3)


def test_runs_side_by_side_equal_runs_alone(digits, tmp_path, alone):
    """One of them diverges, without affecting the others."""
    together = runner.train(GROUP, 20_000, digits, tmp_path, RunProgress())
    assert [run.info["status"] for run in together] == ["complete", "complete", "diverged"]
    assert_same_points(together[:2], alone)
    assert [run.info["sessions"][0]["side_by_side"] for run in together] == [3, 3, 3]


def test_shorter_runs_catch_up(digits, tmp_path, alone):
    """A kill between two checkpoints leaves a group's runs at different counts."""
    runner.train(GROUP[:1], 10_000, digits, tmp_path, RunProgress())
    parts = runner.train(GROUP[:2], 20_000, digits, tmp_path, RunProgress())
    assert_same_points(parts, alone)
    again = runner.train(GROUP[:2], 20_000, digits, tmp_path, RunProgress())
    assert [run.info for run in again] == [run.info for run in parts]


def test_training_time_is_divided_between_runs(digits, tmp_path):
    """Runs side by side have equal seconds, whose sum is at most the elapsed time."""
    start = time.perf_counter()
    runs = runner.train(GROUP[:2], 5_000, digits, tmp_path, RunProgress())
    seconds = [run.rows[-1]["seconds"] for run in runs]
    assert seconds[0] == seconds[1] > 0
    assert sum(seconds) < time.perf_counter() - start
    assert runs[0].info["sessions"][0]["evaluation_seconds"] > 0


@pytest.mark.parametrize(
    "settings, stddev",
    [({}, 0.01), ({"initial_bias_stddev": 0.0}, 0.0), ({"decoder_layers": 2}, 0.01)],
)
def test_initial_standard_deviations(digits, settings, stddev):
    experiment = Experiment("digits", "aevb", 5, 0.01, hidden_units=400, **settings)
    variables = build(experiment, digits).trainable_variables
    kernels = np.concatenate([np.ravel(v) for v in variables if v.path.endswith("kernel")])
    biases = np.concatenate([np.ravel(v) for v in variables if v.path.endswith("bias")])
    # Five standard errors of a standard deviation, of 874 biases and more: odds 1e-6.
    assert abs(kernels.std() - 0.01) < 5 * 0.01 / (2 * kernels.size) ** 0.5
    assert abs(biases.std() - stddev) <= 5 * stddev / (2 * biases.size) ** 0.5


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_decoders_hidden_layers(digits, algorithm):
    settings = {"n_train": 40, "hidden_units": 10}
    one, two = (
        build(Experiment("digits", algorithm, 2, 0.01, decoder_layers=n, **settings), digits)
        for n in (1, 2)
    )
    assert [len(model.decoder.layers) for model in (one, two)] == [1, 2]
    assert two.count_params() - one.count_params() == 10 * 10 + 10


@pytest.mark.slow
def test_checkpoints_cost_little(digits, tmp_path, monkeypatch):
    """Between evaluations a run is saved every ten seconds, whatever the number of pauses."""
    monkeypatch.setattr(runner, "SECONDS_BETWEEN_CHECKPOINTS", 3600)
    saved = []
    save = Training.save

    def count(self, status):
        saved.append(self.samples)
        save(self, status)

    monkeypatch.setattr(Training, "save", count)
    train(digits, tmp_path, 7_000)
    assert saved == [7_000]  # not at the pause at 5 000
