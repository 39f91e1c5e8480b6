"""Shapes: what a value that was read from JSON must hold, at least.

A shape is a dict from names to shapes (the name `ANY` stands for all there are; one with a question
mark may be missing), a list of the shape of its elements, which are one or more (with `...` behind
it: any number), or one of the functions below, whose docstring says what it takes.
"""

import datetime
import math
import reprlib

ANY = object()


def fault(value, shape, name=""):
    """What is missing in a value, and what is there instead; `None` if nothing is.

    Args:
        value: as `json.loads` gives it.
        shape: a shape.
        name: of the value, in words.

    Example:
        >>> fault({"samples": [1, "2"]}, {"samples": [whole]})
        "a whole number as samples[1]. Received: '2'"
        >>> fault({}, {"samples": [whole]})
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
            if key in value and (found := fault(value[key], inner, inside)):
                return found
    elif isinstance(shape, list):
        if not isinstance(value, list) or not (value or ... in shape):
            return f"a list{'' if ... in shape else ' of one or more'} as {name}. Received: " + (
                reprlib.repr(value)
            )
        faults = (fault(v, shape[0], f"{name}[{i}]") for i, v in enumerate(value))
        return next(filter(None, faults), None)
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
