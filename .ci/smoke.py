"""Trains, saves, loads and samples with the installed package: no test framework, no repository."""

import importlib.metadata
import pathlib
import tempfile

import keras
import numpy as np

import keras_aevb as kv

installed = pathlib.Path(kv.__file__).resolve()
assert "site-packages" in installed.parts, installed
assert kv.__version__ == importlib.metadata.version("keras-aevb")
x = np.random.default_rng(0).random((100, 16), dtype="float32")
model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0), seed=0)
model.compile("adam")
model.fit(x, batch_size=20, verbose=0)
path = pathlib.Path(tempfile.mkdtemp()) / "model.keras"
model.save(path)
again = keras.saving.load_model(path)
assert np.array_equal(again.elbo(x, seed=0), model.elbo(x, seed=0))
assert again.sample(3, seed=0).shape == (3, 16)
print(f"keras-aevb {kv.__version__} works on {keras.backend.backend()}, from {installed.parent}")
