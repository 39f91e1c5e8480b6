"""Sixty `kill -9` at random moments over all commands change no number and leave no stray file."""

import contextlib
import os
import random
import time

import numpy as np
import psutil
import pytest
from made_up import numbers
from processes import Processes, strays

from replication.measurements import records

KILLS = 20  # for each way to train
# A kill waits for a random number of written or removed files, log-uniform up to this one: a
# command that only draws changes a few files, others a few hundred.
MOST_CHANGES = 200
LONGEST = 0.5  # the most seconds between the last change and the kill

DIGITS = ["--dataset", "digits", "--samples", "25000"]
TWO = ["--latent-dim", "2", "--latent-dim", "5"]
TRAINING = [
    ["figure2", *DIGITS, "--algorithm", "aevb", *TWO],
    ["figure3", *DIGITS, "--n-train", "300", "--algorithm", "wake-sleep", "--step-size", "0.1"],
    ["figure4", *DIGITS],
    ["figure5", *DIGITS, *TWO],
    ["gradient-variance", *DIGITS, "--latent-dim", "5"],
]
RERUN = ["verify", "--rerun", "20000"]
OTHERS = [["report"], ["verify", "--update"]]


@pytest.fixture(scope="module", autouse=True)
def compiled_as_for_users():
    """Other tests compile quickly; here a program is compiled once and run a hundred times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", "")
        yield


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
    kills = 0
    while kills < KILLS:
        command = chance.choice([*TRAINING, RERUN, *OTHERS])
        if command in TRAINING:
            command = [*command, *chance.choice([[], ["--fresh"]])]
        arguments = command if command in OTHERS else [*command, *way]
        process = processes.command(results, *arguments)
        wait_for_changes(process, results, MOST_CHANGES ** chance.random())
        time.sleep(chance.uniform(0, LONGEST))
        if process.poll() is None:
            kills += 1
            print(kills, *arguments)
            kill_one(chance, process, workers)
        else:  # RERUN and OTHERS fail until a run is saved
            ended = process.communicate()[1], process.returncode
            assert ended == ("", 0) or command in [RERUN, *OTHERS], (command, ended)
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
        actual, desired = (np.load(path) for path in pair)
        for name in set(actual.files) - {"seconds"}:
            np.testing.assert_array_equal(actual[name], desired[name])
    for name in files(whole):
        if name.startswith("figure") and name.endswith((".csv", ".png")):
            assert (results / name).read_bytes() == (whole / name).read_bytes(), name


def wait_for_changes(process, results, number):
    """Waits until the command has changed `number` files of the results or has ended."""
    changes, before = 0, versions(results)
    while changes < number and process.poll() is None:
        time.sleep(0.01)
        now = versions(results)
        changes += len({path for path, _ in before.items() ^ now.items()})
        before = now


def versions(results):
    """A dict from each file of the results to a value that changes when it is replaced."""
    found = {}
    for folder, _, names in os.walk(results):
        for path in (os.path.join(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(path)
                found[path] = status.st_ino, status.st_mtime_ns
    return found


def kill_one(chance, process, workers):
    """Kills a working process; the rest of the command ends by itself or is killed too."""
    children = psutil.Process(process.pid).children(recursive=True)
    victim = chance.choice([process, process, *children, *workers])
    victim.kill()
    time.sleep(chance.uniform(0, 2))
    process.kill()
    process.communicate()
    psutil.wait_procs(children, timeout=60)


def files(results):
    return sorted(p.relative_to(results).as_posix() for p in results.rglob("*") if p.is_file())
