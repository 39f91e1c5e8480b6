"""The pictures of figures 2 and 3: our curves over the paper's, in the paper's panels."""

import dataclasses
import itertools

import numpy as np

from replication.figures import png
from replication.figures.tables import NAMES

COLOURS = {  # Okabe & Ito: safe for the colour-blind
    "aevb": "#0072B2",
    "wake-sleep": "#D55E00",
    "mcem": "#009E73",
}
SIZES = {2: "$N_z = {}$", 3: r"$N_\mathrm{{train}} = {}$"}
TEST = {"linestyle": "-", "linewidth": 2.0, "zorder": 4}
TRAIN = {"linestyle": (0, (4, 1.5)), "linewidth": 1.5, "zorder": 3}
OTHER = {"linestyle": (0, (1, 1.2)), "linewidth": 2.0, "zorder": 5}
PAPER = {"linewidth": 1.0, "alpha": 0.5, "zorder": 1}
BAND = {"alpha": 0.2, "linewidth": 0, "zorder": 2}


@dataclasses.dataclass(frozen=True)
class Look:
    """How a figure is drawn.

    Attributes:
        quantity: label of the vertical axes.
        algorithms: names, in the order of the legend.
        frames: by data set, the paper's limits of samples and of nats.
        beyond: how far the paper's curves are shown behind our longest run, as a factor.
        cell: width and height of a panel in inches.
        legend: width of a column that holds but the legend, in panels.
    """

    quantity: str
    algorithms: tuple[str, ...]
    frames: dict[str, tuple]
    beyond: float
    cell: tuple[float, float]
    legend: float = 1.0


def draw(curves, rows, path, look):
    """Draws a row of panels per data set, and the legend in a free cell.

    Args:
        curves: list of `Curve`, ordered by panel and algorithm.
        rows: dict from data set to the list of its `Panel`.
        path: file to write.
        look: `Look`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = [len(panels) for panels in rows.values()]
    shape = (len(rows), max(max(sizes), min(sizes) + 1))  # leaves a cell for the legend
    widths = [1] * max(sizes) + [look.legend] * (shape[1] - max(sizes))
    size = (look.cell[0] * sum(widths), look.cell[1] * shape[0])
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.subplots(*shape, squeeze=False, width_ratios=widths)
    for row, (dataset, panels) in zip(cells, rows.items()):
        ours = [c for c in curves if c.panel.dataset == dataset]
        limits = _limits(dataset, ours, look)
        for axes, panel in zip(row, panels):
            _panel(axes, panel, [c for c in ours if c.panel == panel], look.algorithms)
            axes.set(xscale="log", xlim=limits[0], ylim=limits[1])
            axes.xaxis.set_minor_formatter("")
            axes.tick_params(labelleft=axes is row[0], labelsize=8)
        for axes in row[len(panels) :]:
            axes.axis("off")
    figure.supxlabel("training samples evaluated", fontsize=10)
    figure.supylabel(f"{look.quantity} (nats per example)", fontsize=10)
    free = next(row for row, size in zip(cells, sizes) if size < shape[1])
    _legend(free[-1], curves, look)
    png.write(figure, path)


def _panel(axes, panel, ours, algorithms):
    title = f"{NAMES[panel.dataset]}, {SIZES[panel.figure].format(panel.size)}"
    axes.set_title(title, fontsize=10)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    for height, algorithm in zip((0.93, 0.85, 0.77), algorithms):
        colour = COLOURS[algorithm]
        for split, style in (("train", TRAIN), ("test", TEST)):
            paper = panel.paper(algorithm, split)
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
    samples = curve.counts
    values = [curve.values(s, split) for s in samples]
    marker = "." if len(samples) == 1 else None
    axes.plot(samples, [v.mean() for v in values], color=colour, marker=marker, **style)
    if max(map(len, values)) > 1:
        low, high = [v.min() for v in values], [v.max() for v in values]
        axes.fill_between(samples, low, high, color=colour, **BAND)


def _limits(dataset, curves, look):
    """Limits of samples and of nats for a row of panels that keep our curves legible."""
    end = max((c.end for c in curves), default=1e8)
    if dataset in look.frames:
        (left, right), nats = look.frames[dataset]
        return (left, min(right, max(look.beyond * end, 10 * left))), nats
    if not curves:
        return (1e4, end), (-1, 1)
    # Of the steep start only the last stretch is of interest.
    late = [(c, s) for c in curves for s in c.counts if s >= end / 30]
    values = np.concatenate([c.values(s, split) for c, s in late for split in ("train", "test")])
    low, high = values.min(), values.max()
    span = max(high - low, 1)
    left = min(max(end / 1000, min(c.counts[0] for c in curves)), end / 10)
    labels = 0.15 * len(look.algorithms)
    return (left, 1.1 * end), (low - 0.3 * span, high + labels * span)


def _legend(axes, curves, look):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def line(**style):
        return Line2D([], [], **{"color": "0.25", **style})

    entries = {NAMES[a]: line(color=COLOURS[a], linewidth=4) for a in look.algorithms}
    entries |= {"ours, test": line(**TEST), "ours, training": line(**TRAIN)}
    groups = itertools.groupby(curves, lambda c: (c.panel, c.algorithm))
    others = [c for _, group in groups for c in _main_and_others(list(group))[1]]
    if others:
        closest = all(c.role == "closest" for c in others)
        which = "step size\nclosest to the paper" if closest else "other step sizes"
        entries[f"ours, test, {which}"] = line(**OTHER)
    if any(len(c.runs) > 1 for c in curves):
        entries["ours, range over seeds"] = Patch(color="0.25", **{**BAND, "alpha": 0.3})
    if any(c.panel.dataset in look.frames for c in curves):
        entries["paper, test"] = line(**{**TEST, **PAPER})
        entries["paper, training"] = line(**{**TRAIN, **PAPER})
    axes.legend(entries.values(), entries.keys(), loc="center", frameon=False, fontsize=9)
