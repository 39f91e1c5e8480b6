"""What all tests share before Keras is loaded, and which doctests there are."""

import ctypes
import gc
import os
import sys
import tempfile

# A test compiles a program and runs it a few times, so XLA compiles quickly rather than well.
# `XLA_FLAGS= make test` compiles as for users.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

# Many tests compile what another has compiled: on JAX, workers and the programs that tests start
# find it in one folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _programs = tempfile.TemporaryDirectory(prefix="compiled-by-tests-")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _programs.name)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import keras
import pytest

# Doctests come from the modules of the running backend alone: the other's may not import here.
OTHERS = {"jax": "tensorflow", "tensorflow": "jax"}
collect_ignore_glob = [f"keras_aevb/_backend/{OTHERS[keras.backend.backend()]}*.py"]


@pytest.fixture(scope="module", autouse=True)
def forget_programs(request):
    """Lets go of what a file has compiled and of the models that its tests share."""
    yield
    for shared in vars(request.module).values():
        if hasattr(shared, "cache_clear"):
            shared.cache_clear()
    keras.backend.clear_session()
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc keeps what was freed
