"""`--scheduler`: a real scheduler and real workers, some of which are killed."""

import signal
import socket
import subprocess
import sys

import pytest
from made_up import numbers
from processes import has_been_saved, holders, strays, wait_until

from replication.measurements import records
from replication.plan.protocols import figure2_experiment

pytest.importorskip("distributed")

FIGURE2 = ["figure2", "--dataset", "digits", "--step-size", "0.02", "--algorithm", "aevb"]
TWO = [*FIGURE2, "--latent-dim", "2", "--latent-dim", "3"]
RUNS = [figure2_experiment("digits", "aevb", n, 0.02).id for n in (2, 3)]


@pytest.fixture
def scheduler(processes, tmp_path):
    """The address of a scheduler without workers."""
    return processes.scheduler(tmp_path)


@pytest.mark.slow
def test_another_worker_resumes_the_run_of_a_killed_worker_with_the_same_numbers(
    tmp_path, processes, scheduler
):
    results, samples = tmp_path / "results", "1000000"
    workers = [processes.worker(scheduler) for _ in range(2)]
    workers = {process.pid: process for process in workers}
    command = [*TWO, "--samples", samples]
    process = processes.command(results, *command, "--scheduler", scheduler)
    wait_until(lambda: any(has_been_saved(results, run) for run in RUNS), process)
    lost = next(run for run in RUNS if has_been_saved(results, run))
    (owner,) = holders(results, lost)
    workers[owner].send_signal(signal.SIGSTOP)
    # Another command for the same runs reports who trains them.
    _, message = (second := processes.command(results, *command)).communicate(timeout=240)
    assert second.returncode == 1
    name = f"process {owner} on {socket.gethostname()} (python -m replication figure2 "
    assert f"is locked by {name}" in message and message.count("\n") == 1
    workers[owner].kill()
    processes.worker(scheduler)
    assert process.communicate(timeout=400)[1] == "" and process.returncode == 0
    assert strays(results) == []
    for run in RUNS:
        read = records.read_run(results / "runs" / run)
        assert len(read.info["sessions"]) == 1 + (run == lost)
        assert "--scheduler" in read.info["sessions"][-1]["command"]
    assert records.read_run(results / "runs" / lost).info["sessions"][1]["samples_from"] > 0

    alone = processes.command(tmp_path / "alone", *command, "--jobs", "1")
    assert alone.communicate(timeout=400)[1] == "" and alone.returncode == 0
    for run in RUNS:
        read = [records.read_run(f / "runs" / run) for f in (results, tmp_path / "alone")]
        assert numbers(read[0]) == numbers(read[1])


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_workers_stop_training_when_their_command_has_ended(tmp_path, processes, scheduler, sent):
    results = tmp_path / "results"
    workers = [processes.worker(scheduler) for _ in range(2)]
    command = [results, *TWO, "--scheduler", scheduler, "--samples"]
    process = processes.command(*command, "1e9")
    wait_until(lambda: all(has_been_saved(results, run) for run in RUNS), process)
    process.send_signal(sent)
    message = process.communicate(timeout=120)[1]
    if sent == signal.SIGINT:
        assert message == "\nInterrupted. Run the same command again to resume.\n"
        assert strays(results) == []
    kept = max(records.read_run(results / "runs" / run).info["samples"] for run in RUNS)
    again = processes.command(*command, kept + 100_000)
    assert again.communicate(timeout=400)[1] == "" and again.returncode == 0
    assert all(process.poll() is None for process in workers)
    assert strays(results) == []


@pytest.mark.slow
def test_a_different_worker_is_refused_in_one_line(tmp_path, processes, scheduler):
    """Two threads would train two groups at once."""
    processes.worker(scheduler, threads=2)
    process = processes.command(tmp_path / "r", *TWO, "--scheduler", scheduler)
    message = process.communicate(timeout=240)[1]
    assert process.returncode == 1 and message.count("\n") == 1
    assert "to have threads (`dask worker --nthreads`) 1. Received: threads" in message


def test_without_a_scheduler(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    script = "replication.train.cluster.SECONDS_TO_CONNECT = 0.5"
    code = f"import replication.train.cluster; {script}; from replication.cli import main; main()"
    call = [sys.executable, "-c", code, *TWO, "--results", str(tmp_path), "--scheduler", address]
    result = subprocess.run(call, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: Expected a Dask scheduler at {address}. Received: ")
    assert result.stderr.count("\n") == 1
