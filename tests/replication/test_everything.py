"""`all`: every figure, table and verdict, even after kills."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from commands import invoke
from made_up import numbers

from replication.measurements import records
from replication.plan.experiment import LATENT_DIMS
from replication.plan.presets import PRESETS
from replication.plan.protocols import (
    MANIFOLD_LATENT_DIM,
    figure2_experiment,
    figure3_experiment,
)
from replication.plan.step_sizes import pilot_samples

WRITTEN = (
    "README.md",
    "index.html",
    "figure2/table.md",
    "figure3/table.md",
    "figure4/figure4.md",
    "figure5/figure5.md",
    "gradient_variance/table.md",
    "cost/table.md",
)


def test_help_gives_the_cost_of_each_preset():
    text = invoke("all", "--help").output
    for name, preset in PRESETS.items():
        assert f"{name}: {preset.summary}" in " ".join(text.split())


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_budgets_suffice_to_choose_the_step_sizes(preset):
    first = preset.datasets[0]
    for dataset in preset.datasets:
        pilot = pilot_samples(figure2_experiment(dataset, "aevb", 2, 0.01))
        assert preset.figure2[dataset] >= pilot
        # Figures 4 and 5 choose for the N_z that figure 2 did not run.
        run = preset.latent_dims.get(dataset) or LATENT_DIMS[dataset]
        own = {MANIFOLD_LATENT_DIM, *preset.samples_dims}
        assert preset.models >= pilot or own <= {*run}
    for algorithm, budgets in preset.figure3.items():
        pilot = pilot_samples(figure3_experiment(first, algorithm, min(budgets), 0.01))
        assert min(budgets.values()) >= pilot


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_numbers(tmp_path):
    """The smoke preset, uninterrupted and with repeated `kill -9`."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert _command(whole).wait() == 0
    chance = random.Random(0)
    for _ in range(6):
        process = _command(killed)
        time.sleep(chance.uniform(5, 60))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _command(killed).wait() == 0
    expected, got = records.read_runs(whole), records.read_runs(killed)
    assert [r.experiment for r in got] == [r.experiment for r in expected]
    for actual, desired in zip(got, expected):
        assert numbers(actual) == numbers(desired)
    for name in WRITTEN:
        assert (killed / name).exists()


def _command(results):
    arguments = ["-m", "replication", "all", "--preset", "smoke", "--results", str(results)]
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
