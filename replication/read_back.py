"""Reads files of the results back: damage is told with the file's name and the way out."""

import contextlib
import datetime
import json
import math
import reprlib
from pathlib import Path

from replication.errors import DamagedFileError, ReplicationError

ANY = object()


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
        shape: of what it must hold, more may be there: a dict from names to shapes (the name `ANY`
            stands for all there are; one with a question mark may be missing), a list of the shape
            of its elements, which are one or more (with `...` behind it: any number), or one of the
            functions below, whose docstring says what it takes.
        way_out: a sentence for the user.

    Raises:
        DamagedFileError: if it is not JSON or lacks a part.

    Example:
        >>> _fault({"samples": [1, "2"]}, {"samples": [whole]}, "")
        'a whole number as samples[1]. Received: \\'2\\''
        >>> _fault({}, {"samples": [whole]}, "")
        'samples. Received: nothing of this name'
    """
    text = read_text(path, way_out)
    with reading(path, "JSON", way_out):
        value = _parsed(text)
    fault = _fault(value, shape, "")
    if fault:
        raise DamagedFileError(f"Expected {path} to have {fault}. {way_out}")
    return value


def whole(value):
    """a whole number"""
    return type(value) is int and value >= 0


def number(value):
    """a number"""
    return type(value) in (int, float)


def positive(value):
    """a number above 0"""
    return number(value) and 0 < value < math.inf


def number_or_null(value):
    """a number or null"""
    return value is None or number(value)


def text(value):
    """text"""
    return isinstance(value, str)


def text_or_null(value):
    """text or null"""
    return value is None or text(value)


def known(names):
    """A function that takes these names alone."""

    def is_known(value):
        return text(value) and value in names

    is_known.__doc__ = f"one of {', '.join(names)}"
    return is_known


def time(value):
    """a date and time"""
    try:
        return datetime.datetime.fromisoformat(value) is not None
    except (TypeError, ValueError):
        return False


def _parsed(text):
    if not text.strip():
        raise ValueError("an empty file")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1 : error.lineno]
        raise ValueError(f"line {error.lineno}, {_short(*line or [''])}: {error.msg}") from error


def _fault(value, shape, name):
    """What is wrong with a value, in words; `None` if nothing."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"named values{name and f' as {name}'}. Received: {_short(value)}"
        shapes = dict.fromkeys(value, shape[ANY]) if ANY in shape else shape
        for key, inner in shapes.items():
            optional, key = key.endswith("?"), key.removesuffix("?")
            inside = f"{name}.{key}" if name else key
            if key not in value and not optional:
                return f"{inside}. Received: nothing of this name"
            if key in value and (fault := _fault(value[key], inner, inside)):
                return fault
    elif isinstance(shape, list):
        if not isinstance(value, list) or not (value or ... in shape):
            return f"a list{'' if ... in shape else ' of one or more'} as {name}. Received: " + (
                _short(value)
            )
        faults = (_fault(v, shape[0], f"{name}[{i}]") for i, v in enumerate(value))
        return next(filter(None, faults), None)
    elif not shape(value):
        return f"{shape.__doc__} as {name}. Received: {_short(value)}"
    return None


def _short(value):
    return reprlib.repr(value)


def _words(error):
    """An error of our own by its message, one of a library with its type."""
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
