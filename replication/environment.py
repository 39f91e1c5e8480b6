"""Environment variables that are set before a backend is imported."""

import json
import os

# The backends' thread pools, which have a thread per core by default.
THREADS = ("PJRT_NPROC", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
PRECISION = "JAX_DEFAULT_MATMUL_PRECISION"


def set_defaults():
    """Sets the variables that training needs, unless the user has set them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Runs that differ only in seed or step size share their programs, even after a restart.
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(cache, "keras-aevb", "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    # Multiply in float32: a GPU's default is TF32, with a mantissa of 10 bits.
    os.environ.setdefault(PRECISION, "highest")
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # TensorFlow


def backend():
    """The Keras backend: KERAS_BACKEND, else the one in Keras' configuration, else TensorFlow."""
    folder = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    try:
        with open(os.path.join(folder, "keras.json"), encoding="utf-8") as file:
            configured = json.load(file).get("backend")
    except (OSError, ValueError):  # Keras ignores such a file too
        configured = None
    return os.environ.get("KERAS_BACKEND") or configured or "tensorflow"


def precision():
    """The precision of JAX's products of float32 matrices."""
    return os.environ.get(PRECISION, "default")


def limit_resources(cores):
    """Limits this process to `cores` threads, and makes it allocate GPU memory on demand."""
    for name in THREADS:
        os.environ.setdefault(name, str(cores))
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def cores():
    """The number of cores that this process uses."""
    limits = (int(os.environ.get(name) or 0) for name in THREADS[:2])
    return min([available_cores(), *filter(None, limits)])  # 0 is TensorFlow's default


def available_cores():
    """The number of cores that the system gives this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
