"""Runs peers in processes that take turns, so that other load on the machine affects all alike."""

import contextlib
import dataclasses
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

FOLDER = Path(__file__).resolve().parent

# Lets the peers share a GPU's memory.
SHARED_MEMORY = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}

PROGRAM = """
import importlib, os, resource, sys, time
if {one_core!r}:
    os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
sys.path[:0] = {paths!r}
from work import {kind}
train = getattr(importlib.import_module("peers.{module}"), "{function}")
for _ in train({kind}(**{work!r}), **{options!r}):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak, time.process_time(), flush=True)
    if not sys.stdin.readline(): break
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Peer:
    """A program that does some work of `work.py`.

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

    def __init__(self, peer, work, environments, one_core=False):
        self.one_core = one_core
        program = PROGRAM.format(
            one_core=one_core,
            paths=[str(FOLDER), str(FOLDER.parent)],
            module=peer.module,
            function=peer.function,
            kind=type(work).__name__,
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
        """Trains one epoch and returns its seconds; on one core, those of the processor."""
        start, processor_start = time.perf_counter(), self.processor_seconds
        with contextlib.suppress(BrokenPipeError):  # the process ended; `_wait` raises
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self._wait()
        if self.one_core:
            return self.processor_seconds - processor_start
        return time.perf_counter() - start

    def _wait(self):
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException(f"{self.peer.name} ended early; see its error above")
        peak, self.processor_seconds = map(float, line.split())
        self.peak_mib = peak / 1024

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


def python_of(peer, environments):
    """The interpreter of a peer's environment."""
    if not peer.environment:
        return Path(sys.executable)
    return Path(environments) / peer.environment / "bin" / "python"


def measure(works, rounds, environments, one_core=False):
    """Measures peers that take turns, epoch by epoch.

    Args:
        works: dict from `Peer` to its `Work`.
        rounds: measured epochs of each peer, after one that is not measured.
        environments: folder of the peers' Python environments.
        one_core: whether to run all on one core and to measure the processor's time, to which other
            load on the machine adds little.

    Returns:
        Dict from the peers to their `Result`.
    """
    processes = {}
    try:
        for peer, work in works.items():
            processes[peer] = Process(peer, work, environments, one_core)
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


def is_ours(peer):
    return "ours" in peer.name


def against_the_best(results, samples):
    """A row for each program, relative to the fastest one that is not ours.

    Speeds are those of each program's fastest epoch, which other load on the machine affects least;
    the quartiles of the ratio are over rounds.

    Args:
        results: dict from `Peer` to `Result`, of programs that took turns.
        samples: examples of an epoch.
    """
    others = [peer for peer in results if not is_ours(peer)] or list(results)
    best = results[min(others, key=lambda peer: min(results[peer].seconds))]
    return [
        {
            "program": peer.name,
            "samples_per_second": round(samples / min(result.seconds)),
            "of_best_other": round(min(best.seconds) / min(result.seconds), 2),
            "quartiles_of_rounds": quartiles(ratios(result, best)),
            "first_step_seconds": round(result.first_step_seconds, 1),
            "peak_mib": round(result.peak_mib),
        }
        for peer, result in results.items()
    ]


def quartiles(values):
    """The first and the third quartile, as text."""
    low, _, high = statistics.quantiles(values, method="inclusive")
    return f"{low:.2f}–{high:.2f}"
