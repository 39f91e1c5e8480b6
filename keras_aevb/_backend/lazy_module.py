"""Modules that are loaded when first used.

TensorFlow Probability takes as long to import as this library without it many times over, and a
command that only parses its options, or a model that waits in a notebook, needs none of it.
"""

import importlib.util
import types
from collections.abc import Callable, Sequence
from typing import Any


class _LazyModule(types.ModuleType):
    """A module that has the attributes of another one, and loads it for the first of them."""

    def __init__(self, name: str, load: Callable[[], types.ModuleType]) -> None:
        super().__init__(name)
        self._load = load

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._load(), name)
        setattr(self, name, value)  # found without this method from now on
        return value

    def __dir__(self) -> list[str]:
        return dir(self._load())


def lazy_module(name: str, load: Callable[[], types.ModuleType]) -> Any:
    """A module in place of the one that `load()` returns, which is called when it is first used.

    Args:
        name: full name of the module.
        load: function without arguments.
    """
    return _LazyModule(name, load)


def check_installed(names: Sequence[str], error: Callable[[str], ImportError]) -> None:
    """Raises `error(cause)` if a package is not installed, without loading any."""
    for name in names:
        try:
            found = importlib.util.find_spec(name) is not None
        except ImportError:  # from another finder of modules
            found = False
        if not found:
            raise error(f"No module named {name!r}")
