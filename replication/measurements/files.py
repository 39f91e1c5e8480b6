"""Files of the results, written as a whole and read back with errors that name them.

A reader finds the old file or the new one, never a part.
"""

import contextlib
import json
import os
import reprlib
from pathlib import Path

from replication.errors import DamagedFileError, ReplicationError
from replication.measurements.shapes import fault

# A name of its own, so that nothing but what a killed command left is ever removed by it.
UNFINISHED = ".unfinished.tmp"


def write(path, content):
    """Writes or replaces a file, and makes its folder if there is none.

    One process at a time may write a file: `lock` sees to it.

    Args:
        path: of the file.
        content: bytes, or text, which is stored as UTF-8.

    Raises:
        OSError: with the file's name, if the system refuses. The old file is still there then.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(path.name + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise


def remove_unfinished(folder):
    """Removes what a command that was killed while it wrote left in a folder that is locked now."""
    for path in Path(folder).glob("*" + UNFINISHED):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def reading(path, expected, way_out):
    """Turns whatever a damaged file makes its reader raise into a `DamagedFileError`.

    Args:
        path: of the file.
        expected: what it should be, in words.
        way_out: a sentence for the user.

    Raises:
        DamagedFileError: in place of any other error, but for what the system refuses.
    """
    try:
        yield
    except (ReplicationError, ImportError):
        raise
    except Exception as error:  # damage makes libraries raise errors of any type
        refused = isinstance(error, OSError) and error.errno
        if refused and not isinstance(error, FileNotFoundError):
            raise
        received = "no such file" if refused else _words(error)
        raise DamagedFileError(
            f"Expected {path} to be {expected}. Received: {received}. {way_out}"
        ) from error


def read_text(path, way_out):
    """The text of a file in UTF-8."""
    with reading(path, "text in UTF-8", way_out):
        return Path(path).read_text(encoding="utf-8")


def read_json(path, shape, way_out):
    """What a JSON file holds, if it has the parts that are needed.

    Args:
        path: of the file.
        shape: of what it must hold; more may be there.
        way_out: a sentence for the user.

    Raises:
        DamagedFileError: if it is not JSON or lacks a part.
    """
    text = read_text(path, way_out)
    with reading(path, "JSON", way_out):
        value = _parsed(text)
    if found := fault(value, shape):
        raise DamagedFileError(f"Expected {path} to have {found}. {way_out}")
    return value


def _parsed(text):
    if not text.strip():
        raise ValueError("an empty file")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        (line,) = text.splitlines()[error.lineno - 1 : error.lineno] or [""]
        place = f"line {error.lineno}, {reprlib.repr(line)}"
        raise ValueError(f"{place}: {error.msg}") from error


def _words(error):
    """An error of our own by its message, one of a library with its type."""
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
