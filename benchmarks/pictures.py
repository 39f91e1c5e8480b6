"""Plots of the measurements."""

import math

from matplotlib.figure import Figure

TITLES = {
    "latent_dim": "latent variables $N_z$",
    "num_samples": "samples of z, L",
    "batch_size": "batch size M",
    "replicas": "replicas",
}


def draw(part, rows, machine, path):
    """Plots the training and scaling parts; the other parts have only tables."""
    figure = {"training": _training, "scaling": _scaling}.get(part)
    if figure is not None:
        drawn = figure(rows)
        drawn.suptitle(machine, fontsize=9, color="0.4")
        drawn.savefig(path, dpi=150)


def _training(rows):
    """A bar for each program: its speed relative to the hand-written JAX scan."""
    figure = Figure(figsize=(8, 0.4 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    programs = [row for row in rows if not row["peer"].startswith("matrix products")]
    programs.sort(key=lambda row: row["relative_to_scan"])
    names = [row["peer"] for row in programs]
    ratios = [row["relative_to_scan"] for row in programs]
    colours = ["tab:blue" if "ours" in name else "0.6" for name in names]
    bars = axes.barh(names, ratios, color=colours)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # above the line at 1
    axes.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3, bbox=white)
    axes.axvline(1, color="0.3", linewidth=0.8)
    axes.set_xlabel("training speed relative to the JAX scan")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _scaling(rows):
    """Time and FLOP of a sample along each axis, relative to the paper's setting."""
    axes_names = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(10, 3), layout="constrained")
    for axes, axis in zip(figure.subplots(1, len(axes_names)), axes_names):
        own = [row for row in rows if row["axis"] == axis]
        values = [row["value"] for row in own]
        time = [row["relative_time_per_sample"] for row in own]
        flop = [row["relative_flop_per_sample"] for row in own]
        axes.plot(values, time, "o-", label="time")
        axes.plot(values, flop, "--", color="0.5", label="FLOP")
        axes.set_xscale("log")
        axes.set_xticks(values, [str(value) for value in values])
        axes.minorticks_off()
        axes.set_xlabel(TITLES[axis])
        axes.set_ylim(0, 1.1 * max(1, math.ceil(10 * max(time)) / 10))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("cost per sample, relative")
    figure.axes[0].legend(frameon=False)
    return figure
