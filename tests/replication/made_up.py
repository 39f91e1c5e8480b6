"""Run folders made up for the tests of figures, and their tables."""

import csv
import dataclasses
import json

from replication.records import Point, write_atomically, write_points


def write_run(results, experiment, metrics):
    """A run folder from {samples: metrics}."""
    folder = results / "runs" / experiment.id
    folder.mkdir(parents=True)
    write_atomically(
        folder / "run.json", json.dumps({"experiment": dataclasses.asdict(experiment)})
    )
    write_points(folder, [Point(s, values, s / 1e4) for s, values in metrics.items()])


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
