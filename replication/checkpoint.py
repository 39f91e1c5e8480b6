"""The state of training in one file: weights, optimizer and seeds, exact to the bit."""

import io

import numpy as np

from replication import atomic
from replication.read_back import reading

FILE = "checkpoint.npz"


def save(folder, model, samples, seconds):
    """Replaces the checkpoint of the run that the folder is named after."""
    arrays = [np.asarray(v) for v in _variables(model)]
    file = io.BytesIO()
    np.savez(file, *arrays, samples=samples, seconds=seconds, run=folder.name)
    atomic.write(folder / FILE, file.getvalue())


def restore(folder, model):
    """Loads the checkpoint into the model.

    Returns:
        The samples seen and the seconds trained so far; (0, 0.0) if there is no checkpoint.

    Raises:
        DamagedFileError: if it cannot be read, or is that of another run.
    """
    path = folder / FILE
    if not path.exists():
        return 0, 0.0
    way_out = f"Bring it back, or delete {folder} to train this run anew"
    with reading(path, f"the checkpoint of {folder.name}", way_out):
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        owner = arrays.get("run", folder.name)  # which older checkpoints do not know
        if owner != folder.name:
            raise ValueError(f"that of {owner}")
        for i, variable in enumerate(_variables(model)):
            variable.assign(arrays[f"arr_{i}"])
        return int(arrays["samples"]), float(arrays["seconds"])


def _variables(model):
    """Keras leaves the seeds out of `.keras` files; `model.variables` has them."""
    return model.variables + model.optimizer.variables
