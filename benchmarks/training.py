"""Training speed of one model in this library and in others."""

from statistics import median

from harness import Peer, measure, quartiles, ratios
from work import Work

SCAN = Peer("JAX scan, by hand", "jax_scan")
LATEST_SCAN = Peer("latest JAX: scan, by hand", "jax_scan", environment="jax-latest")
TORCH = {"environment": "torch"}
PYTORCH = Peer("PyTorch, eager", "pytorch", options={"fused": None}, **TORCH)
FUSED_PYTORCH = Peer("PyTorch, eager, fused Adagrad", "pytorch", **TORCH)
SCANNED = {"steps_per_execution": 100}
LATEST = {"environment": "jax-latest"}
PEERS = (
    SCAN,
    Peer("ours, jax, steps_per_execution=100", "ours", options=SCANNED),
    Peer("ours, jax, as compiled by default", "ours"),
    Peer("our model under Keras' own fit, jax", "ours", function="keras_epochs"),
    Peer("ours, jax, 3 replicas", "ours", function="replica_epochs", options=SCANNED),
    LATEST_SCAN,
    Peer("latest JAX: ours, steps_per_execution=100", "ours", options=SCANNED, **LATEST),
    Peer(
        "latest JAX: ours, 3 replicas",
        "ours",
        function="replica_epochs",
        options=SCANNED,
        **LATEST,
    ),
    Peer(
        "ours, tensorflow, jit_compile, steps_per_execution=100",
        "ours",
        backend="tensorflow",
        options={**SCANNED, "jit_compile": True},
    ),
    Peer("ours, tensorflow, as compiled by default", "ours", backend="tensorflow"),
    Peer(
        "our model under Keras' own fit, tensorflow, jit_compile",
        "ours",
        backend="tensorflow",
        function="keras_epochs",
        options={"jit_compile": True},
    ),
    Peer("TensorFlow loop, by hand", "tensorflow_loop", backend="tensorflow"),
    PYTORCH,
    FUSED_PYTORCH,
    Peer("PyTorch, compiled, fused Adagrad", "pytorch", options={"compiled": True}, **TORCH),
    Peer("pyautoencoder", "pyautoencoder_loop", **TORCH),
    Peer("pythae", "pythae_trainer", **TORCH),
    Peer("TensorFlow Probability's example", "tfp_example", backend="tensorflow"),
    Peer("NumPyro's example", "numpyro_example", environment="numpyro"),
)
MATMULS = (
    Peer("matrix products, 2048 × 2048", "matmul"),
    Peer("matrix products, the model's shapes", "matmul", options={"shape": "model"}),
)
# The baselines of the relative rates.
BASELINES = {
    "relative_to_square_products": MATMULS[0],
    "relative_to_products": MATMULS[1],
    "relative_to_scan": SCAN,
    "relative_to_latest_scan": LATEST_SCAN,
    "relative_to_pytorch": PYTORCH,
    "relative_to_fused_pytorch": FUSED_PYTORCH,
}
WITH_QUARTILES = (
    "relative_to_scan",
    "relative_to_latest_scan",
    "relative_to_pytorch",
    "relative_to_fused_pytorch",
)


def rows(rounds, examples, environments, chosen):
    """A row for each peer; the matrix products show the machine's rate at the same time.

    Args:
        rounds: epochs measured.
        examples: examples in an epoch.
        environments: folder of the peers' Python environments.
        chosen: predicate of the peers to measure.
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
    row = {
        "peer": peer.name,
        "samples_per_second": round(rate),
        "gflop_per_second": round(rate * work.flop_per_sample / 1e9, 1),
    }
    for name, baseline in BASELINES.items():
        if baseline in results:
            speeds = ratios(result, results[baseline], work.replicas)
            row[name] = round(median(speeds), 3)
            if name in WITH_QUARTILES:
                row[f"{name}_quartiles"] = quartiles(speeds)
    return {
        **row,
        "first_step_seconds": round(result.first_step_seconds, 1),
        "peak_mib": round(result.peak_mib),
    }
