"""The picture of figure 4's test set: points of the unit square, coloured by class."""

import numpy as np

from replication.figures import png

# Okabe & Ito: eight that are safe for the colour-blind; then grey and purple.
COLOURS = (
    "#E69F00",
    "#F0E442",
    "#56B4E9",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#000000",
    "#0072B2",
    "#999999",
    "#7B3FA0",
)


def draw(points, labels, path):
    """Writes the picture; the name of each class stands at its median too.

    Args:
        points: array of shape `[N, 2]` in the unit square.
        labels: integers 0 … 9 of shape `[N]`.
        path: file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    figure = Figure(figsize=(7.6, 7), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = np.array(COLOURS)[labels]
    size = np.clip(60_000 / len(points), 6, 24)
    order = np.random.default_rng(0).permutation(len(points))  # no class covers the others
    axes.scatter(*points[order].T, s=size, c=colours[order], linewidths=0, alpha=0.8)
    for label in np.unique(labels):
        middle = np.median(points[labels == label], axis=0)
        style = {"ha": "center", "va": "center", "fontsize": 15, "fontweight": "bold"}
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(*middle, str(label), color="0.1", path_effects=outline, **style)
        axes.scatter([], [], s=50, color=COLOURS[label], label=str(label))
    axes.set(xlabel=r"$\Phi(z_1)$", ylabel=r"$\Phi(z_2)$", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    figure.legend(title="class", loc="outside right upper", frameon=False)
    png.write(figure, path)
