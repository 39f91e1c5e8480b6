"""The time of imports and of the command's help."""

import os
import subprocess
import sys
import time
from statistics import median

COMMANDS = {
    "import keras": ["-c", "import keras"],
    "import keras_aevb": ["-c", "import keras_aevb"],
    "python -m replication --help": ["-m", "replication", "--help"],
}


BACKENDS = ("jax", "tensorflow")


def rows(rounds, backends):
    """Median seconds of each command on each backend; every round runs all of them once."""
    cases = [(backend, name) for backend in backends for name in COMMANDS]
    seconds = {case: [] for case in cases}
    for _ in range(rounds):
        for backend, name in cases:
            environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, *COMMANDS[name]], env=environment, check=True, capture_output=True
            )
            seconds[backend, name].append(time.perf_counter() - start)
    return [
        {"backend": backend, "command": name, "seconds": round(median(values), 2)}
        for (backend, name), values in seconds.items()
    ]
