"""What figures 4 and 5 share: images side by side, and a record of the models that made them."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd

from replication.figures.text import NAMES, count, markdown
from replication.measurements import files, provenance
from replication.measurements.shapes import known, positive, text, whole

DPI = 120
# In pixels: around and between the panels, and above them for a line of text.
MARGIN, TITLE = 16, 36

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


def draw_mosaics(panels, height, path):
    """Writes mosaics beside each other, black for 0 and white for 1.

    Args:
        panels: dict from a title to an array of shape `[H, W]` in [0, 1], all of one height.
        height: of the panels in the picture, in pixels; it is met to whole multiples of H.
        path: file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scaled = [_grey(values, max(1, round(height / len(values)))) for values in panels.values()]
    tall = TITLE + len(scaled[0]) + MARGIN
    wide = sum(pixels.shape[1] + MARGIN for pixels in scaled) + MARGIN
    figure = Figure(figsize=(wide / DPI, tall / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    left = MARGIN
    for title, pixels in zip(panels, scaled):
        figure.figimage(pixels, left, MARGIN)
        middle = (left + pixels.shape[1] / 2) / wide
        figure.text(middle, 1 - TITLE / 2 / tall, title, ha="center", va="center")
        left += pixels.shape[1] + MARGIN
    write_png(figure, path)


def write_png(figure, path):
    """Writes a Matplotlib figure as PNG, without the version that drew it."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    files.write(path, file.getvalue())


def write_record(folder, name, models, **settings):
    """Writes `<name>.json`, by which pictures can be matched with their runs.

    Args:
        folder: the figure's folder.
        name: of the record: the data set's.
        models: list of pairs of an `Experiment` and the training samples that its model has seen.
        settings: what the pictures were drawn with; `pictures` is the list of their names.

    Returns:
        Path of the record.
    """
    runs = [{"id": e.id, "samples": n, "experiment": dataclasses.asdict(e)} for e, n in models]
    path = folder / f"{name}.json"
    content = {**settings, "runs": runs, "session": provenance.session()}
    files.write(path, json.dumps(content, indent=1) + "\n")
    return path


def read_records(folder):
    """The folder's records by the names of their data sets, in the usual order.

    Raises:
        DamagedFileError: if one is not what `write_record` wrote.
    """
    way_out = f"Bring it back, or delete it and draw its pictures again by `{folder.name}`"
    paths = [folder / f"{name}.json" for name in NAMES]
    records = [files.read_json(path, SHAPE, way_out) for path in paths if path.exists()]
    return {NAMES[r["runs"][0]["experiment"]["dataset"]]: r for r in records}


def models_section(records):
    """A Markdown section with a row for each model."""
    rows = [
        {
            "data set": NAMES[run["experiment"]["dataset"]],
            "run": f"[{run['id']}](../runs/{run['id']}/run.json)",
            "N_z": str(run["experiment"]["latent_dim"]),
            "training samples": count(run["samples"]),
            "step size": f"{run['experiment']['step_size']:g}",
            "seed": str(run["experiment"]["seed"]),
        }
        for record in records.values()
        for run in record["runs"]
    ]
    return f"{INTRODUCTION}\n{markdown(pd.DataFrame(rows), left=2)}"


def _grey(values, scale):
    """Values in [0, 1] as squares of pixels, uint8 of shape `[scale * H, scale * W, 3]`."""
    shades = np.rint(255 * values).astype("uint8")
    return np.kron(shades[..., None], np.ones((scale, scale, 3), "uint8"))
