"""The speed of training models other than the paper's."""

from harness import Peer, against_the_best, measure
from work import Counts, Images, Work

TORCH = {"environment": "torch"}
LATEST = {"environment": "jax-latest"}
WEIGHTED = {"importance_weighted": True}


def ours(name, module, function, steps, **settings):
    """Our program on both backends, with `steps` steps in each call."""
    options = {"steps_per_execution": steps}
    xla = {**options, "jit_compile": True}
    common = {"module": module, "function": function}
    return (
        Peer(f"{name}: ours, jax", options=options, **common),
        Peer(f"{name}: ours, latest jax", options=options, **common, **LATEST),
        Peer(f"{name}: ours, tensorflow", backend="tensorflow", options=options, **common),
        Peer(f"{name}: ours, tensorflow, XLA", backend="tensorflow", options=xla, **common),
    )


# Groups of programs that take turns, with their work.
GROUPS = {
    "64 × 64 images": (
        Images(),
        (
            *ours("images", "images_ours", "epochs", 10),
            Peer("images: JAX, by hand", "images_jax"),
            Peer("images: latest JAX, by hand", "images_jax", **LATEST),
            Peer("images: PyTorch, eager", "images_pytorch", **TORCH),
            Peer(
                "images: PyTorch, eager, channels last",
                "images_pytorch",
                options={"channels_last": True},
                **TORCH,
            ),
            Peer(
                "images: PyTorch, compiled", "images_pytorch", options={"compiled": True}, **TORCH
            ),
        ),
    ),
    "importance-weighted bound, 50 samples": (
        Work(examples=1000, num_samples=50),
        (
            *ours("50 samples", "ours", "importance_weighted_epochs", 10),
            Peer("50 samples: JAX scan, by hand", "jax_scan", options=WEIGHTED),
            Peer("50 samples: latest JAX scan, by hand", "jax_scan", options=WEIGHTED, **LATEST),
            Peer("50 samples: PyTorch, eager", "pytorch", options=WEIGHTED, **TORCH),
            Peer(
                "50 samples: PyTorch, compiled",
                "pytorch",
                options={**WEIGHTED, "compiled": True},
                **TORCH,
            ),
        ),
    ),
    "2000 genes": (
        Counts(),
        (
            *ours("genes", "counts_ours", "epochs", 20),
            Peer("genes: scvi-tools", "counts_scvi", environment="scvi"),
        ),
    ),
}


def rows(rounds, examples, environments, chosen):
    """A row for each program, relative to the fastest one for the same model that is not ours.

    Args:
        rounds: epochs measured.
        examples: ignored: epochs of these models have lengths of their own.
        environments: folder of the peers' Python environments.
        chosen: predicate of the peers to measure.
    """
    table = []
    for work, peers in GROUPS.values():
        works = {peer: work for peer in peers if chosen(peer)}
        if works:
            table += against_the_best(
                measure(works, rounds, environments, one_core=True), work.examples
            )
    return table
