"""Measures the cost of a training sample for different sizes, on the jax backend."""

import dataclasses
from statistics import median

from harness import Peer, measure, ratios
from work import Work

OURS = Peer("ours", "ours", options={"steps_per_execution": 100})
REPLICAS = Peer("replicas", "ours", function="replica_epochs", options=OURS.options)
AXES = {
    "latent_dim": (3, 20, 50, 100, 200),
    "num_samples": (1, 2, 5, 10),
    "batch_size": (10, 32, 100, 320, 1000),
    "replicas": (1, 2, 3, 6, 9),
}


def rows(rounds, examples, environments):
    """A row for each value, with the time of a sample relative to the paper's setting.

    The values of one axis take turns. Every model trains on the same number of samples.
    """
    table = []
    for axis, values in AXES.items():
        peer = REPLICAS if axis == "replicas" else OURS
        works = {
            dataclasses.replace(peer, name=f"{axis}={value}"): _work(axis, value, examples)
            for value in values
        }
        results = measure(works, rounds, environments)
        base_value = getattr(Work(), axis)
        base = next(p for p, w in works.items() if getattr(w, axis) == base_value)
        for (peer, work), value in zip(works.items(), values):
            share = works[base].samples / work.samples
            speed = median(ratios(results[peer], results[base]))
            table.append(
                {
                    "axis": axis,
                    "value": value,
                    "samples_per_second": round(work.samples / median(results[peer].seconds)),
                    "relative_time_per_sample": round(share / speed, 3),
                    "relative_flop_per_sample": round(
                        work.flop_per_sample / works[base].flop_per_sample, 3
                    ),
                    "first_step_seconds": round(results[peer].first_step_seconds, 1),
                    "peak_mib": round(results[peer].peak_mib),
                }
            )
    return table


def _work(axis, value, examples):
    return dataclasses.replace(Work(examples=examples), **{axis: value})
