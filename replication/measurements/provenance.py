"""Provenance of a number: command, commit, versions, device."""

import datetime
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import socket
import subprocess
import sys
from pathlib import Path

from replication import environment

PACKAGES = ("keras", "jax", "tensorflow", "tensorflow-probability", "tfp-nightly", "numpy")

FOLDER_OPTIONS = ("--results", "--data-dir")


def session():
    """A dict that describes this process."""
    import keras

    return {
        "command": command(sys.argv[1:]),
        "commit": commit(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "backend": keras.backend.backend(),
        "device": ", ".join(keras.distribution.list_devices()),
        "machine": ", ".join([processor(), cores(), *gpus()]),
        "precision": environment.precision(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def origin():
    """A dict that identifies the source code, backend, versions and machine of a run."""
    description = session()
    names = ("backend", "device", "machine", "precision", "python", "versions")
    return {"source": source(), **{name: description[name] for name in names}}


def source():
    """A digest of the source code of both packages."""
    digest = hashlib.sha256()
    for package in ("keras_aevb", "replication"):
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def process():
    """The name of this process."""
    return f"process {os.getpid()} on {socket.gethostname()} ({command(sys.argv[1:])})"


def command(arguments):
    """The command line, without the paths of this machine, which do not affect the numbers."""
    kept, rest = [], iter(arguments)
    for argument in rest:
        if argument in FOLDER_OPTIONS:
            next(rest, None)
        elif not argument.startswith(tuple(f"{option}=" for option in FOLDER_OPTIONS)):
            kept.append(argument)
    return shlex.join(["python", "-m", "replication", *kept])


def versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit():
    """The commit of the source, "-dirty" if it was changed since, or `None` outside git."""
    git = ("git", "-C", str(Path(__file__).resolve().parents[2]))
    head = _output(*git, "rev-parse", "HEAD")
    # Changed results do not count as a change of the code.
    changes = _output(*git, "status", "--porcelain", "--", "keras_aevb", "replication")
    if head is None or changes is None:
        return None
    return head.strip() + ("-dirty" if changes else "")


def cores():
    """The machine's cores, and this process's share if it is limited."""
    count, used = os.cpu_count(), environment.cores()
    return f"{count} cores" if used == count else f"{used} of {count} cores"


def processor():
    """The processor's name, if the system provides it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def gpus():
    """The names of NVIDIA GPUs; an empty list without the driver."""
    return (_output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()


def _output(*command):
    """The output of a program; `None` if it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
