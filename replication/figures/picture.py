"""The pictures of figures 2 and 3: our curves over the paper's, in the paper's panels."""

import dataclasses
from typing import Any

from replication.figures.images import write_png
from replication.figures.text import NAMES
from replication.measurements.table import CURVE, PANEL, TEXT
from replication.paper import paper_curve

COLOURS = {  # Okabe & Ito: safe for the colour-blind
    "aevb": "#0072B2",
    "wake-sleep": "#D55E00",
    "mcem": "#009E73",
}
SIZES = {2: "$N_z = {}$", 3: r"$N_\mathrm{{train}} = {}$"}
TEST = {"linestyle": "-", "linewidth": 2.0, "zorder": 4}
TRAIN = {"linestyle": (0, (4, 1.5)), "linewidth": 1.5, "zorder": 3}
OTHER = {"linestyle": (0, (1, 1.2)), "linewidth": 2.0, "zorder": 5}
SECOND = {"linestyle": (0, (1, 2)), "linewidth": 1.3, "zorder": 3}
PAPER = {"linewidth": 1.0, "alpha": 0.5, "zorder": 1}
BAND: dict[str, Any] = {"alpha": 0.2, "linewidth": 0, "zorder": 2}


@dataclasses.dataclass(frozen=True)
class Style:
    """The style of a figure.

    Attributes:
        quantity: label of the vertical axes.
        algorithms: names, in the order of the legend.
        frames: by data set, the paper's axis limits, in samples and in nats.
        beyond: largest ratio of the axis' right end to the samples of our longest run.
        cell: width and height of a panel in inches.
        legend: width of the legend's column, in panels.
    """

    quantity: str
    algorithms: tuple[str, ...]
    frames: dict[str, tuple]
    beyond: float
    cell: tuple[float, float]
    legend: float = 1.0


def draw(means, rows, style, path):
    """Draws a row of panels per data set, and the legend in a free cell.

    Args:
        means: rows of `measurements.averaged` at counts where a seed was evaluated.
        rows: dict from data set to the list of its panels, tuples of `PANEL`.
        style: `Style`.
        path: file to write.
    """
    from matplotlib.figure import Figure

    sizes = [len(panels) for panels in rows.values()]
    shape = (len(rows), max(max(sizes), min(sizes) + 1))  # leaves a cell for the legend
    widths = [1] * max(sizes) + [style.legend] * (shape[1] - max(sizes))
    size = (style.cell[0] * sum(widths), style.cell[1] * shape[0])
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    cells = figure.subplots(*shape, squeeze=False, width_ratios=widths)
    mains = _is_main(means)
    for row, (dataset, panels) in zip(cells, rows.items()):
        ours = means[means.dataset == dataset]
        by_panel = dict(iter(ours.groupby(PANEL, observed=True)))
        limits = _limits(dataset, ours, style)
        for axes, panel in zip(row, panels):
            _panel(axes, panel, by_panel.get(panel, ours.iloc[:0]), mains, style.algorithms)
            axes.set(xscale="log", xlim=limits[0], ylim=limits[1])
            axes.xaxis.set_minor_formatter("")
            axes.tick_params(labelleft=axes is row[0], labelsize=8)
        for axes in row[len(panels) :]:
            axes.axis("off")
    figure.supxlabel("training samples evaluated", fontsize=10)
    figure.supylabel(f"{style.quantity} (nats per example)", fontsize=10)
    free = next(row for row, size in zip(cells, sizes) if size < shape[1])
    _legend(free[-1], means, mains, style)
    write_png(figure, path)


def _panel(axes, panel, ours, mains, algorithms):
    figure, dataset, latent_dim, n_train = panel
    title = f"{NAMES[dataset]}, {SIZES[figure].format(n_train or latent_dim)}"
    axes.set_title(title, fontsize=10)
    axes.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)
    for height, algorithm in zip((0.93, 0.85, 0.77), algorithms):
        colour = COLOURS[algorithm]
        for split, style in (("train", TRAIN), ("test", TEST)):
            paper = paper_curve(figure, dataset, algorithm, latent_dim, split, n_train)
            if paper is not None:
                axes.plot(paper.index, paper, color=colour, **{**style, **PAPER})
        own = ours[ours.algorithm == algorithm]
        main, second = own[mains[own.index]], own[own.role == TEXT]
        others = own.drop(main.index.union(second.index))
        if len(main):
            _plot(axes, main[main.split == "train"], colour, TRAIN)
            _plot(axes, main[main.split == "test"], colour, TEST)
            dotted = ", ".join(f"{step:g}" for step in others.step_size.unique())
            steps = f"{main.step_size.iloc[0]:g}" + (f" (⋯ {dotted})" if dotted else "")
            label = {"color": colour, "fontsize": 7.5, "va": "center"}
            axes.text(0.04, height, f"step {steps}", transform=axes.transAxes, **label)
        for rows, style in ((others, OTHER), (second, SECOND)):
            for _, other in rows[rows.split == "test"].groupby("step_size"):
                _plot(axes, other, colour, style)


def _is_main(means):
    """Whether a row belongs to the main curve: the chosen step size, or else the longest curve.

    Curves with the settings of the paper's text are never main curves.
    """
    ranks = means.role.str.contains("chosen") * 1e12 + means.curve_end
    best = ranks.groupby([means[c] for c in CURVE[:-1]], observed=True).transform("idxmax")
    return (means.step_size == means.step_size[best].to_numpy()) & (means.role != TEXT)


def _plot(axes, curve, colour, style):
    marker = "." if len(curve) == 1 else None
    axes.plot(curve.samples, curve.value, color=colour, marker=marker, **style)
    if curve.seeds.max() > 1:
        axes.fill_between(curve.samples, curve.low, curve.high, color=colour, **BAND)


def _limits(dataset, means, style):
    """Axis limits for a row of panels, in samples and nats, so that our curves are legible."""
    end = means.curve_end.max() if len(means) else 1e8
    if dataset in style.frames:
        (left, right), nats = style.frames[dataset]
        return (left, min(right, max(style.beyond * end, 10 * left))), nats
    if not len(means):
        return (1e4, end), (-1, 1)
    # Cut off most of the steep start.
    late = means[means.samples >= end / 30]
    low, high = late.low.min(), late.high.max()
    span = max(high - low, 1)
    first = means.samples.min()
    left = max(end / 1000, first) if first < end else end / 10
    labels = 0.15 * len(style.algorithms)
    return (left, 1.1 * end), (low - 0.3 * span, high + labels * span)


def _legend(axes, means, mains, style):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def line(**style):
        return Line2D([], [], **{"color": "0.25", **style})

    entries = {NAMES[a]: line(color=COLOURS[a], linewidth=4) for a in style.algorithms}
    entries |= {"ours, test": line(**TEST), "ours, training": line(**TRAIN)}
    others = means.role[~mains & (means.role != TEXT)]
    if len(others):
        closest = (others == "closest").all()
        which = "step size\nclosest to the paper" if closest else "other step sizes"
        entries[f"ours, test, {which}"] = line(**OTHER)
    if (means.role == TEXT).any():
        entries["ours, test, settings\nof the paper's text"] = line(**SECOND)
    if (means.seeds > 1).any():
        entries["ours, range over seeds"] = Patch(color="0.25", **{**BAND, "alpha": 0.3})
    if means.dataset.isin(style.frames).any():
        entries["paper, test"] = line(**{**TEST, **PAPER})
        entries["paper, training"] = line(**{**TRAIN, **PAPER})
    axes.legend(entries.values(), entries.keys(), loc="center", frameon=False, fontsize=9)
