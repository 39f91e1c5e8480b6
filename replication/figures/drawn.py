"""Which models a picture shows: a record beside it, and the table of a figure's records."""

import dataclasses
import json

from replication import atomic, provenance
from replication.figures.tables import NAMES, count, markdown
from replication.read_back import read_json
from replication.shapes import known, positive, text, whole

SHAPE = {
    "pictures": [text],
    "runs": [
        {
            "id": text,
            "samples": positive,
            "experiment": {
                "dataset": known(NAMES),
                "latent_dim": whole,
                "step_size": positive,
                "seed": whole,
            },
        }
    ],
}

INTRODUCTION = """\
## The models

Trained by AEVB; their weights are not kept with the results. The settings of the drawing are in
the `.json` beside the pictures.
"""


def record(folder, name, seen, **settings):
    """Writes `<name>.json`, by which pictures can be matched with their runs.

    Args:
        folder: the figure's folder.
        name: of the record: the data set's.
        seen: list of pairs of an `Experiment` and the training samples that its model has seen.
        settings: what the pictures were drawn with; `pictures` is the list of their names.

    Returns:
        Path of the record.
    """
    runs = [{"id": e.id, "samples": n, "experiment": dataclasses.asdict(e)} for e, n in seen]
    path = folder / f"{name}.json"
    content = {**settings, "runs": runs, "session": provenance.session()}
    atomic.write(path, json.dumps(content, indent=1) + "\n")
    return path


def read(folder):
    """The folder's records, in the data sets' usual order.

    Raises:
        DamagedFileError: if one is not what `record` wrote.
    """
    way_out = f"Bring it back, or delete it and draw its pictures again by `{folder.name}`"
    paths = [folder / f"{name}.json" for name in NAMES]
    return [read_json(path, SHAPE, way_out) for path in paths if path.exists()]


def runs_table(records):
    """A Markdown section with a row for each model."""
    header = ["data set", "run", "N_z", "training samples", "step size", "seed"]
    runs = [(run, run["experiment"]) for record in records for run in record["runs"]]
    rows = [
        [
            NAMES[e["dataset"]],
            f"[{run['id']}](../runs/{run['id']}/run.json)",
            str(e["latent_dim"]),
            count(run["samples"]),
            f"{e['step_size']:g}",
            str(e["seed"]),
        ]
        for run, e in runs
    ]
    return f"{INTRODUCTION}\n{markdown(header, rows, left=2)}"


def side_by_side(names, cells):
    """A Markdown table of one row."""
    return markdown(names, [cells], left=len(names))
