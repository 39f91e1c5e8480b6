"""One command at a time in a folder of results, with real processes."""

import errno
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from replication import lock
from replication.errors import BusyError

TRAINING = ["-m", "replication", "figure2", "--dataset", "digits", "--latent-dim", "2"]
TRAINING += ["--algorithm", "aevb", "--step-size", "0.02", "--samples", "1e9", "--results"]


def python(*arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], env=environment, stderr=subprocess.PIPE, text=True
    )


def test_the_second_command_says_who_works_there_and_a_kill_leaves_no_obstacle(tmp_path):
    first = python(*TRAINING, tmp_path)
    try:
        while not (tmp_path / "lock").exists() or not (tmp_path / "lock").read_text():
            assert first.poll() is None, first.stderr.read()
        second = python(*TRAINING, tmp_path)
        _, message = second.communicate(timeout=60)
        assert second.returncode == 1
        assert message.startswith(f"Error: Expected no other command to work in {tmp_path}.")
        assert f"by process {first.pid} on {socket.gethostname()} (python -m replication" in message
        assert message.count("\n") == 1
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    assert (tmp_path / "lock").exists()
    with lock.alone(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / "lock").read_text()
    assert not (tmp_path / "lock").exists()


def test_a_kill_in_the_middle_of_a_file_leaves_the_old_one_and_nothing_else(tmp_path):
    killed = python(
        "-c",
        textwrap.dedent(
            f"""
            import os, signal
            from replication import atomic, lock
            os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
            with lock.alone({str(tmp_path)!r}):
                atomic.write({str(tmp_path / "runs" / "a" / "metrics.csv")!r}, "new")
            """
        ),
    )
    path = tmp_path / "runs" / "a" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text("old")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old" and len(list(path.parent.iterdir())) == 2
    with lock.alone(tmp_path):
        assert list(path.parent.iterdir()) == [path]


def test_what_was_left_unfinished_is_removed_and_nothing_of_anyone_else(tmp_path):
    ours = ["README.md", "figure2/figure2.png", "runs/a/metrics.csv", "runs/b/checkpoint.npz"]
    ours = [tmp_path / f"{name}.unfinished.tmp" for name in ours]
    theirs = [tmp_path / name for name in ("notes.tmp", "runs/notes.tmp", "a/b/c.unfinished.tmp")]
    for path in ours + theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with lock.alone(tmp_path):
        pass
    assert [path.exists() for path in ours + theirs] == [False] * 4 + [True] * 3


def test_what_fails_inside_releases_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), lock.alone(tmp_path):
        raise ZeroDivisionError
    with lock.alone(tmp_path):
        pass


def test_a_file_that_nobody_locks_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_bytes(b"\xff process 1 on a machine that was switched off")
    with lock.alone(tmp_path):
        assert "switched off" not in (tmp_path / "lock").read_text()


def test_an_owner_without_a_name(tmp_path):
    with lock.alone(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(BusyError, match="is locked by another process"), lock.alone(tmp_path):
            pass


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with pytest.raises(OSError) as error, lock.alone(tmp_path):
        pass
    assert error.value.filename == str(tmp_path / "lock")


def test_without_locks_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    with lock.alone(tmp_path), lock.alone(tmp_path):
        assert not list(tmp_path.iterdir())


COUNT = """
import sys, time
from pathlib import Path
from replication import lock
from replication.errors import BusyError
results = Path(sys.argv[1])
done = 0
while done < 50:
    try:
        with lock.alone(results):
            number = int((results / "count").read_text())
            time.sleep(0.001)
            (results / "count").write_text(str(number + 1))
            done += 1
    except BusyError:
        time.sleep(0.0005)
"""


def test_never_two_at_once_though_the_file_comes_and_goes(tmp_path):
    (tmp_path / "count").write_text("0")
    processes = [python("-c", COUNT, tmp_path) for _ in range(4)]
    assert [p.communicate()[1] for p in processes] == [""] * 4
    assert (tmp_path / "count").read_text() == "200"
