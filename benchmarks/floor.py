"""The parts of a training step, measured separately, in milliseconds."""

from statistics import median

from harness import Peer, measure
from work import Work

PARTS = (
    ("matrix products, at the speed of 2048 × 2048 matrices", "matmul", {}),
    ("matrix products, at the model's shapes", "matmul", {"shape": "model"}),
    ("Adagrad, memory traffic only", "adagrad", {"roots": False}),
    ("Adagrad", "adagrad", {}),
    ("whole step, hand-written scan", "jax_scan", {}),
    ("whole step, `fit`", "ours", {"steps_per_execution": 100}),
)
ENVIRONMENTS = {"JAX 0.6": "", "latest JAX": "jax-latest"}


def rows(rounds, examples, environments, chosen):
    """A row for each part, with a column for each version of JAX; the parts take turns.

    Args:
        rounds: times that each part is measured.
        examples: number of examples to train on in each measurement.
        environments: folder of the peers' Python environments.
        chosen: predicate of the peers to measure.
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
