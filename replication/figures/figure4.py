"""Figure 4: the manifold that two latent variables span, and where the test set lies on it.

The unit square stands for the latent plane: u = Φ(z), with Φ the distribution function of N(0, 1),
makes p(z) uniform on it.
"""

from pathlib import Path

import numpy as np
from keras import ops

from replication import atomic, lock
from replication import model as models
from replication.figures import drawn
from replication.figures.encoded_picture import draw as draw_encoded
from replication.figures.mosaics import draw, mosaic
from replication.figures.tables import NAMES

TILES = 20  # in each direction
HEIGHT = 1120  # of the manifolds, in pixels

PAGE = """\
# Figure 4: the manifold of two latent variables

{manifolds}

Each picture shows the means of p(x|z) at {tiles} × {tiles} points z of the latent plane: the points
(i − ½)/{tiles} of the unit square in both directions, through the inverse distribution function of
N(0, 1), so that every tile covers the same mass of p(z). z₁ grows to the right and z₂ upwards.
{encoded}
{runs}
"""

ENCODED = """
## The test set on the manifold

{pictures}

The mean of q(z|x) of each test image in the same unit square, so that the tile at the same place
above is what a point decodes to. The class, in colour, was never shown to the model.
"""


@lock.one_writer("figure4")
def build(experiments, datasets, results):
    """Draws `results/figure4` from the weights that were kept with the runs.

    Args:
        experiments: list of `Experiment` with N_z = 2, trained, one for each data set.
        datasets: dict from names to `Dataset`.
        results: folder of the results.

    Returns:
        Paths of `figure4.md`, and for each experiment `manifold-<dataset>.png`,
        `encoded-<dataset>.png` if its test images have labels, and `<dataset>.json`, which says
        what they were drawn from.

    Raises:
        MissingCheckpointError: if a run's weights are not there.
    """
    trained = [models.trained(e, datasets[e.dataset], results) for e in experiments]
    folder = Path(results) / "figure4"
    paths = []
    for experiment, (model, samples) in zip(experiments, trained):
        dataset = datasets[experiment.dataset]
        pictures = [folder / f"manifold-{dataset.name}.png"]
        draw({NAMES[dataset.name]: manifold(model, dataset.image_shape)}, HEIGHT, pictures[0])
        if dataset.test_labels is not None:
            pictures.append(folder / f"encoded-{dataset.name}.png")
            draw_encoded(encoded(model, dataset.test), dataset.test_labels, pictures[1])
        names = [path.name for path in pictures]
        record = drawn.record(
            folder, dataset.name, [(experiment, samples)], pictures=names, tiles=TILES
        )
        paths += [*pictures, record]
    page = folder / "figure4.md"
    atomic.write(page, _page(drawn.read(folder)))
    return [page, *paths]


def manifold(model, image_shape):
    """The mosaic of decoded means, of shape `[TILES * height, TILES * width]` in [0, 1]."""
    from scipy.stats import norm

    z = norm.ppf((np.arange(TILES) + 0.5) / TILES)
    right, up = np.meshgrid(z, z[::-1])  # the first row is the top one
    grid = np.stack([right, up], axis=-1).reshape(-1, 2).astype("float32")
    means = ops.convert_to_numpy(model.decode(grid).mean())
    return mosaic(means.reshape(-1, *image_shape), TILES)


def encoded(model, x):
    """Φ of the mean of q(z|x), of shape `[N, 2]` in the unit square."""
    from scipy.stats import norm

    return norm.cdf(ops.convert_to_numpy(model.encode(x).mean()))


def _page(records):
    manifolds, encoded = ([r for r in records if len(r["pictures"]) > i] for i in (0, 1))
    return PAGE.format(
        manifolds=_side_by_side(manifolds, 0),
        tiles=TILES,
        encoded=ENCODED.format(pictures=_side_by_side(encoded, 1)) if encoded else "",
        runs=drawn.runs_table(records),
    )


def _side_by_side(records, index):
    names = [NAMES[r["runs"][0]["experiment"]["dataset"]] for r in records]
    cells = [f"![{n}]({r['pictures'][index]})" for n, r in zip(names, records)]
    return drawn.side_by_side(names, cells)
