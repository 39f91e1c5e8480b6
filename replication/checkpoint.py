"""The state of training in one file: weights, optimizer and seeds, exact to the bit."""

import os

import numpy as np

FILE = "checkpoint.npz"


def save(folder, model, samples, seconds):
    """Replaces the folder's checkpoint; a kill at any moment leaves the old or the new one."""
    arrays = [np.asarray(v) for v in _variables(model)]
    path = folder / FILE
    temporary = folder / (FILE + ".tmp")
    with temporary.open("wb") as file:
        np.savez(file, *arrays, samples=samples, seconds=seconds)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def restore(folder, model):
    """Loads the checkpoint into the model.

    Returns:
        The samples seen and the seconds trained so far; (0, 0.0) if there is no checkpoint.
    """
    path = folder / FILE
    if not path.exists():
        return 0, 0.0
    with np.load(path, allow_pickle=False) as file:
        for i, variable in enumerate(_variables(model)):
            variable.assign(file[f"arr_{i}"])
        return int(file["samples"]), float(file["seconds"])


def _variables(model):
    """Keras leaves the seeds out of `.keras` files; `model.variables` has them."""
    return model.variables + model.optimizer.variables
