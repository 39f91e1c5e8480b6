"""The five kinds of data that every client runs with: the same 20 examples in batches of 10.

A source is a function from an array to a pair: x for `fit`, and further arguments of `fit`.
"""

import itertools

import keras
import numpy as np
import pytest

BATCH = 10
X = np.random.default_rng(0).random((20, 6)).astype("float32")


class Batches(keras.utils.PyDataset):
    def __init__(self, x, **kwargs):
        super().__init__(**kwargs)
        self.x = x

    def __len__(self):
        return len(self.x) // BATCH

    def __getitem__(self, i):
        return (self.x[i * BATCH : (i + 1) * BATCH],)


def array(x):
    return x, {"batch_size": BATCH}


def tf_data(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(x).batch(BATCH), {}


def py_dataset(x):
    return Batches(x, workers=2), {}


def data_loader(x):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(torch.from_numpy(x)), batch_size=BATCH), {}


def generator(x):
    batches = itertools.cycle(x.reshape(-1, BATCH, *x.shape[1:]))
    return ((batch,) for batch in batches), {"steps_per_epoch": len(x) // BATCH}


SOURCES = {
    "array": array,
    "tf.data": tf_data,
    "PyDataset": py_dataset,
    "DataLoader": data_loader,
    "generator": generator,
}


class Data:
    """One kind of data, for the methods of a model."""

    def __init__(self, kind, x=X):
        self.source = SOURCES[kind]
        self.x = x

    def fit(self, model, epochs=2, validate=True, **settings):
        """`model.fit`, with validation on the same kind of data, quietly."""
        x, how = self.source(self.x)
        if validate:
            validation, how_validation = self.source(self.x)
            settings["validation_data"] = validation
            if "steps_per_epoch" in how_validation:
                settings["validation_steps"] = how_validation["steps_per_epoch"]
        return model.fit(x, epochs=epochs, **how, **{"verbose": 0, **settings}).history

    def once(self):
        """The examples for one pass, as x of `evaluate`, `predict` and `elbo`."""
        x, how = self.source(self.x)
        return itertools.islice(x, how["steps_per_epoch"]) if "steps_per_epoch" in how else x
