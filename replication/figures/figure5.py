"""Figure 5: random samples of models with different numbers of latent variables."""

from pathlib import Path

import numpy as np

from keras_aevb import pictures
from replication.figures.images import draw_page, models_section, write_mosaic, write_record
from replication.measurements import lock
from replication.train.model import trained

TILES = 10  # in each direction
HEIGHT = 560  # of each panel, in pixels
SEED = 0

PAGE = """\
# Figure 5: random samples

![Samples side by side](figure5.png)

Each panel shows the means of p(x|z) for {count} samples z ~ N(0, I), drawn by NumPy with seed
{seed}. Like the paper's figure, it shows no samples of x, which would be noisier. The paper shows
MNIST only.

{runs}
"""


@lock.one_writer("figure5")
def build(experiments, datasets, results):
    """Draws `results/figure5` from the runs' saved weights.

    Args:
        experiments: list of `Experiment`, trained, in the order of the panels.
        datasets: dict from names to `Dataset`.
        results: folder of the results.

    Returns:
        Paths of `figure5.md` and `figure5.png`, which include the other data sets drawn before.
        For each data set also `samples-<dataset>.png`, the mosaics one after another, and
        `<dataset>.json`, the record of its runs.

    Raises:
        ReplicationError: if a run's weights are missing.
    """
    models = [(e, *trained(e, datasets[e.dataset], results)) for e in experiments]
    folder = Path(results) / "figure5"
    paths = []
    for name in dict.fromkeys(e.dataset for e in experiments):
        own = [model for model in models if model[0].dataset == name]
        picture = folder / f"samples-{name}.png"
        shape = datasets[name].image_shape
        write_mosaic(np.hstack([samples(model, shape) for _, model, _ in own]), picture)
        settings = {"pictures": [picture.name], "tiles": TILES, "seed": SEED}
        seen = [(experiment, n) for experiment, _, n in own]
        paths += [picture, write_record(folder, name, seen, **settings)]
    return [*draw_page(folder, TILES, HEIGHT, _title, page_text), *paths]


def _title(run):
    return f"$N_z = {run['experiment']['latent_dim']}$"


def samples(model, image_shape):
    """The mosaic of decoded means, of shape `[TILES * height, TILES * width]` in [0, 1]."""
    shape = (TILES**2, *model.prior.event_shape)
    z = np.random.default_rng(SEED).standard_normal(shape, "float32")
    return pictures.mosaic(pictures.decoded(model, z).reshape(-1, *image_shape), TILES)


def page_text(records):
    """The page for these records."""
    return PAGE.format(count=TILES**2, seed=SEED, runs=models_section(records))
