"""Checks of arguments, with one form of error: what was expected, and what was received."""

import math
import numbers


def integer(name, value, at_least=1):
    """`value` as an `int`.

    Raises:
        ValueError: if it is not an integer, a boolean, or too small.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < at_least:
        kind = {0: "a non-negative integer", 1: "a positive integer"}.get(
            at_least, f"an integer of at least {at_least}"
        )
        raise ValueError(f"Expected `{name}` to be {kind}. Received: {value!r}")
    return int(value)


def number(name, value, low=0.0, high=math.inf, inclusive=False):
    """`value`, if it is a number between `low` and `high` that float32 can hold.

    Args:
        name: the argument's name.
        value: what was received.
        low, high: the bounds.
        inclusive: whether the value may be `low` itself, or a finite `high`.

    Raises:
        ValueError: if it is not such a number.
    """
    # A boolean is an integer to Python.
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and inclusive and value == low:
        return value
    if not (real and low < value and (value < high or (inclusive and value == high < math.inf))):
        kind = "a positive number" if (low, high) == (0.0, math.inf) else "a number"
        if kind == "a number":
            kind += f" from {low:g} to {high:g}" if inclusive else f" between {low:g} and {high:g}"
        raise ValueError(f"Expected `{name}` to be {kind}. Received: {value!r}")
    if value != 0 and not FLOAT32_TINY <= abs(value) <= FLOAT32_MAX:
        raise ValueError(
            f"Expected `{name}` to be a number that float32 can hold, from {FLOAT32_TINY:.1e} to "
            f"{FLOAT32_MAX:.1e}. Received: {value!r}"
        )
    return value


FLOAT32_TINY = 1.1754944e-38
FLOAT32_MAX = 3.4028235e38


def seed(value):
    """`value`, if it is a seed: an integer from 0 to 2³² - 1, or `None`.

    Raises:
        ValueError: if it is neither.
    """
    if value is None:
        return None
    integer("seed", value, at_least=0)
    if value >= 2**32:
        raise ValueError(f"Expected `seed` to be below 2**32. Received: {value!r}")
    return int(value)


def check_fit(**settings):
    """Raises a `ValueError` if an argument of Keras' methods is not a number that makes sense.

    Args:
        **settings: arguments of `fit`, `evaluate` or `predict`, by name.
    """
    for name, value in settings.items():
        if name in ("epochs", "initial_epoch"):
            integer(name, value, at_least=0)
        elif name == "validation_split":
            number(name, value, 0.0, 1.0, inclusive=True)
            if value == 1:
                raise ValueError(
                    f"Expected `{name}` to leave examples to train on. Received: {value!r}"
                )
        elif name == "shuffle":
            if value not in (True, False):
                raise ValueError(f"Expected `shuffle` to be True or False. Received: {value!r}")
        elif name == "validation_freq" and not isinstance(value, numbers.Integral):
            if not isinstance(value, list | tuple | set):
                raise ValueError(
                    "Expected `validation_freq` to be a positive integer or a list of epochs. "
                    f"Received: {value!r}"
                )
        elif value is not None:
            integer(name, value)
