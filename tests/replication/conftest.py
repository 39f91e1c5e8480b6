"""Tests of files, locks and commands run on one backend: what they test asks for none."""

import keras

ONE_BACKEND = ["test_atomic.py", "test_bad_commands.py", "test_lock.py", "test_surroundings.py"]
collect_ignore = [] if keras.backend.backend() == "jax" else ONE_BACKEND
