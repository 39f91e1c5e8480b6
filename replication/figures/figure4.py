"""Figure 4: the manifold of two latent variables, and the encoded test set.

The latent plane is mapped to the unit square by u = Φ(z), with the distribution function Φ of
N(0, 1). There p(z) is uniform.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from keras_aevb import pictures
from keras_aevb.plots import COLOURS
from replication.figures.images import (
    draw_page,
    models_section,
    write_mosaic,
    write_png,
    write_record,
)
from replication.figures.text import markdown
from replication.measurements import lock
from replication.train.model import trained

TILES = 20  # in each direction
HEIGHT = 1120  # of each manifold, in pixels

PAGE = """\
# Figure 4: the manifold of two latent variables

![Manifolds side by side](figure4.png)

Each panel shows the means of p(x|z) at {tiles} × {tiles} points z. Their coordinates are the
quantiles (i − ½)/{tiles} of N(0, 1), so that every tile covers the same mass of p(z). z₁ increases
to the right and z₂ upwards.
{encoded}
{runs}
"""

ENCODED = """
## The test set on the manifold

{pictures}

The picture shows the mean z of q(z|x) of each test image, at Φ(z) in the unit square. Φ is the
distribution function of N(0, 1). The tile at the same place above is decoded from nearly the same
z. Colours show the class, which is not used in training. A bold
digit is at the median of its class.
"""


@lock.one_writer("figure4")
def build(experiments, datasets, results):
    """Draws `results/figure4` from the runs' saved weights.

    Args:
        experiments: list of `Experiment` with N_z = 2, trained, one for each data set.
        datasets: dict from names to `Dataset`.
        results: folder of the results.

    Returns:
        Paths of `figure4.md` and `figure4.png`, which include the other data sets drawn before.
        For each experiment also `manifold-<dataset>.png`, the mosaic alone;
        `encoded-<dataset>.png`, if its test images have labels; and `<dataset>.json`, the record
        of its run.

    Raises:
        ReplicationError: if a run's weights are missing.
    """
    models = [trained(e, datasets[e.dataset], results) for e in experiments]
    folder = Path(results) / "figure4"
    paths = []
    for experiment, (model, samples) in zip(experiments, models):
        dataset = datasets[experiment.dataset]
        drawn = [folder / f"manifold-{dataset.name}.png"]
        write_mosaic(manifold(model, dataset.image_shape), drawn[0])
        if dataset.test_labels is not None:
            drawn.append(folder / f"encoded-{dataset.name}.png")
            draw_encoded(encoded(model, dataset.test), dataset.test_labels, drawn[1])
        names = [path.name for path in drawn]
        seen = [(experiment, samples)]
        record = write_record(folder, dataset.name, seen, pictures=names, tiles=TILES)
        paths += [*drawn, record]
    return [*draw_page(folder, TILES, HEIGHT, lambda run: "", page_text), *paths]


def manifold(model, image_shape):
    """The mosaic of decoded means, of shape `[TILES * height, TILES * width]` in [0, 1]."""
    return pictures.mosaic(pictures.manifold(model, TILES).reshape(-1, *image_shape), TILES)


def encoded(model, x):
    """Φ of the mean of q(z|x), of shape `[N, 2]` in the unit square."""
    return pictures.prior_probabilities(model, pictures.encoded(model, x))


def draw_encoded(points, labels, path):
    """Writes the picture, with the name of each class at its median.

    Args:
        points: array of shape `[N, 2]` in the unit square.
        labels: integers 0 … 9 of shape `[N]`.
        path: file to write.
    """
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    figure = Figure(figsize=(7.6, 7), dpi=120, layout="constrained")
    axes = figure.subplots()
    colours = np.array(COLOURS)[labels]
    size = np.clip(60_000 / len(points), 6, 24)
    order = np.random.default_rng(0).permutation(len(points))  # so that no class hides another
    across, up = points[order].T
    axes.scatter(across, up, s=size, c=colours[order], linewidths=0, alpha=0.8)
    for label in np.unique(labels):
        x, y = np.median(points[labels == label], axis=0)
        style: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "fontsize": 15,
            "fontweight": "bold",
        }
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(x, y, str(label), color="0.1", path_effects=outline, **style)
        axes.scatter([], [], s=50, color=COLOURS[label], label=str(label))
    axes.set(xlabel=r"$\Phi(z_1)$", ylabel=r"$\Phi(z_2)$", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    figure.legend(title="class", loc="outside right upper", frameon=False)
    write_png(figure, path)


def page_text(records):
    """The page for these records."""
    pictures = {n: f"![{n}]({r['pictures'][1]})" for n, r in records.items() if r["pictures"][1:]}
    encoded = markdown(pd.DataFrame([pictures]), left=len(pictures))
    return PAGE.format(
        tiles=TILES,
        encoded=ENCODED.format(pictures=encoded) if pictures else "",
        runs=models_section(records),
    )
