"""The picture of figure 2: our curves over the paper's, in the paper's panels."""

import itertools

import numpy as np

from replication.figures.tables import NAMES
from replication.paper import paper_curve

COLOURS = {"aevb": "#0072B2", "wake-sleep": "#D55E00"}  # Okabe & Ito: safe for the colour-blind
PANELS = {  # the paper's limits of samples and nats, with some room at the top
    "mnist": ((1e5, 2.5e8), (-150, -95)),
    "frey": ((1e5, 1e8), (0, 1600)),
}
TEST = {"linestyle": "-", "linewidth": 2.0, "zorder": 4}
TRAIN = {"linestyle": (0, (4, 1.5)), "linewidth": 1.5, "zorder": 3}
OTHER = {"linestyle": (0, (1, 1.2)), "linewidth": 2.0, "zorder": 5}
PAPER = {"linewidth": 1.0, "alpha": 0.5, "zorder": 1}
BAND = {"alpha": 0.2, "linewidth": 0, "zorder": 2}


def draw(curves, panels, path):
    """Draws a row of panels per data set, and the legend in a free cell.

    Args:
        curves: list of `Curve`, ordered by panel and algorithm.
        panels: dict from data set to the list of its N_z.
        path: file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = [len(latent_dims) for latent_dims in panels.values()]
    shape = (len(panels), max(max(sizes), min(sizes) + 1))  # leaves a cell for the legend
    figure = Figure(figsize=(3 * shape[1], 2.9 * shape[0]), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.subplots(*shape, squeeze=False)
    for row, (dataset, latent_dims) in zip(cells, panels.items()):
        ours = [c for c in curves if c.dataset == dataset]
        limits = _limits(dataset, ours)
        for axes, latent_dim in zip(row, latent_dims):
            _panel(axes, dataset, latent_dim, [c for c in ours if c.latent_dim == latent_dim])
            axes.set(xscale="log", xlim=limits[0], ylim=limits[1])
            axes.tick_params(labelleft=axes is row[0], labelsize=8)
        for axes in row[len(latent_dims) :]:
            axes.axis("off")
    figure.supxlabel("training samples evaluated", fontsize=10)
    figure.supylabel(r"lower bound $\mathcal{L}$ (nats per example)", fontsize=10)
    free = next(row for row, size in zip(cells, sizes) if size < shape[1])
    _legend(free[-1], curves)
    figure.savefig(path, metadata={"Software": None})


def _panel(axes, dataset, latent_dim, ours):
    axes.set_title(f"{NAMES[dataset]}, $N_z = {latent_dim}$", fontsize=10)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    for height, (algorithm, colour) in zip((0.93, 0.85), COLOURS.items()):
        for split, style in (("train", TRAIN), ("test", TEST)):
            paper = paper_curve(2, dataset, algorithm, latent_dim, split)
            if paper is not None:
                axes.plot(*paper, color=colour, **{**style, **PAPER})
        main, others = _main_and_others([c for c in ours if c.algorithm == algorithm])
        if main is not None:
            _plot(axes, main, "train", colour, TRAIN)
            _plot(axes, main, "test", colour, TEST)
            dotted = ", ".join(f"{c.step_size:g}" for c in others)
            steps = f"{main.step_size:g}" + (f" (⋯ {dotted})" if others else "")
            label = {"color": colour, "fontsize": 7.5, "va": "center"}
            axes.text(0.04, height, f"step {steps}", transform=axes.transAxes, **label)
        for other in others:
            _plot(axes, other, "test", colour, OTHER)


def _main_and_others(curves):
    """The chosen step size, or the longest curve where none was chosen; and the further ones."""
    main = max(curves, key=lambda c: ("chosen" in c.role, c.end), default=None)
    return main, [c for c in curves if c is not main]


def _plot(axes, curve, split, colour, style):
    samples = np.array(sorted(curve.points))
    bounds = [curve.bounds(s, split) for s in samples]
    marker = "." if len(samples) == 1 else None
    axes.plot(samples, [b.mean() for b in bounds], color=colour, marker=marker, **style)
    if max(map(len, bounds)) > 1:
        low, high = [b.min() for b in bounds], [b.max() for b in bounds]
        axes.fill_between(samples, low, high, color=colour, **BAND)


def _limits(dataset, curves):
    """Limits of samples and of nats for a row of panels that keep our curves legible."""
    end = max((c.end for c in curves), default=1e8)
    if dataset in PANELS:
        (left, right), nats = PANELS[dataset]
        return (left, min(right, max(10 * end, 10 * left))), nats
    if not curves:
        return (1e4, end), (-1, 1)
    # Of the steep start only the last stretch is of interest.
    late = [p for c in curves for s, points in c.points.items() if s >= end / 30 for p in points]
    low = min(min(p.train_elbo, p.test_elbo) for p in late)
    high = max(max(p.train_elbo, p.test_elbo) for p in late)
    span = max(high - low, 1)
    left = min(max(end / 1000, min(min(c.points) for c in curves)), end / 10)
    return (left, 1.1 * end), (low - 0.3 * span, high + 0.2 * span)


def _legend(axes, curves):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def line(**style):
        return Line2D([], [], **{"color": "0.25", **style})

    entries = {NAMES[a]: line(color=colour, linewidth=4) for a, colour in COLOURS.items()}
    entries |= {"ours, test": line(**TEST), "ours, training": line(**TRAIN)}
    panels = itertools.groupby(curves, lambda c: (c.dataset, c.latent_dim, c.algorithm))
    others = [c for _, panel in panels for c in _main_and_others(list(panel))[1]]
    if others:
        closest = all(c.role == "closest" for c in others)
        which = "step size\nclosest to the paper" if closest else "other step sizes"
        entries[f"ours, test, {which}"] = line(**OTHER)
    if any(len(points) > 1 for c in curves for points in c.points.values()):
        entries["ours, range over seeds"] = Patch(color="0.25", **{**BAND, "alpha": 0.3})
    if any(c.dataset in PANELS for c in curves):
        entries["paper, test"] = line(**{**TEST, **PAPER})
        entries["paper, training"] = line(**{**TRAIN, **PAPER})
    axes.legend(entries.values(), entries.keys(), loc="center", frameon=False, fontsize=9)
