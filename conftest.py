"""Doctests come from the modules of the running backend alone: the other's may not import here."""

import keras

OTHERS = {"jax": "tensorflow", "tensorflow": "jax"}
collect_ignore_glob = [f"keras_aevb/_backend/{OTHERS[keras.backend.backend()]}*.py"]
