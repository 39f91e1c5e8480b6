"""Shared by figures 4 and 5: images side by side, and a record of their models."""

import dataclasses
import io
import json

import numpy as np
import pandas as pd

from replication.errors import DamagedFileError
from replication.figures.text import NAMES, count, markdown
from replication.measurements import files, provenance
from replication.measurements.shapes import known, positive, text, whole
from replication.plan.experiment import IMAGE_SHAPES

DPI = 120
ORDER = ("frey", "mnist", "digits")  # from left to right, as in the paper
# Margins in pixels: around and between the panels, and above them for a line of text.
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

The models were trained by AEVB; the results do not include their weights. The table has the number
of training samples that each model had seen when the pictures were drawn; a run may have continued
since. The `.json` files beside the pictures have the settings of the drawing.
"""


def write_mosaic(values, path):
    """Writes a mosaic as a grey PNG file, pixel by pixel.

    Args:
        values: array of shape `[H, W]` in [0, 1].
        path: PNG file to write.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.rint(255 * values).astype("uint8")).save(file, format="PNG")
    files.write(path, file.getvalue())


def read_mosaic(path):
    """Reads a mosaic of `write_mosaic`: array of shape `[H, W]`, uint8.

    Raises:
        DamagedFileError: if the file is missing or not a picture.
    """
    from PIL import Image

    with files.reading(path, "a picture", _remedy(path.parent)), Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def draw_page(folder, tiles, height, title_of, page_text):
    """Writes a figure's page and picture from the existing records and mosaics.

    Args:
        folder: the figure's folder.
        tiles: number of images in a panel, in each direction.
        height: height of each panel in the picture, in pixels.
        title_of: function from a run of a record to the title of its panel.
        page_text: function from the records to the page.

    Returns:
        Paths of the page and of the picture.

    Raises:
        DamagedFileError: if a record or a mosaic is damaged, or they do not belong together.
    """
    records = read_records(folder)
    blocks = {}
    for name, record in records.items():
        runs, path = record["runs"], folder / record["pictures"][0]
        tall, wide = IMAGE_SHAPES[runs[0]["experiment"]["dataset"]]
        expected, mosaic = (tiles * tall, len(runs) * tiles * wide), read_mosaic(path)
        if mosaic.shape != expected:
            raise DamagedFileError(
                f"Expected {path} to have {expected} pixels, with a panel for each run of its "
                f"record. Received: {mosaic.shape}. {_remedy(folder)}"
            )
        blocks[name] = dict(zip(map(title_of, runs), np.hsplit(mosaic, len(runs))))
    page, picture = (folder / f"{folder.name}.{kind}" for kind in ("md", "png"))
    draw_mosaics(blocks, height, picture)
    files.write(page, page_text(records))
    return [page, picture]


def draw_mosaics(blocks, height, path):
    """Writes mosaics side by side, black for 0 and white for 255.

    Args:
        blocks: dict from the title of a block to its mosaics, a dict from titles, which may be
            empty, to arrays of shape `[H, W]`, uint8. Several mosaics are in two columns.
        height: height of each mosaic in the picture, in pixels, rounded to a multiple of H.
        path: file to write.
    """
    from matplotlib.figure import Figure

    panels, titles = [], []  # each with its distance in pixels from the left and from the top
    left, bottom = MARGIN, 0
    for title, mosaics in blocks.items():
        columns = min(len(mosaics), 2)
        scaled = []
        for pixels in mosaics.values():  # each pixel becomes a square of scale × scale
            scale = max(1, round(height / len(pixels)))
            scaled.append(np.kron(pixels[..., None], np.ones((scale, scale, 3), "uint8")))
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
        left = right + (2 * MARGIN if columns > 1 else 0)  # a wider gap to the next block
    wide, tall = right, bottom + MARGIN
    figure = Figure(figsize=(wide / DPI, tall / DPI), dpi=DPI)
    for pixels, x, y in panels:
        figure.figimage(pixels, x, tall - y - len(pixels))
    for title, x, y in titles:
        figure.text(x / wide, 1 - y / tall, title, ha="center", va="center")
    write_png(figure, path)


def write_png(figure, path):
    """Writes a Matplotlib figure as PNG, without Matplotlib's version in the metadata."""
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    files.write(path, file.getvalue())


def write_record(folder, name, models, **settings):
    """Writes `<name>.json`, the record of the runs behind the pictures.

    Args:
        folder: the figure's folder.
        name: name of the data set.
        models: list of pairs of an `Experiment` and the training samples that its model has seen.
        settings: settings of the drawing, with the list of file names `pictures`.

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
        DamagedFileError: if one is damaged.
    """
    paths = [folder / f"{name}.json" for name in ORDER]
    records = [files.read_json(path, SHAPE, _remedy(folder)) for path in paths if path.exists()]
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


def _remedy(folder):
    return f"Restore it, or delete it and draw its pictures again with `{folder.name}`"
