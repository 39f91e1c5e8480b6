"""One command at a time in a folder of results."""

import contextlib
import os
from pathlib import Path

from replication import atomic, provenance
from replication.errors import BusyError

try:
    import fcntl
except ImportError:  # on Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

FILE = "lock"


@contextlib.contextmanager
def alone(results):
    """Keeps all other commands from a folder of results, which is made if there is none.

    The system's lock on the file `lock` counts, not that the file is there: a command that is
    killed releases it. What such a command left unfinished is removed first.

    Args:
        results: the folder.

    Raises:
        BusyError: if another command works there.
    """
    path = Path(results) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if fcntl:
            stack.enter_context(_locked(path))
            stack.callback(path.unlink, missing_ok=True)  # while it is still locked
        atomic.remove_unfinished(results)
        yield


def _locked(path):
    """The locked file, which says who locked it."""
    while True:
        file = path.open("ab+", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                owner = file.read().decode(errors="replace").strip()
            raise BusyError(
                f"Expected no other command to work in {path.parent}. Received: {path} is locked "
                f"by {owner or 'another process'}. Wait for it to end, or give another --results "
                "folder"
            ) from None
        except OSError as error:  # a file system without locks
            error.filename = str(path)
            raise
        if _is_at(path, file):
            break
        file.close()  # its owner removed it after it was opened here
    with contextlib.suppress(OSError):  # on a full disk the lock is as good without a name on it
        file.truncate(0)
        file.write(f"{provenance.process()}\n".encode())
    return file


def _is_at(path, file):
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
