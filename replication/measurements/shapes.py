"""Shapes of JSON values, for validation.

A shape is one of

- a dict from names to shapes. The name `ANY` stands for all names; a name with a question mark is
  optional. The value may have further names;
- a list with the shape of its elements, at least one; with `...` after it, any number of them;
- one of the functions below, whose docstring names the accepted values.
"""

import datetime
import math
import reprlib

ANY = object()


def mismatch(value, shape, name=""):
    """The first mismatch between a value and a shape, in words; `None` if there is none.

    Args:
        value: a result of `json.loads`.
        shape: a shape.
        name: name of the value.

    Example:
        >>> mismatch({"samples": [1, "2"]}, {"samples": [whole]})
        "a whole number as samples[1]. Received: '2'"
        >>> mismatch({}, {"samples": [whole]})
        'samples. Received: nothing of this name'
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"named values{name and f' as {name}'}. Received: {reprlib.repr(value)}"
        shapes = dict.fromkeys(value, shape[ANY]) if ANY in shape else shape
        for key, inner in shapes.items():
            optional, key = key.endswith("?"), key.removesuffix("?")
            inside = f"{name}.{key}" if name else key
            if key not in value and not optional:
                return f"{inside}. Received: nothing of this name"
            if key in value and (found := mismatch(value[key], inner, inside)):
                return found
    elif isinstance(shape, list):
        if not isinstance(value, list) or not (value or ... in shape):
            return f"a list{'' if ... in shape else ' of one or more'} as {name}. Received: " + (
                reprlib.repr(value)
            )
        mismatches = (mismatch(v, shape[0], f"{name}[{i}]") for i, v in enumerate(value))
        return next(filter(None, mismatches), None)
    elif not shape(value):
        return f"{shape.__doc__} as {name}. Received: {reprlib.repr(value)}"
    return None


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
    """A shape of these strings only."""

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
