"""The compiled programs of a model."""

from keras_aevb.training.fingerprint import fingerprint


class Programs:
    """Programs by key, which are dropped as soon as the model computes something else.

    Args:
        models: list of the models that the programs run.
    """

    def __init__(self, models):
        self.models = models
        self.programs = {}
        self.made_for = None

    def get(self, key, make):
        """The program of this key; `make()` makes it where there is none that is up to date."""
        self.refresh()
        if key not in self.programs:
            self.programs[key] = make()
        return self.programs[key]

    def refresh(self):
        """Drops programs that are out of date, and says whether there were any."""
        current = [_description(model) for model in self.models]
        changed = current != self.made_for
        if changed:
            self.programs.clear()
            self.made_for = current
        return changed


def _description(model):
    optimizer = getattr(model, "optimizer", None)  # there is none before `compile`
    how = optimizer, model.run_eagerly, model.jit_compile, model.steps_per_execution
    return how, fingerprint(model)
