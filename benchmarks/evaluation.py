"""The speed of evaluating the bound and log p(x)."""

import dataclasses

from harness import Peer, against_the_best, measure
from work import Work

# The work of each estimate; App. D uses figure 3's model.
WORKS = {
    "elbo": Work(examples=1000, batch_size=500, num_samples=10),
    "importance": Work(examples=10, batch_size=10, num_samples=5000),
    "density": Work(examples=100, batch_size=100, hidden_units=100, latent_dim=3, num_samples=50),
}
NAMES = {
    "elbo": "bound, 10 samples",
    "importance": "importance sampling, 5000 samples",
    "density": "App. D, 50 samples",
}
PEERS = (
    Peer("ours, jax", "evaluation_ours"),
    Peer("ours, latest jax", "evaluation_ours", environment="jax-latest"),
    Peer("ours, tensorflow", "evaluation_ours", "tensorflow"),
    Peer("ours, tensorflow, XLA", "evaluation_ours", "tensorflow", options={"jit_compile": True}),
    Peer("JAX, by hand", "evaluation_jax"),
    Peer("latest JAX, by hand", "evaluation_jax", environment="jax-latest"),
    Peer("NumPyro", "evaluation_numpyro", environment="numpyro"),
)


def rows(rounds, examples, environments, chosen):
    """A row for each quantity and program, relative to the fastest one that is not ours.

    Args:
        rounds: evaluations measured.
        examples: ignored, since `WORKS` has the number for each quantity.
        environments: folder of the peers' Python environments.
        chosen: predicate of the peers to measure.
    """
    table = []
    for method, work in WORKS.items():
        peers = [
            dataclasses.replace(
                peer,
                name=f"{NAMES[method]}: {peer.name}",
                options={**peer.options, "method": method},
            )
            for peer in PEERS
        ]
        works = {peer: work for peer in peers if chosen(peer)}
        if works:
            results = measure(works, rounds, environments, one_core=True)
            table += against_the_best(results, work.examples)
    return table
