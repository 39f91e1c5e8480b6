"""`import keras_aevb`: imported modules, registered classes, and imports on first use."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_aevb as kv

# Runs in a new process, since this one has already imported everything.
PROGRAM = """
import importlib, json, pkgutil, sys
import keras
before = {*sys.modules}
import keras_aevb
loaded = {*sys.modules} - before
registered = {*keras.saving.get_custom_objects()}

from keras_aevb import _backend, tfp_classes
def density():  # the first use of TFP, while a program is compiled
    return _backend.tfd.Normal(0.0, 1.0).log_prob(0.0)
if keras.backend.backend() == "jax":
    import jax
    compiled = jax.jit(density)
else:
    import tensorflow as tf
    compiled = tf.function(density)
densities = float(compiled()), float(density())

path, x, outputs = sys.argv[1:]
import numpy as np
model = keras.saving.load_model(path)
np.save(outputs, model.predict(np.load(x), verbose=0))

modules = [m.name for m in pkgutil.walk_packages(keras_aevb.__path__, "keras_aevb.")]
for name in modules:
    if not name.startswith("keras_aevb._backend.") and name != "keras_aevb.scikit_learn":
        module = importlib.import_module(name)
        missing = [n for n in {*dir(module), *getattr(module, "__all__", ())}
                   if not hasattr(module, n)]
        assert not missing, (name, missing)
missing = [n for n in {*dir(keras_aevb), *keras_aevb.__all__} if not hasattr(keras_aevb, n)]
late = {*keras.saving.get_custom_objects()} - registered
print(json.dumps({"loaded": sorted({m.partition(".")[0] for m in loaded}), "missing": missing,
                  "late": sorted(late), "densities": densities,
                  "lazy": [*tfp_classes.MODULES] == tfp_classes.__all__}))
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The program's output, and the outputs of a model in this process and in the new one."""
    folder = tmp_path_factory.mktemp("import")
    parts = kv.networks.bernoulli_mlp(6, latent_dim=2)
    parts["likelihood"] = kv.Conditional("NegativeBinomial", 6, total_count=kv.Trainable())
    parts["prior"] = kv.FlowPrior(kv.StandardNormal(2), [kv.Coupling(3)])
    model = kv.AEVB(**parts)
    x = np.random.default_rng(0).poisson(3.0, (4, 6)).astype("float32")
    outputs = model.predict(x, verbose=0)
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", x)
    paths = [folder / "model.keras", folder / "x.npy", folder / "outputs.npy"]
    command = [sys.executable, "-c", PROGRAM, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), outputs, np.load(folder / "outputs.npy")


def test_importing_loads_no_other_package(fresh):
    """Not TFP, Matplotlib, scikit-learn, SciPy or pandas; more modules of the backend may load."""
    assert {*fresh[0]["loaded"]} - {keras.backend.backend()} == {"keras_aevb"}


def test_all_names_are_there(fresh):
    assert fresh[0]["missing"] == []
    assert fresh[0]["lazy"]


def test_every_class_that_keras_loads_by_name_is_registered(fresh):
    """Importing all other modules registers no more."""
    assert fresh[0]["late"] == []


def test_a_fresh_process_loads_a_model(fresh):
    """The same program on the same machine: equal to the last bit."""
    np.testing.assert_array_equal(fresh[1], fresh[2])


@pytest.mark.slow
def test_tfp_may_be_imported_while_a_program_is_compiled(fresh):
    np.testing.assert_allclose(fresh[0]["densities"], -0.5 * np.log(2 * np.pi), rtol=1e-6)
