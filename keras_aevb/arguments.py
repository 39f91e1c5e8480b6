"""Argument validation. Every error names the expected and the received value."""

import inspect
import math
import numbers
import random
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from keras_aevb.typing import Schedule, Seed

FLOAT32_TINY = 1.1754944e-38
FLOAT32_MAX = 3.4028235e38
# Largest size of an array and number of samples that int32 can index.
LARGEST_SIZE = 2**31 - 1


def integer(name: str, value: Any, at_least: int = 1, at_most: int | None = None) -> int:
    """`value` as an `int`.

    Args:
        name: the argument's name.
        value: the argument's value.
        at_least: the smallest valid value.
        at_most: the largest valid value. Default: `LARGEST_SIZE` if `at_least` is positive, since
            the value is then a size; otherwise none.

    Raises:
        ValueError: if it is not an integer, is a boolean, or is out of range.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < at_least:
        kind = {0: "a non-negative integer", 1: "a positive integer"}.get(
            at_least, f"an integer of at least {at_least}"
        )
        raise ValueError(f"Expected `{name}` to be {kind}. Received: {value!r}")
    if at_most is None and at_least > 0:
        at_most = LARGEST_SIZE
    if at_most is not None and value > at_most:
        raise ValueError(
            f"Expected `{name}` to be an integer of at most {at_most}. Received: {value!r}"
        )
    return int(value)


def number(
    name: str, value: Any, low: float = 0.0, high: float = math.inf, inclusive: bool = False
) -> float:
    """`value`, if it is a number between `low` and `high` that float32 can hold.

    Args:
        name: the argument's name.
        value: the argument's value.
        low, high: the bounds.
        inclusive: whether the value may be `low` itself, or a finite `high`.

    Raises:
        ValueError: if it is not such a number, or its size is below float32's smallest normal
            number or above its largest.
    """
    # Python counts booleans as integers.
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    # NumPy would round the bounds to the precision of a half-precision value.
    size = value.item() if isinstance(value, np.generic) else value
    if real and inclusive and size == low:
        return value
    if not (real and low < size and (size < high or (inclusive and size == high < math.inf))):
        raise ValueError(
            f"Expected `{name}` to be {_interval(low, high, inclusive)}. Received: {value!r}"
        )
    if size != 0 and not FLOAT32_TINY <= abs(size) <= FLOAT32_MAX:
        raise ValueError(
            f"Expected `{name}` to be a number that float32 can hold, from {FLOAT32_TINY:.1e} to "
            f"{FLOAT32_MAX:.1e}. Received: {value!r}"
        )
    return value


def _interval(low: float, high: float, inclusive: bool) -> str:
    if (low, high) == (0.0, math.inf):
        return "a non-negative number" if inclusive else "a positive number"
    return f"a number from {low:g} to {high:g}" if inclusive else f"a number in ({low:g}, {high:g})"


def boolean(name: str, value: Any) -> bool:
    """`value` as a `bool`.

    Raises:
        ValueError: if it is not `True` or `False`.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"Expected `{name}` to be True or False. Received: {value!r}")
    return bool(value)


def choice(name: str, value: Any, options: Collection[str]) -> str:
    """`value`, if it is one of a few strings.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, str) or value not in options:
        *first, last = map(repr, options)
        expected = f"{', '.join(first)} or {last}"
        raise ValueError(f"Expected `{name}` to be {expected}. Received: {value!r}")
    return value


def number_or_schedule(name: str, value: Any) -> float | Schedule:
    """`value`, if it is a non-negative number that float32 can hold, or a schedule.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    try:
        return number(name, value, inclusive=True)
    except ValueError as error:
        raise ValueError(
            f"{error}. Use a `keras.optimizers.schedules.LearningRateSchedule` to change it during "
            "training"
        ) from None


def seed(value: Any) -> Seed:
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


def seed_or_default(value: Any) -> int:
    """`value` as a seed; for `None` a random one, which `keras.utils.set_random_seed` fixes.

    Raises:
        ValueError: if `value` is neither a seed nor `None`.
    """
    checked = seed(value)
    return random.getrandbits(32) if checked is None else checked


def seeds(value: Any, n: int) -> list[Seed]:
    """n seeds derived from an integer, or n times `None`.

    Raises:
        ValueError: if `value` is not a seed.
    """
    if seed(value) is None:
        return [None] * n
    return list(map(int, np.random.SeedSequence(value).generate_state(n)))


def check_fit(**settings: Any) -> None:
    """Raises a `ValueError` if an argument of Keras' methods is invalid.

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
            boolean(name, value)
        elif name == "verbose":
            if not (value == "auto" or (value in (0, 1, 2) and isinstance(value, int))):
                raise ValueError(f"Expected `verbose` to be 'auto', 0, 1 or 2. Received: {value!r}")
        elif name == "validation_freq" and isinstance(value, list | tuple | set):
            for epoch in value:
                integer("validation_freq", epoch)
        elif name == "validation_freq" and not isinstance(value, numbers.Integral):
            raise ValueError(
                "Expected `validation_freq` to be a positive integer or a list of epochs. "
                f"Received: {value!r}"
            )
        elif value is not None:
            integer(name, value)


def check_config(name: str, part: Any) -> None:
    """Raises a `ValueError` if a part's `get_config` loses an argument of its constructor."""
    config = part.get_config()
    parameters = inspect.signature(type(part).__init__).parameters
    lost = [
        p.name
        for p in list(parameters.values())[1:]
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.name not in config
        and (p.default is p.empty or getattr(part, p.name, p.default) is not p.default)
    ]
    if lost:
        raise ValueError(
            f"Expected `{type(part).__name__}.get_config()` of the {name} to return every argument "
            f"of its constructor. Received: a config without {lost}, which a copy would lose"
        )
