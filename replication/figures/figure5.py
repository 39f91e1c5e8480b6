"""Figure 5: random samples of models with different numbers of latent variables."""

from pathlib import Path

import numpy as np

from keras_aevb import pictures
from replication.figures.images import (
    draw_mosaics,
    models_section,
    read_records,
    write_record,
)
from replication.measurements import files, lock
from replication.train.model import trained

TILES = 10  # in each direction
HEIGHT = 560  # of each panel, in pixels
SEED = 0

PAGE = """\
# Figure 5: random samples

{pictures}

Each panel shows the means of p(x|z) for {count} draws z ~ N(0, I), with NumPy's seed {seed}: what
the paper shows too, and smoother than draws of x itself would be.

{runs}
"""


@lock.one_writer("figure5")
def build(experiments, dataset, results):
    """Draws a data set's part of `results/figure5` from the weights that were kept with the runs.

    Args:
        experiments: list of `Experiment` on this data set, trained, in the order of the panels.
        dataset: `Dataset`.
        results: folder of the results.

    Returns:
        Paths of `figure5.md`, `samples-<dataset>.png`, and `<dataset>.json`, which says what it
        was drawn from.

    Raises:
        MissingCheckpointError: if a run's weights are not there.
    """
    models = [trained(e, dataset, results) for e in experiments]
    folder = Path(results) / "figure5"
    picture = folder / f"samples-{dataset.name}.png"
    panels = {
        f"$N_z = {e.latent_dim}$": samples(model, dataset.image_shape)
        for e, (model, _) in zip(experiments, models)
    }
    draw_mosaics(panels, HEIGHT, picture)
    seen = [(e, n) for e, (_, n) in zip(experiments, models)]
    settings = {"pictures": [picture.name], "tiles": TILES, "seed": SEED}
    record = write_record(folder, dataset.name, seen, **settings)
    page = folder / "figure5.md"
    files.write(page, page_text(read_records(folder)))
    return [page, picture, record]


def samples(model, image_shape):
    """The mosaic of decoded means, of shape `[TILES * height, TILES * width]` in [0, 1]."""
    shape = (TILES**2, *model.prior.event_shape)
    z = np.random.default_rng(SEED).standard_normal(shape, "float32")
    return pictures.mosaic(pictures.decoded(model, z).reshape(-1, *image_shape), TILES)


def page_text(records):
    """The page for these records."""
    shown = [f"## {name}\n\n![{name}]({r['pictures'][0]})" for name, r in records.items()]
    runs = models_section(records)
    return PAGE.format(pictures="\n\n".join(shown), count=TILES**2, seed=SEED, runs=runs)
