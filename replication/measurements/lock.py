"""File locks: one command at a time trains a run or writes a figure's files.

A command holds the system's lock on a file `….lock`. A killed command releases the lock; the file
that it leaves does not block others. The lock file lies beside the run's folder, not in it, since
`--fresh` deletes the whole folder.
"""

import contextlib
import functools
import os
import time
from pathlib import Path

from replication.errors import BusyError
from replication.measurements import files, provenance

try:
    import fcntl
except ImportError:  # Windows: no locks
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".lock"

# Seconds to wait for another command: for a run, until that command has written its name to the
# lock file, or found nothing to do; for a figure, until it is drawn.
SECONDS_FOR_A_RUN = 1.0
SECONDS_FOR_AN_OUTPUT = 600.0
# Seconds that a scheduler's workers may take to notice the end of their command.
SECONDS_FOR_A_WORKER = 60.0
SECONDS_BETWEEN_TRIES = 0.02


@contextlib.contextmanager
def runs(folders, patience=None):
    """Locks runs against other commands, and removes partial files.

    Args:
        folders: run folders, which need not exist.
        patience: seconds to wait for another command. Default: `SECONDS_FOR_A_RUN`.

    Raises:
        BusyError: if another command has locked one of them; then none is locked.
    """
    patience = SECONDS_FOR_A_RUN if patience is None else patience
    with contextlib.ExitStack() as stack:
        for folder in sorted({Path(folder) for folder in folders}):  # the order prevents deadlocks
            stack.enter_context(_lock(folder, "train", patience))
        yield


def require_free(folders, patience=None):
    """Raises a `BusyError` if another command has locked one of these runs; creates no file.

    Args:
        folders: run folders.
        patience: as for `runs`.
    """
    for folder in folders:
        if _file_of(folder).exists():
            with runs([folder], patience):
                pass


@contextlib.contextmanager
def output(results, name):
    """Locks output files against other commands, after waiting for them.

    Read the data inside the lock, so that the last command to write includes all runs.

    Args:
        results: folder of the results.
        name: name of the outputs' folder, such as `figure2`, or of an output outside such a
            folder, such as `report`.

    Raises:
        BusyError: if another command still writes them after `SECONDS_FOR_AN_OUTPUT`.
    """
    with _lock(Path(results) / name, "write", SECONDS_FOR_AN_OUTPUT):
        yield


def one_writer(name):
    """Decorator that locks the outputs `name`; the function's last argument must be `results`."""

    def decorate(write):
        @functools.wraps(write)
        def wrapped(*arguments):
            with output(arguments[-1], name):
                return write(*arguments)

        return wrapped

    return decorate


@contextlib.contextmanager
def _lock(guarded, verb, patience):
    if not fcntl:
        yield
        return
    path = _file_of(guarded)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(path, f"Expected no other command to {verb} {guarded}", patience)
    try:
        files.remove_unfinished(guarded)
        yield
    finally:
        _release(path, file)


def _file_of(guarded):
    return guarded.with_name(guarded.name + SUFFIX)


def _locked(path, expected, patience):
    """Locks the file, and writes the name of this process to it."""
    end = time.monotonic() + patience
    while (file := _try_lock(path)) is None:
        if time.monotonic() >= end:
            raise BusyError(
                f"{expected}. Received: {path} is locked by {_owner(path) or 'another process'}. "
                "Wait for it to end, or choose another --results folder"
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
    with contextlib.suppress(OSError):  # on a full disk, the lock works without the name
        file.truncate(0)
        file.write(f"{provenance.process()}\n".encode())
    return file


def _try_lock(path):
    """Locks the file at the path; returns it, or `None` if another process has locked it."""
    while True:
        file = path.open("ab+", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:  # a file system without locks
            with file, contextlib.suppress(OSError):
                if not os.fstat(file.fileno()).st_size:
                    path.unlink()
            error.filename = str(path)
            raise
        if _is_at(path, file):
            return file
        file.close()  # its owner removed it after it was opened here


def _owner(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it was just released
        return ""


def _release(path, file):
    """Removes the file before unlocking it, so that no other process's file is removed."""
    with file, contextlib.suppress(OSError):
        if _is_at(path, file):
            path.unlink()


def _is_at(path, file):
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
