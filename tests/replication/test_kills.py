"""Sixty `kill -9` at random moments over all commands change no number and leave no stray file."""

import contextlib
import random
import subprocess
import time

import numpy as np
import psutil
import pytest
from made_up import numbers
from processes import Processes, strays

from replication.measurements import records

KILLS = 20  # of each way to train
LONGEST = 25.0  # seconds from the start of a command to its end or its kill

DIGITS = ["--dataset", "digits", "--samples", "25000"]
TRAINING = [
    ["figure2", *DIGITS, "--latent-dim", "2", "--latent-dim", "5"],
    ["figure3", *DIGITS, "--n-train", "300", "--algorithm", "aevb", "--algorithm", "wake-sleep"],
    ["figure4", *DIGITS],
    ["figure5", *DIGITS, "--latent-dim", "2", "--latent-dim", "3"],
    ["gradient-variance", *DIGITS, "--latent-dim", "5"],
]
RERUN = ["verify", "--rerun", "20000"]
OTHERS = [["report"], ["verify", "--update"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of all commands, one after another, in one process each."""
    results = tmp_path_factory.mktemp("whole")
    with Processes() as processes:
        finish(processes, results, ["--jobs", "1"])
    return results


def finish(processes, results, way):
    for command in [*(c + way for c in [*TRAINING, RERUN]), *OTHERS]:
        process = processes.command(results, *command)
        assert process.communicate(timeout=900)[1] == "" and process.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--jobs 1", "--jobs 2", "--scheduler"])
def test_kills_change_no_number_and_leave_no_stray_file(whole, tmp_path, processes, way):
    """The killed process is the command, one of its processes, or a worker."""
    chance = random.Random(way)
    results, way, workers = tmp_path / "results", way.split(), []
    if way == ["--scheduler"]:
        pytest.importorskip("distributed")
        way.append(processes.scheduler(tmp_path))
        workers = [processes.worker(way[-1]) for _ in range(2)]
    for _ in range(KILLS):
        command = chance.choice([*(c + way for c in [*TRAINING, RERUN]), *OTHERS])
        process = processes.command(results, *command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(1, LONGEST))
        kill_one(chance, process, workers)
        for i, worker in enumerate(workers):
            if worker.poll() is not None:
                workers[i] = processes.worker(way[-1])
    finish(processes, results, way)
    assert strays(results) == []
    assert files(results) == files(whole)
    for run, expected in zip(records.read_runs(results), records.read_runs(whole), strict=True):
        assert run.experiment == expected.experiment
        assert numbers(run) == numbers(expected)
        pair = (
            folder / "runs" / run.experiment.id / records.CHECKPOINT for folder in (results, whole)
        )
        ours, theirs = (np.load(path) for path in pair)
        for name in set(ours.files) - {"seconds"}:
            np.testing.assert_array_equal(ours[name], theirs[name])
    for name in files(whole):
        if name.startswith("figure") and name.endswith((".csv", ".png")):
            assert (results / name).read_bytes() == (whole / name).read_bytes(), name


def kill_one(chance, process, workers):
    """Kills a working process; the rest of the command ends by itself or is killed too."""
    if process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    victim = chance.choice([process, process, *children, *workers])
    victim.kill()
    time.sleep(chance.uniform(0, 2))
    process.kill()
    process.communicate()
    psutil.wait_procs(children, timeout=60)


def files(results):
    return sorted(p.relative_to(results).as_posix() for p in results.rglob("*") if p.is_file())
