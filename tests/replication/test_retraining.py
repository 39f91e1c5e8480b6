"""`verify --rerun`: unchanged results agree, and changes of the library are detected."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import made_up
import pytest
from commands import invoke

from replication.errors import ReplicationError
from replication.measurements import provenance
from replication.measurements.records import read_runs, write_metrics
from replication.plan.protocols import figure2_experiment, figure3_experiment
from replication.verify import retraining

ROOT = Path(__file__).parents[2]
EXPERIMENT = figure2_experiment("digits", "aevb", 2, 0.02)


def command(results, *arguments, code=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "replication", *arguments, "--results", str(results)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(code)},
        cwd=code,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two curves of the digits, one with a step size so large that it diverges or jumps."""
    results = tmp_path_factory.mktemp("results")
    options = ["--dataset", "digits", "--latent-dim", "2", "--algorithm", "aevb"]
    options += ["--step-size", "0.02", "--step-size", "1000", "--samples", "50000"]
    done = command(results, "figure2", *options)
    assert done.returncode == 0, done.stderr
    return results


@pytest.mark.slow
def test_unchanged_code_agrees(results):
    done = command(results, "verify", "--rerun", "2e4")
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    assert last == "2 of 2 runs agree" and len(lines) == 2
    assert lines[0].startswith("ok        digits aevb N_z=2 step 0.02 seed 0: ")
    assert not list(results.glob("rerun*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "line, changed",
    [
        # Half a nat from the first evaluation on, and half a nat as an effect of training.
        ('kl = divergences["kl"]', 'kl = divergences["kl"] + 0.5'),
        ('kl = divergences["kl"]', 'kl = 1.25 * divergences["kl"]'),
    ],
)
def test_half_a_nat_from_a_changed_line_is_detected(results, tmp_path, line, changed):
    for package in ("keras_aevb", "replication"):
        shutil.copytree(ROOT / package, tmp_path / package)
    path = tmp_path / "keras_aevb" / "bounds" / "elbo.py"
    source = path.read_text()
    assert source.count(line) == 1
    path.write_text(source.replace(line, changed))
    done = command(results, "verify", "--rerun", "2e4", code=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "regressed digits aevb N_z=2 step 0.02 seed 0: " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "factor, line", [(1.0001, "seeds     {}: moved by rounding"), (100, "regressed {}: test_elbo")]
)
def test_chaotic_runs_are_judged_by_their_seeds(results, tmp_path, factor, line):
    """The larger step size jumps down by 10⁸ nats, with other seeds by other amounts."""
    shutil.copytree(results, tmp_path / "results")
    (chaotic,) = (r for r in read_runs(results) if r.experiment.step_size == 1000)
    for row in chaotic.rows:
        row |= {n: factor * x for n, x in row.items() if n.endswith("elbo") and x < -1e6}
    write_metrics(tmp_path / "results" / "runs" / chaotic.experiment.id, chaotic.rows)
    done = command(tmp_path / "results", "verify", "--rerun", "2e4")
    assert done.returncode == (factor == 100), done.stdout + done.stderr
    assert line.format(chaotic.experiment) in done.stdout
    assert f"ok        {dataclasses.replace(chaotic.experiment, step_size=0.02)}: " in done.stdout


@pytest.mark.slow
def test_an_interrupted_command_continues(results, monkeypatch):
    """Not if the code has changed since."""
    folder = results / "rerun"

    def interrupt(line):
        raise KeyboardInterrupt

    def interrupted():
        with pytest.raises(KeyboardInterrupt):
            retraining.run(results, 20_000, interrupt, jobs=1)
        sessions = [run.info["sessions"] for run in read_runs(folder / "runs")]
        assert len(sessions) == 2
        return {session["started"] for (session,) in sessions}

    first = interrupted()
    assert interrupted() == first
    monkeypatch.setattr(provenance, "source", lambda: "another")
    assert not interrupted() & first
    assert retraining.run(results, 20_000, lambda line: None, jobs=1)
    assert not folder.exists()


def test_the_source_is_the_code_of_both_packages(tmp_path):
    for package in ("keras_aevb", "replication"):
        shutil.copytree(ROOT / package, tmp_path / package)
    code = "from replication.measurements import provenance; print(provenance.source())"
    digests = [provenance.source()]
    for path in (None, "keras_aevb/bounds/elbo.py", "replication/cli.py"):
        if path:
            with (tmp_path / path).open("a") as file:
                file.write("# changed")
        run = [sys.executable, "-c", code]
        digests.append(subprocess.check_output(run, cwd=tmp_path, text=True).strip())
    assert digests[0] == digests[1] and len({*digests}) == 3


def test_other_machines_threads_and_versions_are_named(tmp_path):
    """Only those that made the compared samples."""
    made_up.write_run(tmp_path, EXPERIMENT, {0: {}, 20_000: {}})
    made_up.write_run(tmp_path / "rerun" / "runs", EXPERIMENT, {0: {}, 20_000: {}})
    (run,) = read_runs(tmp_path)
    reruns = retraining._Rerun(tmp_path / "rerun", 20_000, None, {})
    (session,) = run.info["sessions"]
    versions = session["versions"] | {"jax": "0.10.2"}
    elsewhere = session | {"machine": "Abacus, 1 of 2 cores", "versions": versions}
    run.info["sessions"].append(elsewhere | {"samples_from": 20_000})
    assert reruns.environment_difference(run) == ""
    run.info["sessions"][:] = [elsewhere]
    assert reruns.environment_difference(run) == (
        "; stored with Abacus, 1 of 2 cores, jax 0.10.2; now with Abacus, 2 cores, jax 0.6.2"
    )


def test_runs_of_another_backend_are_named(tmp_path):
    made_up.write_run(tmp_path, EXPERIMENT, {0: {}, 20_000: {}}, backend="another")
    lines = []
    with pytest.raises(ReplicationError, match="Set KERAS_BACKEND to their backend"):
        retraining.run(tmp_path, 20_000, lines.append)
    assert lines == [f"skipped   {EXPERIMENT}: started on another, whose noise differs"]
    assert not (tmp_path / "rerun").exists()


def test_either_update_or_rerun(tmp_path):
    options = ["--rerun", "1e5", "--update", "--results", str(tmp_path)]
    result = invoke("verify", *options)
    assert result.exit_code == 2 and "Expected --rerun or --update" in result.output


def test_a_rerun_must_reach_a_trained_model(tmp_path):
    """The samples are rounded up to whole steps: MCEM trains 750 000 for 100 000."""
    made_up.write_run(tmp_path, EXPERIMENT, {0: {}, 20_000: {}})
    with pytest.raises(ReplicationError, match=r"first measurement.* after 20,000 .*: 19,900"):
        retraining.run(tmp_path, 19_900, print)
    mcem = figure3_experiment("mnist", "mcem", 50_000, 0.1)
    other = tmp_path / "other"
    made_up.write_run(other, mcem, {0: {}, 750_000: {}})
    retraining._check_samples(read_runs(other), 100_000)  # trains 750 000 samples


def test_untrained_runs_are_named(tmp_path):
    made_up.write_run(tmp_path, EXPERIMENT, {0: {}})
    lines = []
    with pytest.raises(ReplicationError, match=r"Expected trained runs.*Received: none$"):
        retraining.run(tmp_path, 20_000, lines.append)
    assert len(lines) == 1 and "not evaluated since training began" in lines[0]
