"""Modules that are imported on first use.

Importing TensorFlow Probability takes many times as long as the rest of this library. A command
that only parses its options does not need it.
"""

import importlib.util
import types
from collections.abc import Callable, Sequence
from typing import Any


class _LazyModule(types.ModuleType):
    """A proxy of a module, which `load` imports when an attribute is first needed."""

    def __init__(self, name: str, load: Callable[[], types.ModuleType]) -> None:
        super().__init__(name)
        self._load = load

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._load(), name)
        setattr(self, name, value)  # the next access does not call this method
        return value

    def __dir__(self) -> list[str]:
        return dir(self._load())


def lazy_module(name: str, load: Callable[[], types.ModuleType]) -> Any:
    """A proxy of the module that `load()` returns.

    The first access to each attribute calls `load`.

    Args:
        name: full name of the module.
        load: function without arguments.
    """
    return _LazyModule(name, load)


def check_installed(names: Sequence[str], error: Callable[[str], ImportError]) -> None:
    """Raises `error(cause)` if a package is not installed, without importing any."""
    for name in names:
        try:
            found = importlib.util.find_spec(name) is not None
        except ImportError:  # raised by a custom module finder
            found = False
        if not found:
            raise error(f"No module named {name!r}")
