"""Whether models are equal in everything but seeds, weights and the learning rate."""

import numbers
from collections.abc import Iterator
from typing import Any

import keras

from keras_aevb._backend.keras_private import without_loading_tensorflow
from keras_aevb.typing import Config

# Config keys that do not affect the computation.
IGNORED = ("name", "seed")


def difference(model: keras.Model, other: keras.Model) -> str | None:
    """The first difference in the computation of two compiled models.

    Returns:
        A line that names the differing setting and its two values; or `None`.
    """
    with without_loading_tensorflow():
        for ours, theirs in zip(_descriptions(model), _descriptions(other), strict=True):
            found = _first_difference(ours, theirs)
            if found is not None:
                return found
    return None


def _descriptions(model: keras.Model) -> Iterator[Config]:
    """Descriptions of a model, from the coarsest to the most detailed."""
    variables = [*model.variables, *model.optimizer.variables]
    yield {"model": type(model).__name__, "optimizer": type(model.optimizer).__name__}
    yield {
        name: getattr(model, name) for name in ("run_eagerly", "jit_compile", "steps_per_execution")
    }
    yield {"variables": [f"{tuple(v.shape)} {v.dtype}" for v in variables]}
    yield {"model": _without_names(model.get_config())}
    yield {"optimizer": _without_numbers(_without_names(model.optimizer.get_config()))}


def _first_difference(ours: Any, theirs: Any, path: str = "") -> str | None:
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        pairs = [(f"{path}.{name}" if path else name, ours[name], theirs[name]) for name in ours]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(f"{path}[{i}]", *values) for i, values in enumerate(zip(ours, theirs))]
    else:
        return None if ours == theirs else f"{path}: {ours} and {theirs}"
    return next((d for p, a, b in pairs if (d := _first_difference(a, b, p))), None)


def _without_names(config: Any) -> Any:
    """A config without seeds, whose layers are numbered instead of named."""
    names: dict[str, str] = {}

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("name"), str):
                names.setdefault(value["name"], f"layer {len(names)}")
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list | tuple):
            for inner in value:
                collect(inner)

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(inner) for key, inner in value.items() if key not in IGNORED}
        if isinstance(value, list | tuple):
            return [replace(inner) for inner in value]
        return names.get(value, value) if isinstance(value, str) else value

    collect(config)
    return replace(config)


def _without_numbers(config: Any) -> Any:
    """A config without constant learning rates, which are variables of the optimizer."""
    if not isinstance(config, dict):
        return config
    return {
        name: _without_numbers(value)
        for name, value in config.items()
        if name != "learning_rate" or not isinstance(value, numbers.Number)
    }
