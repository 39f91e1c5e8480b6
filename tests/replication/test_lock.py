"""Locks of runs and figures, with real processes."""

import errno
import os
import shutil
import signal
import socket
import textwrap
import time

import made_up
import pytest
from commands import invoke
from processes import locks, wait_until

from replication.errors import BusyError
from replication.measurements import lock, records
from replication.plan.protocols import figure2_experiment

FIGURE2 = ["-m", "replication", "figure2", "--dataset", "digits", "--step-size", "0.02"]
AEVB, WAKE_SLEEP = (
    [*FIGURE2, "--algorithm", algorithm, "--latent-dim", latent_dim, "--samples"]
    for algorithm, latent_dim in (("aevb", "2"), ("wake-sleep", "3"))
)
RUN = figure2_experiment("digits", "aevb", 2, 0.02).id
OTHER = figure2_experiment("digits", "wake-sleep", 3, 0.02).id


def numbers(results, run):
    """All measurements except times."""
    return made_up.numbers(records.read_run(results / "runs" / run))


@pytest.mark.slow
def test_concurrent_runs_in_one_folder_have_the_same_numbers_as_alone(tmp_path, python):
    together, apart = tmp_path / "together", tmp_path / "apart"
    commands = [[*AEVB, "100000"], [*WAKE_SLEEP, "100000"]]
    both = [python(*commands[0], "--results", together)]
    wait_until(lambda: locks(together) == [f"{RUN}.lock"], both[0])
    both[0].send_signal(signal.SIGSTOP)  # until the other one works too
    both.append(python(*commands[1], "--results", together))
    wait_until(lambda: locks(together) == [f"{RUN}.lock", f"{OTHER}.lock"], both[1])
    both[0].send_signal(signal.SIGCONT)
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert [process.returncode for process in both] == [0, 0]
    for command in commands:
        alone = python(*command, "--results", apart)
        assert alone.communicate()[1] == "" and alone.returncode == 0
    for run in (RUN, OTHER):
        assert numbers(together, run) == numbers(apart, run)
        assert len(records.read_run(together / "runs" / run).info["sessions"]) == 1
    # The last command to draw has read the runs of both.
    tables = [(folder / "figure2" / "table.csv").read_text() for folder in (together, apart)]
    assert tables[0] == tables[1]
    assert locks(together) == []


@pytest.mark.slow
def test_one_command_trains_a_run_and_a_kill_releases_it(tmp_path, python):
    first = python(*AEVB, "1e9", "--results", tmp_path)
    path = tmp_path / "runs" / f"{RUN}.lock"
    wait_until(lambda: (tmp_path / "runs" / RUN / records.RUN).exists(), first)
    first.send_signal(signal.SIGSTOP)  # it keeps its lock
    for more in ([], ["--fresh"]):
        second = invoke(*AEVB[2:], "20000", "--results", tmp_path, *more)
        assert second.exit_code == 1
        owner = f"process {first.pid} on {socket.gethostname()} (python -m replication figure2 "
        assert second.stderr.startswith(
            f"Error: Expected no other command to train {tmp_path / 'runs' / RUN}. Received: "
            f"{path} is locked by {owner}"
        )
        assert second.stderr.count("\n") == 1
    assert first.poll() is None
    assert len(records.read_run(tmp_path / "runs" / RUN).info["sessions"]) == 1
    # Other runs can be trained meanwhile.
    other = invoke(*WAKE_SLEEP[2:], "1000", "--results", tmp_path)
    assert other.stderr == "" and other.exit_code == 0
    assert locks(tmp_path) == [path.name]

    first.kill()
    first.communicate()
    assert path.exists()
    kept = records.read_run(tmp_path / "runs" / RUN).info["samples"]
    again = invoke(*AEVB[2:], kept + 1000, "--results", tmp_path)
    assert again.stderr == "" and again.exit_code == 0
    sessions = records.read_run(tmp_path / "runs" / RUN).info["sessions"]
    assert [s["samples_to"] for s in sessions] == [kept, kept + 1000]
    assert locks(tmp_path) == []


@pytest.mark.slow
def test_four_commands_for_the_same_run(tmp_path, python):
    four = [python(*AEVB, "1e9", "--results", tmp_path) for _ in range(4)]
    deadline = time.monotonic() + 240
    while len(working := [p for p in four if p.poll() is None]) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (owner,) = working
    refused = [p for p in four if p is not owner]
    for process in refused:
        message = process.communicate()[1]
        assert process.returncode == 1
        assert f"locked by process {owner.pid} on " in message and message.count("\n") == 1
    owner.send_signal(signal.SIGINT)
    assert "Interrupted." in owner.communicate(timeout=240)[1]
    assert owner.returncode == 130
    assert locks(tmp_path) == []


def test_a_group_is_locked_as_a_whole_or_not_at_all(tmp_path):
    a, b, c = (tmp_path / "runs" / name for name in "abc")
    with lock.runs([c]):
        with pytest.raises(BusyError, match=f"to train {c}"), lock.runs([b, c, a]):
            pass
        assert locks(tmp_path) == ["c.lock"]
        with lock.runs([b, a, b]):
            assert locks(tmp_path) == ["a.lock", "b.lock", "c.lock"]
    assert locks(tmp_path) == []


