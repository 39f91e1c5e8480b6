"""The compiled programs of a model."""

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras

from keras_aevb._backend.keras_private import loss_metric
from keras_aevb.training import inputs
from keras_aevb.training.fingerprint import Identity, fingerprint


class Programs:
    """A cache of programs by key. A change of the models' computation clears it.

    Args:
        models: list of the models that the programs run.
    """

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self.models = models
        self.programs: dict[Hashable, Any] = {}
        # Arrays that passed a check of the models, by its kind and their ids.
        self.checked: dict[tuple[Hashable, ...], list[weakref.ref[Any]]] = {}
        self.made_for: list[Hashable] | None = None

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The program of this key; `make()` builds it if it is missing or out of date."""
        self.refresh()
        if key not in self.programs:
            self.programs[key] = make()
        return self.programs[key]

    def refresh(self) -> bool:
        """Clears the cache if the models have changed, and returns whether they have."""
        current = [_description(model) for model in self.models]
        changed = current != self.made_for
        if changed:
            self.programs.clear()
            self.checked.clear()
            self.made_for = current
        return changed

    def check_once(
        self, arrays: Sequence[Any], check: Callable[[], object], kind: Hashable = None
    ) -> None:
        """Calls `check()`, unless it passed for these arrays and nothing has changed since.

        `kind` distinguishes different checks.

        A check reads the arrays whole, if necessary from the device.
        """
        self.refresh()
        key = kind, *map(id, arrays)
        fixed = all(map(inputs.is_immutable, arrays))
        known = zip(self.checked.get(key, ()), arrays)
        if fixed and key in self.checked and all(ref() is array for ref, array in known):
            return
        check()
        if fixed:
            refs = [weakref.ref(array) for array in arrays]
            alive = {k: r for k, r in self.checked.items() if all(ref() is not None for ref in r)}
            self.checked = {**alive, key: refs}


def _description(model: keras.Model) -> Hashable:
    # `compile` makes a new loss metric, also for the same optimizer with other settings.
    compiled = getattr(model, "optimizer", None), Identity(loss_metric(model))
    how = model.run_eagerly, model.jit_compile, model.steps_per_execution
    return compiled, how, fingerprint(model)
