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
ORDER = ("frey", "mnist", "digits")  # from left to right, as in the paper
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


def write_mosaic(values, path):
    """Writes a mosaic as a grey picture, a pixel for each of its own.

    Args:
        values: array of shape `[H, W]` in [0, 1].
        path: PNG file to write.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.rint(255 * values).astype("uint8")).save(file, format="PNG")
    files.write(path, file.getvalue())


def read_mosaic(path):
    """What `write_mosaic` wrote: array of shape `[H, W]`, uint8.

    Raises:
        DamagedFileError: if the file is lost or is no picture.
    """
    from PIL import Image

    way_out = f"Bring it back, or draw it again by `{path.parent.name}`"
    with files.reading(path, "a picture", way_out), Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def draw_mosaics(blocks, height, path):
    """Writes mosaics side by side, black for 0 and white for 255.

    Args:
        blocks: dict from a title to the mosaics below it, a dict from a title, which may be empty,
            to an array of shape `[H, W]`, uint8. More than one stand in two columns.
        height: of each mosaic in the picture, in pixels; it is met to whole multiples of H.
        path: file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels, titles = [], []  # what it is, with the pixels from the left and from the top
    left, bottom = MARGIN, 0
    for title, mosaics in blocks.items():
        columns = min(len(mosaics), 2)
        scaled = [_grey(pixels, max(1, round(height / len(pixels)))) for pixels in mosaics.values()]
        tall, wide = (max(pixels.shape[i] for pixels in scaled) for i in (0, 1))
        head = TITLE if any(mosaics) else 0
        for i, (name, pixels) in enumerate(zip(mosaics, scaled)):
            row, column = divmod(i, columns)
            x = left + column * (wide + MARGIN)
            y = TITLE + head + row * (tall + (head or MARGIN))
            panels.append((pixels, x, y))
            titles.append((name, x + wide / 2, y - head / 2))
            bottom = max(bottom, y + tall)
        right = left + columns * (wide + MARGIN)
        titles.append((title, (left + right - MARGIN) / 2, TITLE / 2))
        left = right + (2 * MARGIN if columns > 1 else 0)  # farther from the next block
    wide, tall = right, bottom + MARGIN
    figure = Figure(figsize=(wide / DPI, tall / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    for pixels, x, y in panels:
        figure.figimage(pixels, x, tall - y - len(pixels))
    for title, x, y in titles:
        figure.text(x / wide, 1 - y / tall, title, ha="center", va="center")
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
    """The folder's records by the names of their data sets, in `ORDER`.

    Raises:
        DamagedFileError: if one is not what `write_record` wrote.
    """
    way_out = f"Bring it back, or delete it and draw its pictures again by `{folder.name}`"
    paths = [folder / f"{name}.json" for name in ORDER]
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


def _grey(shades, scale):
    """Shades as squares of pixels, uint8 of shape `[scale * H, scale * W, 3]`."""
    return np.kron(shades[..., None], np.ones((scale, scale, 3), "uint8"))
