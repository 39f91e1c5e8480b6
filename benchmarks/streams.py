"""The speed of `fit` from streams, relative to arrays that stay on the device."""

from statistics import median

from harness import Peer, measure, quartiles, ratios
from work import Work

SOURCES = (
    "arrays",
    "memory-mapped array",
    "tf.data",
    "PyDataset",
    "PyDataset, 2 workers",
    "generator",
)
BACKENDS = {"jax": {}, "tensorflow": {"jit_compile": True}}


def rows(rounds, examples, environments, chosen):
    """A row for each backend and source.

    Args:
        rounds: epochs measured.
        examples: examples in an epoch.
        environments: folder of the peers' Python environments.
        chosen: predicate of the peers to measure.
    """
    table = []
    work = Work(examples=examples)
    for backend, options in BACKENDS.items():
        options = {"steps_per_execution": 10, **options}
        peers = {
            source: Peer(
                f"{backend}: {source}", "streams", backend, options={**options, "source": source}
            )
            for source in SOURCES
        }
        works = {p: work for source, p in peers.items() if source == "arrays" or chosen(p)}
        results = measure(works, rounds, environments, one_core=True)
        arrays = results[peers["arrays"]]
        for peer, result in results.items():
            relative = ratios(result, arrays)
            table.append(
                {
                    "backend": backend,
                    "source": peer.options["source"],
                    "samples_per_second": round(work.samples / min(result.seconds)),
                    "relative_to_arrays": round(min(arrays.seconds) / min(result.seconds), 2),
                    "relative_to_arrays_median": round(median(relative), 2),
                    "relative_to_arrays_quartiles": quartiles(relative),
                    "peak_mib": round(result.peak_mib),
                }
            )
    return table
