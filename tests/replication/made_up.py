"""Synthetic run folders for the tests of figures, and their tables."""

import csv
import dataclasses
import json

from replication.measurements.records import write_metrics

SESSION = {
    "command": "python -m replication figure2",
    "commit": "0123456789abcdef",
    "started": "2026-01-01T00:00:00+00:00",
    "backend": "jax",
    "device": "cpu:0",
    "machine": "Abacus, 2 cores",
    "python": "3.11.7",
    "versions": {"keras": "3.15.1", "jax": "0.6.2"},
    "samples_from": 0,
}


def write_run(results, experiment, metrics, seconds=None, **session):
    """Writes a run folder from {samples: metrics}; other metrics are 0.

    `seconds` is {samples: seconds}; `session` has further entries of the run's only session.
    """
    folder = results / "runs" / experiment.id
    folder.mkdir(parents=True)
    info = {
        "id": experiment.id,
        "experiment": dataclasses.asdict(experiment),
        "status": "running",
        "samples": max(metrics),
        "sessions": [{**SESSION, "samples_to": max(metrics), **session}],
    }
    (folder / "run.json").write_text(json.dumps(info))
    rest = dict.fromkeys(experiment.measured, 0.0)
    clock = seconds or {s: s / 1e4 for s in metrics}
    rows = [{"samples": s, **rest, **m, "seconds": clock[s]} for s, m in metrics.items()]
    write_metrics(folder, rows)


def numbers(run):
    """All measurements of a run except times."""
    return [{n: value for n, value in row.items() if n != "seconds"} for row in run.rows]


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
