"""Runs peers in processes that take turns, so that other load on the machine affects all alike."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import click

FOLDER = Path(__file__).resolve().parent

# Lets the peers share a GPU's memory.
SHARED_MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}

PROGRAM = """
import importlib, resource, sys
sys.path[:0] = {paths!r}
from work import Work
train = getattr(importlib.import_module("peers.{module}"), "{function}")
for _ in train(Work(**{work!r}), **{options!r}):
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    if not sys.stdin.readline(): break
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Peer:
    """A program that trains on some work.

    Attributes:
        name: label in tables and figures.
        module: module in `peers/`.
        backend: Keras backend.
        function: generator in the module, which runs one step, then an epoch at each turn.
        options: arguments of the function.
        environment: name of the Python environment with the peer's packages, "" for this one.
    """

    name: str
    module: str
    backend: str = "jax"
    function: str = "epochs"
    options: dict = dataclasses.field(default_factory=dict)
    environment: str = ""


@dataclasses.dataclass(frozen=True)
class Result:
    """The measurements of a peer.

    Attributes:
        seconds: seconds of each epoch.
        first_step_seconds: seconds from the start of the process to the end of the first step.
        peak_mib: peak memory of the process.
    """

    seconds: list[float]
    first_step_seconds: float
    peak_mib: float


class Process:
    """A running peer, which trains one epoch on request."""

    def __init__(self, peer, work, environments):
        program = PROGRAM.format(
            paths=[str(FOLDER), str(FOLDER.parent)],
            module=peer.module,
            function=peer.function,
            work=dataclasses.asdict(work),
            options=peer.options,
        )
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [str(python_of(peer, environments)), "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **SHARED_MEMORY,
                "KERAS_BACKEND": peer.backend,
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )
        self.peer = peer
        self._wait()
        self.first_step_seconds = time.perf_counter() - start

    def epoch(self):
        """Trains one epoch and returns its seconds."""
        start = time.perf_counter()
        with contextlib.suppress(BrokenPipeError):  # the process ended; `_wait` raises
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self._wait()
        return time.perf_counter() - start

    def _wait(self):
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException(f"{self.peer.name} ended early; see its error above")
        self.peak_mib = int(line) / 1024

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def python_of(peer, environments):
    """The interpreter of a peer's environment."""
    if not peer.environment:
        return Path(sys.executable)
    return Path(environments) / peer.environment / "bin" / "python"


def measure(works, rounds, environments):
    """Measures peers that take turns, epoch by epoch.

    Args:
        works: dict from `Peer` to its `Work`.
        rounds: measured epochs of each peer, after one that is not measured.
        environments: folder of the peers' Python environments.

    Returns:
        Dict from the peers to their `Result`.
    """
    processes = {}
    try:
        for peer, work in works.items():
            processes[peer] = Process(peer, work, environments)
            processes[peer].epoch()
        seconds = {peer: [] for peer in processes}
        order = list(processes)
        for _ in range(rounds):
            for peer in order:
                seconds[peer].append(processes[peer].epoch())
            order.reverse()  # no peer always comes first while the machine gets slower
        return {
            peer: Result(seconds[peer], process.first_step_seconds, process.peak_mib)
            for peer, process in processes.items()
        }
    finally:
        for process in processes.values():
            process.close()


def ratios(result, baseline, samples=1.0):
    """The speed of a program in each round, as a multiple of the baseline's.

    Args:
        result: `Result`.
        baseline: `Result` of a peer that took turns with it.
        samples: samples of an epoch, as a multiple of the baseline's.
    """
    return [samples * b / a for a, b in zip(result.seconds, baseline.seconds)]
