"""The same training, by ours and by others."""

from statistics import median

from harness import Peer, measure, ratio
from work import Work

SCAN = Peer("JAX scan, by hand", "jax_scan")
SCANNED = {"steps_per_execution": 100}
PEERS = (
    SCAN,
    Peer("ours, jax, steps_per_execution=100", "ours", options=SCANNED),
    Peer("ours, jax, as compiled by default", "ours"),
    Peer("ours, jax, 3 replicas", "ours", function="replica_epochs", options=SCANNED),
    Peer(
        "ours, tensorflow, jit_compile, steps_per_execution=100",
        "ours",
        backend="tensorflow",
        options={**SCANNED, "jit_compile": True},
    ),
    Peer("ours, tensorflow, as compiled by default", "ours", backend="tensorflow"),
    Peer("PyTorch, eager, fused Adagrad", "pytorch", environment="torch"),
    Peer(
        "PyTorch, eager, Adagrad by default",
        "pytorch",
        options={"fused": None},
        environment="torch",
    ),
    Peer(
        "PyTorch, compiled, fused Adagrad",
        "pytorch",
        options={"compiled": True},
        environment="torch",
    ),
    Peer("pyautoencoder", "pyautoencoder_loop", environment="torch"),
    Peer("pythae", "pythae_trainer", environment="torch"),
    Peer("TensorFlow Probability's example", "tfp_example", backend="tensorflow"),
    Peer("NumPyro's example", "numpyro_example", environment="numpyro"),
)
MATMULS = (
    Peer("matrix products, 2048 × 2048", "matmul"),
    Peer("matrix products, the model's shapes", "matmul", options={"shape": "model"}),
)


def rows(rounds, examples, environments, chosen):
    """A row for each peer; the matrix products are the machine's rate at the same time.

    Args:
        rounds: epochs measured.
        examples: in an epoch.
        environments: folder of the peers' Python environments.
        chosen: function that says of a peer whether it takes part.
    """
    works = {
        peer: Work(examples=examples, replicas=3 if peer.function == "replica_epochs" else 1)
        for peer in (*MATMULS, *PEERS)
        if peer in (*MATMULS, SCAN) or chosen(peer)
    }
    results = measure(works, rounds, environments)
    return [_row(peer, works[peer], result, results) for peer, result in results.items()]


def _row(peer, work, result, results):
    rate = work.samples / median(result.seconds)
    baselines = {peer: results[peer] for peer in (*MATMULS, SCAN)}
    ratios = [ratio(result, baseline, work.replicas) for baseline in baselines.values()]
    return {
        "peer": peer.name,
        "samples_per_second": round(rate),
        "gflop_per_second": round(rate * work.flop_per_sample / 1e9, 1),
        "of_square_products": round(ratios[0], 3),
        "of_products": round(ratios[1], 3),
        "of_scan": round(ratios[2], 3),
        "first_step_seconds": round(result.first_step_seconds, 1),
        "peak_mib": round(result.peak_mib),
    }
