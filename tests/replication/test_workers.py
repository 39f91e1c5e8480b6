"""`--jobs`: several processes give the numbers of a single one, and end with the command."""

import gc
import signal
import sys
import time

import psutil
import pytest
from commands import invoke
from made_up import numbers
from processes import has_been_saved, strays, wait_until

from replication.measurements import lock, records
from replication.plan.protocols import figure2_experiment
from replication.train import workers

FIGURE2 = ["figure2", "--dataset", "digits", "--step-size", "0.02", "--algorithm", "aevb"]
TWO = [*FIGURE2, "--latent-dim", "2", "--latent-dim", "3", "--jobs", "2", "--samples"]
RUNS = [figure2_experiment("digits", "aevb", n, 0.02).id for n in (2, 3)]


@pytest.fixture
def command(processes):
    """command(results, *arguments): a command of the replication."""
    return processes.command


def trainers(process):
    """The training processes: the children that have the lock of a run."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [c for c in children if any(f.path.endswith(lock.SUFFIX) for f in c.open_files())]


@pytest.fixture
def at_work(tmp_path, command):
    """A command and its two training processes."""
    process = command(tmp_path, *TWO, "1e9")
    wait_until(lambda: all(has_been_saved(tmp_path, run) for run in RUNS), process)
    found = trainers(process)
    assert len(found) == 2
    return process, found


def again(results, command):
    """Runs the command again, for a few more samples."""
    samples = max(records.read_run(results / "runs" / run).info["samples"] for run in RUNS)
    process = command(results, *TWO, str(samples + 1000))
    assert process.communicate(timeout=300)[1] == "" and process.returncode == 0
    for run in RUNS:
        read = records.read_run(results / "runs" / run)
        assert read.info["status"] == "complete" and len(read.info["sessions"]) == 2
    assert strays(results) == []


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(tmp_path, command):
    """To the last digit: for these networks, programs for one and two threads sum in one order."""
    one = invoke(*TWO, "20000", "--jobs", "1", "--results", tmp_path / "1")
    assert one.stderr == "" and one.exit_code == 0
    two = command(tmp_path / "2", *TWO, "20000", "--jobs", "2")
    assert two.communicate(timeout=300)[1] == "" and two.returncode == 0
    for run in RUNS:
        one, two = (records.read_run(tmp_path / jobs / "runs" / run) for jobs in ("1", "2"))
        assert numbers(one) == numbers(two)
        assert two.info["sessions"][0]["command"].endswith("--jobs 2")
    assert strays(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["the command", "all, as a terminal does"])
def test_ctrl_c_ends_all_processes_and_keeps_saved_results(tmp_path, at_work, command, whom):
    process, children = at_work
    for receiver in [process, *(children if whom != "the command" else [])]:
        receiver.send_signal(signal.SIGINT)
    message = process.communicate(timeout=120)[1]
    assert message == "\nInterrupted. Run the same command again to resume.\n"
    assert process.returncode == 130
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert strays(tmp_path) == []
    again(tmp_path, command)


@pytest.mark.slow
def test_a_killed_command_leaves_no_process(tmp_path, at_work, command):
    process, children = at_work
    process.kill()
    assert psutil.wait_procs(children, timeout=60)[1] == []
    again(tmp_path, command)


@pytest.mark.slow
def test_a_killed_process_prints_one_line(tmp_path, at_work, command):
    process, children = at_work
    children[0].kill()
    message = process.communicate(timeout=120)[1]
    assert process.returncode == 1 and message.count("\n") == 1
    assert message.startswith("Error: Expected every process of --jobs to run to its end.")
    assert psutil.wait_procs(children, timeout=10)[1] == []
    again(tmp_path, command)


def test_an_interrupt_that_python_drops_is_repeated(monkeypatch):
    """It is raised in a callback of the garbage collector, such as JAX's."""
    monkeypatch.setattr(sys, "unraisablehook", workers._interrupt_again)
    handler = signal.getsignal(signal.SIGINT)

    def interrupted(phase, info):
        gc.callbacks.remove(interrupted)
        raise KeyboardInterrupt

    gc.callbacks.append(interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            gc.collect()
            time.sleep(10)
    finally:
        signal.signal(signal.SIGINT, handler)
