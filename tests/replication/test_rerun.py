"""`verify --rerun`: accepted differences, and detected changes of the library."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import made_up
import pytest
from click.testing import CliRunner

from replication import rerun
from replication.cli import main
from replication.errors import ReplicationError
from replication.plan.protocols import figure2_experiment

ROOT = Path(__file__).parents[2]
EXPERIMENT = figure2_experiment("digits", "aevb", 2, 0.02)


def number(now, then, error=0.0):
    return rerun.Number(EXPERIMENT, 20_000, "test_elbo", now, then, error)


def test_rounding_and_noise_explain_a_difference():
    assert number(-30.0, -30.09).agrees() and number(-30.0, -29.91).agrees()
    assert not number(-30.0, -30.11).agrees() and not number(-30.0, -30.02).agrees(rerun.CHAOS)
    assert number(-30.0, -30.39, error=0.1).agrees()
    assert not number(-30.0, -30.41, error=0.1).agrees()
    assert number(math.nan, -math.inf).agrees()
    assert not number(math.nan, -30.0).agrees() and not number(-30.0, math.nan).agrees()


def test_consistent_values():
    """Five values of mean 0 and standard deviation 1: the 99.73% interval has half-width
    t √(1 + 1/5) = 7.25, with t = 6.62 for 4 degrees of freedom."""
    draws = [-(1.6**0.5), 0.0, 0.0, 0.0, 1.6**0.5]
    scale = 1 / (3.2 / 4) ** 0.5
    draws = [scale * x for x in draws]
    assert rerun.is_consistent(7.2, draws) and rerun.is_consistent(-7.2, draws)
    assert not rerun.is_consistent(7.3, draws)
    assert not rerun.is_consistent(0.0, [0.0, math.nan])  # the spread is unknown


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


def test_runs_of_another_backend_are_named(tmp_path):
    made_up.write_run(tmp_path, EXPERIMENT, {0: {}, 20_000: {}}, backend="another")
    lines = []
    with pytest.raises(ReplicationError, match="Set KERAS_BACKEND to their backend"):
        rerun.run(tmp_path, 20_000, lines.append)
    assert lines == [f"skipped   {EXPERIMENT}: started on another, whose noise differs"]
    assert not (tmp_path / "rerun").exists()


def test_either_update_or_rerun(tmp_path):
    options = ["--rerun", "1e5", "--update", "--results", str(tmp_path)]
    result = CliRunner().invoke(main, ["verify", *options])
    assert result.exit_code == 2 and "Expected --rerun or --update" in result.output
