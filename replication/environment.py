"""Environment variables that are set before a backend is imported."""

import os

# Threads of the backends' pools, each of one thread for each core where nothing is said.
THREADS = ("PJRT_NPROC", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def prepare():
    """Sets what every process that trains needs, where the user has not."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Runs that differ in seed or step size alone share their programs, now and after a restart.
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(cache, "keras-aevb", "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def share(cores):
    """Limits this process to so many threads at work, and to the GPU memory that it uses."""
    for name in THREADS:
        os.environ.setdefault(name, str(cores))
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def cores():
    """The cores that this process may use."""
    limits = [int(os.environ[name]) for name in THREADS[:2] if name in os.environ]
    return min([available_cores(), *limits])


def available_cores():
    """The cores that the system lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
