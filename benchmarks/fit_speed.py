"""Samples per second of `fit` against a hand-written JAX scan loop.

    python benchmarks/fit_speed.py

Every peer runs in a process of its own; the processes take turns epoch by epoch, so that the
machine's other load falls on all of them alike. Compare the ratios, not single numbers: each is
the median over rounds of the peer's rate divided by the scan loop's rate in the same round.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median

import click

FOLDER = Path(__file__).resolve().parent

# name: (Keras backend, expression that makes the peer)
PEERS = {
    "jax scan, by hand": ("jax", "peers.jax_scan({n})"),
    "fit, jax": ("jax", "peers.keras_fit({n})"),
    "fit, tensorflow": ("tensorflow", "peers.keras_fit({n})"),
    "fit, tensorflow, jit_compile, steps_per_execution=100": (
        "tensorflow",
        "peers.keras_fit({n}, jit_compile=True, steps_per_execution=100)",
    ),
}
BASELINE = "jax scan, by hand"

PROGRAM = """
import sys; sys.path[:0] = [{folder!r}, {root!r}]
import peers
for rate in {peer}:
    print(rate, flush=True)
    if not sys.stdin.readline(): break
"""


class Peer:
    """A process that trains one epoch each time it is asked to."""

    def __init__(self, backend, peer):
        program = PROGRAM.format(folder=str(FOLDER), root=str(FOLDER.parent), peer=peer)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.rate()

    def rate(self):
        """Samples per second of the epoch that has just ended."""
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException("A peer ended early; its error stands above.")
        return float(line)

    def next_rate(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.rate()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, help="Epochs measured for each peer.")
@click.option("--examples", default=20_000, show_default=True, help="Examples per epoch.")
@click.option("--output", type=click.Path(), help="JSON file for the result.")
def main(rounds, examples, output):
    peers = {n: Peer(b, p.format(n=examples)) for n, (b, p) in PEERS.items()}
    rates = {name: [] for name in peers}
    for _ in range(rounds):
        for name, peer in peers.items():
            rates[name].append(peer.next_rate())
    for peer in peers.values():
        peer.close()
    rows = {
        name: {
            "samples_per_second": round(median(values)),
            "ratio": round(median(v / b for v, b in zip(values, rates[BASELINE])), 3),
        }
        for name, values in rates.items()
    }
    click.echo(f"{platform.machine()}, {os.cpu_count()} cores; {rounds} rounds of {examples}")
    for name, row in rows.items():
        click.echo(f"{name:56} {row['samples_per_second']:>8} samples/s {row['ratio']:>7.2f} x")
    if output:
        Path(output).write_text(json.dumps({"cores": os.cpu_count(), "peers": rows}, indent=1))


if __name__ == "__main__":
    main()
