"""Figure 5: random samples of models with different numbers of latent variables."""

from pathlib import Path

import numpy as np

from keras_aevb import pictures
from replication.figures.images import (
    draw_mosaics,
    models_section,
    read_mosaic,
    read_records,
    write_mosaic,
    write_record,
)
from replication.measurements import files, lock
from replication.train.model import trained

TILES = 10  # in each direction
HEIGHT = 560  # of each panel, in pixels
SEED = 0

PAGE = """\
# Figure 5: random samples

![Samples side by side](figure5.png)

Each panel shows the means of p(x|z) for {count} samples z ~ N(0, I), with NumPy's seed {seed}. Like
the paper, it does not show samples of x, which would be noisier. The paper shows MNIST only.

{runs}
"""


@lock.one_writer("figure5")
def build(experiments, dataset, results):
    """Draws a data set's part of `results/figure5` from the runs' saved weights.

    Args:
        experiments: list of `Experiment` on this data set, trained, in the order of the panels.
        dataset: `Dataset`.
        results: folder of the results.

    Returns:
        Paths of `figure5.md` and `figure5.png`, which include the other data sets drawn before;
        of `samples-<dataset>.png`, the mosaics one after another; and of `<dataset>.json`, the
        record of the runs.

    Raises:
        MissingCheckpointError: if a run's weights are missing.
    """
    models = [trained(e, dataset, results) for e in experiments]
    folder = Path(results) / "figure5"
    picture = folder / f"samples-{dataset.name}.png"
    write_mosaic(np.hstack([samples(m, dataset.image_shape) for m, _ in models]), picture)
    seen = [(e, n) for e, (_, n) in zip(experiments, models)]
    settings = {"pictures": [picture.name], "tiles": TILES, "seed": SEED}
    record = write_record(folder, dataset.name, seen, **settings)
    return [*draw(folder), picture, record]


def draw(folder):
    """Writes the page and the picture from the existing records and mosaics.

    Returns:
        Their paths.
    """
    records = read_records(folder)
    page, picture = folder / "figure5.md", folder / "figure5.png"
    blocks = {}
    for name, record in records.items():
        titles = [f"$N_z = {run['experiment']['latent_dim']}$" for run in record["runs"]]
        mosaics = np.hsplit(read_mosaic(folder / record["pictures"][0]), len(titles))
        blocks[name] = dict(zip(titles, mosaics))
    draw_mosaics(blocks, HEIGHT, picture)
    files.write(page, page_text(records))
    return [page, picture]


def samples(model, image_shape):
    """The mosaic of decoded means, of shape `[TILES * height, TILES * width]` in [0, 1]."""
    shape = (TILES**2, *model.prior.event_shape)
    z = np.random.default_rng(SEED).standard_normal(shape, "float32")
    return pictures.mosaic(pictures.decoded(model, z).reshape(-1, *image_shape), TILES)


def page_text(records):
    """The page for these records."""
    return PAGE.format(count=TILES**2, seed=SEED, runs=models_section(records))
