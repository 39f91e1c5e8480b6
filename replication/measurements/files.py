"""Atomic writing of result files, and reading with errors that name the file.

A reader finds the old file or the new one, never a part of it.
"""

import contextlib
import json
import os
import reprlib
from pathlib import Path

from replication.errors import DamagedFileError, ReplicationError
from replication.measurements.shapes import mismatch

# A distinctive suffix, so that only the remains of a killed command are removed.
UNFINISHED = ".unfinished.tmp"


def write(path, content):
    """Writes or replaces a file, and makes its folder if necessary.

    Only one process at a time may write a file: the caller holds a lock (module `lock`).

    Args:
        path: path of the file.
        content: bytes, or text, which is stored as UTF-8.

    Raises:
        OSError: with the file's name, if writing fails. The old file is then unchanged.
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
    """Removes partial files of a killed command from a folder, which must be locked."""
    for path in Path(folder).glob("*" + UNFINISHED):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def reading(path, expected, remedy):
    """A context that turns errors of reading a file into a `DamagedFileError`.

    Args:
        path: path of the file.
        expected: the expected content, in words.
        remedy: a sentence for the user.

    Raises:
        DamagedFileError: if the file is missing or cannot be read as expected. Other errors of the
            system, such as missing permission, pass through.
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
            f"Expected {path} to be {expected}. Received: {received}. {remedy}"
        ) from error


def read_text(path, remedy):
    """The text of a file in UTF-8."""
    with reading(path, "text in UTF-8", remedy):
        return Path(path).read_text(encoding="utf-8")


def read_json(path, shape, remedy):
    """Reads a JSON file and validates its content.

    Args:
        path: path of the file.
        shape: shape of the required content (`shapes`); the file may contain more.
        remedy: a sentence for the user.

    Raises:
        DamagedFileError: if the file is missing, is not JSON in UTF-8, or lacks a part.
    """
    text = read_text(path, remedy)
    with reading(path, "JSON", remedy):
        value = _parsed(text)
    if found := mismatch(value, shape):
        raise DamagedFileError(f"Expected {path} to have {found}. {remedy}")
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
    """The message of our own error; the type and message of a library's error."""
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
