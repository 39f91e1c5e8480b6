"""The parts of a training step, measured separately, in milliseconds."""

from statistics import median

from harness import Peer, measure
from work import Work

PARTS = (
    ("its products at the rate of 2048 × 2048 matrices", "matmul", {}),
    ("its products", "matmul", {"shape": "model"}),
    ("Adagrad's memory traffic", "adagrad", {"roots": False}),
    ("Adagrad", "adagrad", {}),
    ("a step of the scan by hand", "jax_scan", {}),
    ("a step of `fit`", "ours", {"steps_per_execution": 100}),
)
ENVIRONMENTS = {"JAX 0.6": "", "latest JAX": "jax-latest"}


def rows(rounds, examples, environments, chosen):
    """A row for each part, with a column for each version of JAX; the parts take turns.

    Args:
        rounds: times that each part is measured.
        examples: number of examples to train on in each measurement.
        environments: folder of the peers' Python environments.
        chosen: function from a peer to whether to measure it.
    """
    peers = {
        (name, version): Peer(f"{version}: {name}", module, options=options, environment=folder)
        for version, folder in ENVIRONMENTS.items()
        for name, module, options in PARTS
    }
    work = Work(examples=examples)
    results = measure({p: work for p in peers.values() if chosen(p)}, rounds, environments)
    steps = examples / work.batch_size
    milliseconds = {p: round(1e3 * median(r.seconds) / steps, 2) for p, r in results.items()}
    return [
        {"part": name}
        | {
            f"milliseconds, {version}": milliseconds[peers[name, version]]
            for version in ENVIRONMENTS
            if peers[name, version] in milliseconds
        }
        for name, _, _ in PARTS
    ]
