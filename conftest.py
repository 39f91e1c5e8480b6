"""What all tests share before Keras is loaded, and which doctests there are."""

import os
import tempfile

# Many tests compile what another has compiled: on JAX, workers and the programs that tests start
# find it in one folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _programs = tempfile.TemporaryDirectory(prefix="compiled-by-tests-")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _programs.name)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

import keras

# Doctests come from the modules of the running backend alone: the other's may not import here.
OTHERS = {"jax": "tensorflow", "tensorflow": "jax"}
collect_ignore_glob = [f"keras_aevb/_backend/{OTHERS[keras.backend.backend()]}*.py"]
