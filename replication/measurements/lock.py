"""Who may write what: one command at a time trains a run, and one writes a figure's files.

The system's lock on a file `….lock` counts, not that the file is there: a command that is killed
releases it, and leaves a file that is no obstacle. The file lies beside what it guards, since
`--fresh` deletes a run's folder as a whole.
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
except ImportError:  # on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".lock"

# How long to wait for another command: with a run, until it has written its name into the file or
# has found out that there is nothing to do; with a figure, until it is drawn.
SECONDS_FOR_A_RUN = 1.0
SECONDS_FOR_AN_OUTPUT = 600.0
# How long the workers of a scheduler may take to notice that their command has ended.
SECONDS_FOR_A_WORKER = 60.0
SECONDS_BETWEEN_TRIES = 0.02


@contextlib.contextmanager
def runs(folders, patience=None):
    """Keeps all other commands from training these runs, and removes what was left unfinished.

    Args:
        folders: run folders, which need not be there.
        patience: seconds to wait for another command. Default: `SECONDS_FOR_A_RUN`.

    Raises:
        BusyError: if another command works on one of them; then none is locked.
    """
    patience = SECONDS_FOR_A_RUN if patience is None else patience
    with contextlib.ExitStack() as stack:
        for folder in sorted({Path(folder) for folder in folders}):  # the same order for everyone
            stack.enter_context(_alone(folder, "train", patience))
        yield


def require_free(folders, patience=None):
    """Raises a `BusyError` if another command works on one of these runs; writes nothing new.

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
    """Keeps all other commands from writing the outputs of a name, after waiting for them.

    What they are made from is to be read inside: the last one to write knows all runs.

    Args:
        results: folder of the results.
        name: of the outputs; if they have a folder, its name.

    Raises:
        BusyError: if another command still writes them after `SECONDS_FOR_AN_OUTPUT`.
    """
    with _alone(Path(results) / name, "write", SECONDS_FOR_AN_OUTPUT):
        yield


def one_writer(name):
    """Decorator of a function that writes the outputs of a name; its last argument is `results`."""

    def decorate(write):
        @functools.wraps(write)
        def wrapped(*arguments):
            with output(arguments[-1], name):
                return write(*arguments)

        return wrapped

    return decorate


@contextlib.contextmanager
def _alone(guarded, verb, patience):
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
    """The locked file, which says who locked it."""
    end = time.monotonic() + patience
    while (file := _try(path)) is None:
        if time.monotonic() >= end:
            raise BusyError(
                f"{expected}. Received: {path} is locked by {_owner(path) or 'another process'}. "
                "Wait for it to end, or give another --results folder"
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
    with contextlib.suppress(OSError):  # on a full disk the lock is as good without a name on it
        file.truncate(0)
        file.write(f"{provenance.process()}\n".encode())
    return file


def _try(path):
    """The file at the path, locked; `None` if another process has it."""
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
    except OSError:  # it was released at this moment
        return ""


def _release(path, file):
    """Removes the file while it is still locked, so that nobody else's is removed."""
    with file, contextlib.suppress(OSError):
        if _is_at(path, file):
            path.unlink()


def _is_at(path, file):
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