def test_asking_whether_a_run_is_free_leaves_no_file(tmp_path):
    a, b = (tmp_path / "runs" / name for name in "ab")
    lock.require_free([a, b])
    assert not list(tmp_path.iterdir())
    with lock.runs([b]), pytest.raises(BusyError, match=f"to train {b}"):
        lock.require_free([a, b])
    (tmp_path / "runs" / "a.lock").write_text("process 1, which was killed")
    lock.require_free([a, b])
    assert locks(tmp_path) == []


def test_a_command_waits_for_an_output(tmp_path, python):
    """The last command to write must have read the runs of the other one."""
    script = f"""
        import time
        from pathlib import Path
        from replication.measurements import lock
        with lock.output({str(tmp_path)!r}, "figure2"):
            time.sleep(2)
            Path({str(tmp_path / "written")!r}).touch()
        """
    first = python("-c", textwrap.dedent(script))
    wait_until((tmp_path / "figure2.lock").exists, first)
    with lock.output(tmp_path, "figure3"):
        assert not (tmp_path / "written").exists()
    with lock.output(tmp_path, "figure2"):
        assert (tmp_path / "written").exists()
    assert first.communicate()[1] == "" and locks(tmp_path) == []


def test_a_kill_while_a_file_is_written_keeps_the_old_one(tmp_path, python):
    path = tmp_path / "runs" / "a" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text("old")
    script = f"""
        import os, signal
        from replication.measurements import files, lock
        os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        with lock.runs([{str(path.parent)!r}]):
            files.write({str(path)!r}, "new")
        """
    killed = python("-c", textwrap.dedent(script))
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old" and len(list(path.parent.iterdir())) == 2
    with lock.runs([path.parent]):
        assert list(path.parent.iterdir()) == [path]


def test_partial_files_are_removed_under_the_lock(tmp_path):
    removed = ["runs/a/metrics.csv", "runs/b/checkpoint.npz", "figure2/figure2.png"]
    kept = ["runs/c/checkpoint.npz", "figure3/table.md", "README.md", "runs/a/x/y"]
    removed, kept = ([tmp_path / f"{n}.unfinished.tmp" for n in names] for names in (removed, kept))
    kept += [tmp_path / "runs" / "a" / "notes.tmp", tmp_path / "figure2" / "notes.tmp"]
    for path in removed + kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    runs = [tmp_path / "runs" / name for name in "ab"]
    with lock.runs(runs), lock.output(tmp_path, "figure2"):
        pass
    assert [path.exists() for path in removed + kept] == [False] * 3 + [True] * 6


def test_an_error_inside_releases_the_run(tmp_path):
    with pytest.raises(ZeroDivisionError), lock.runs([tmp_path / "a"]):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_an_unlocked_file_does_not_block(tmp_path):
    (tmp_path / "a.lock").write_bytes(b"\xff process 1 on a machine that was switched off")
    with lock.runs([tmp_path / "a"]):
        assert (tmp_path / "a.lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not list(tmp_path.iterdir())


def test_the_lock_of_another_command_is_not_removed(tmp_path):
    """The file is deleted by hand, and another command locks a new one."""
    path = tmp_path / "a.lock"
    with lock.runs([tmp_path / "a"]):
        path.unlink()
        path.write_text("of another one")
    assert path.read_text() == "of another one"


def test_a_folder_of_runs_may_be_deleted_while_one_is_trained(tmp_path):
    with lock.runs([tmp_path / "runs" / "a"]):
        shutil.rmtree(tmp_path / "runs")


def test_an_owner_without_a_name(tmp_path):
    with lock.runs([tmp_path / "a"]):
        (tmp_path / "a.lock").write_text("")
        with pytest.raises(BusyError, match="is locked by another process"):
            lock.require_free([tmp_path / "a"])


def test_the_error_of_a_file_system_without_locks_names_the_lock_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(OSError) as error, lock.runs([tmp_path / "a"]):
        pass
    assert error.value.filename == str(tmp_path / "a.lock")
    assert not list(tmp_path.iterdir())


def test_without_fcntl_nothing_is_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    with lock.runs([tmp_path / "a"]), lock.runs([tmp_path / "a"]):
        assert not list(tmp_path.iterdir())


COUNT = """
import sys, time
from pathlib import Path
from replication.errors import BusyError
from replication.measurements import lock
lock.SECONDS_FOR_A_RUN = 0.0
count = Path(sys.argv[1]) / "count"
done = 0
while done < 50:
    try:
        with lock.runs([count]):
            number = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(number + 1))
            done += 1
    except BusyError:
        time.sleep(0.0005)
"""


def test_the_lock_is_exclusive_while_its_file_is_created_and_removed(tmp_path, python):
    (tmp_path / "count").write_text("0")
    processes = [python("-c", COUNT, tmp_path) for _ in range(4)]
    assert [p.communicate()[1] for p in processes] == [""] * 4
    assert (tmp_path / "count").read_text() == "200"
    assert locks(tmp_path) == []
