"""Settings before Keras is imported, and the collection of doctests."""

import ctypes
import gc
import inspect
import os
import sys
import types
from pathlib import Path

# Tests run a compiled program only a few times, so XLA skips its expensive passes, and TensorFlow
# does not optimize its graphs. `XLA_FLAGS= make test` compiles as users do.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

# Many tests compile the same programs. On JAX, workers, subprocesses of tests and later runs share
# a cache folder.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent / "build" / "compiled-by-tests")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Without tracebacks in programs, lowering takes less time.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

# On the tensorflow backend, TensorFlow would import JAX, which takes 80 MB.
if os.environ.get("KERAS_BACKEND") == "tensorflow":
    sys.modules.setdefault("jax", None)

import keras
import psutil
import pytest
from keras.src.saving import serialization_lib
from keras.src.utils import rng_utils

if sys.modules.get("jax", ...) is None:
    del sys.modules["jax"]


class TensorFlowIfLoaded:
    """TensorFlow for Keras' functions that otherwise import it on the jax backend: 500 MB."""

    @property
    def available(self):
        return "tensorflow" in sys.modules

    def __getattr__(self, name):
        return getattr(sys.modules["tensorflow"], name)


serialization_lib.tf = rng_utils.tf = TensorFlowIfLoaded()

if keras.backend.backend() == "tensorflow" and "disable_expensive" in os.environ["XLA_FLAGS"]:
    sys.modules["tensorflow"].config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )

# Doctests only of the running backend's modules, since those of the other may not import.
OTHERS = {"jax": "tensorflow", "tensorflow": "jax"}
# `conftest.py` files have no doctests, and as modules all would have one name.
collect_ignore_glob = [
    f"keras_aevb/_backend/{OTHERS[keras.backend.backend()]}*.py",
    "*/conftest.py",
]


# Memory of the process, in bytes, above which compiled programs are released. That takes half a
# second, and released programs are compiled again.
MEMORY_LIMIT = 1.25e9
_kept = [0]


def _has_grown():
    """Whether the process is large, and has grown by 100 MB since memory was last freed."""
    return psutil.Process().memory_info().rss > max(MEMORY_LIMIT, _kept[0] + 100e6)


def _free():
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()  # by now mostly imported modules, which later collections need not visit
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc keeps what was freed
    _kept[0] = psutil.Process().memory_info().rss


def _forget_gradients():
    """Removes TensorFlow's registered custom gradients, which keep the graphs of optimizer steps.

    TFP's stay, since its compiled functions, such as `tfp.math.lbeta`, need them again.
    """
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.framework import ops

        registered = ops.gradient_registry._registry
        for name, entry in [*registered.items()]:
            if name.startswith("CustomGradient-") and not _calls_tfp(entry["type"]):
                del registered[name]


def _calls_tfp(function):
    """Whether a function, or one in its closure, belongs to TFP."""
    closure = inspect.getclosurevars(function).nonlocals.values()
    return function.__module__.startswith("tensorflow_probability") or any(
        _calls_tfp(f) for f in closure if isinstance(f, types.FunctionType)
    )


@pytest.fixture(autouse=True)
def forget_programs():
    """Releases compiled programs of a process that has grown large."""
    yield
    if _has_grown():
        _free()


@pytest.fixture(scope="module", autouse=True)
def forget_models(request):
    """Releases the models that the tests of a file share, and Keras' state in a large process."""
    yield
    for shared in vars(request.module).values():
        if hasattr(shared, "cache_clear"):
            shared.cache_clear()
    _forget_gradients()
    if _has_grown():
        keras.backend.clear_session()
        _free()
