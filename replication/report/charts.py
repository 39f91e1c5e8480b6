"""Interactive figures 2 and 3: one panel at a time, with switches and values under the pointer."""

import json
import re
from typing import Any

import numpy as np
import pandas as pd

from replication.figures import figure2, figure3
from replication.figures.picture import COLOURS
from replication.figures.text import NAMES, SIZES, SPLIT_NAMES
from replication.measurements.table import PANEL, TEXT
from replication.paper import paper_curve
from replication.plan.experiment import SPLITS
from replication.plan.schedule import FIRST_SAMPLES
from replication.plan.step_sizes import pilots

STYLES = {2: figure2.STYLE, 3: figure3.STYLE}
SOURCES = {"": "ours", TEXT: "settings of the paper's text"}
PAPER = "paper"
OUR_STYLE = {"strokeWidth": 1.8, "opacity": 0.9}
PAPER_STYLE = {"strokeWidth": 4.5, "opacity": 0.3}
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross")  # of points, by step size
COLUMNS = ["panel", "algorithm", "split", "source", "step", "seed", "samples", "value"]
POINTS_PER_DECADE = 50  # at most, in each of the paper's curves
HEIGHT = 420  # pixels
FIRST_PANELS = {2: "MNIST, N_z = 20", 3: "MNIST, N_train = 1000"}
# Switches that are off when the page opens; so are those of step sizes chosen in no panel.
OFF = {2: {("split", "training"), ("source", SOURCES[TEXT])}, 3: set()}
NONE = "–"  # step size and seed of the paper's curves
# The columns with switches, and the text before a value.
SWITCHES = {"algorithm": "", "step": "step size ", "seed": "seed ", "split": "", "source": ""}


def chart(figure, table):
    """A figure as a Vega-Lite specification.

    Args:
        figure: 2 or 3.
        table: rows of `measurements.table`.

    Returns:
        Dict, or `None` if the figure has no runs, or all diverged.
    """
    import altair as alt

    rows = _rows(figure, table)
    if rows.empty:
        return None
    frames = _frames(rows)
    panels = list(frames)
    first = FIRST_PANELS[figure]
    options = alt.binding_select(options=panels, name="panel ")
    panel = alt.param("panel", value=first if first in panels else panels[0], bind=options)
    off = OFF[figure] | _other_steps(rows, table[table.figure == figure])
    switches = {
        (column, value): alt.param(
            re.sub(r"\W", "_", f"{column} {value}"),
            value=(column, value) not in off,
            bind=alt.binding_checkbox(name=f"{words}{value} "),
        )
        for column, words in SWITCHES.items()
        for value in _values(rows, column)
    }
    shown = " && ".join(
        f"(datum.{column} != {json.dumps(value)} || {switch.name})"
        for (column, value), switch in switches.items()
    )
    lows, highs, lefts = (json.dumps(dict(zip(panels, f))) for f in zip(*frames.values()))
    axes: dict[str, Any] = {
        "x": alt.X(
            "samples:Q",
            title="training samples",
            axis=alt.Axis(format="~s", labelFlush=False, values=[10**k for k in range(3, 10)]),
            scale=alt.Scale(type="log", nice=False, domainMin=alt.ExprRef(f"({lefts})[panel]")),
        ),
        "y": alt.Y(
            "value:Q",
            title="nats per example",
            scale=alt.Scale(
                zero=False,
                nice=False,
                domainMin=alt.ExprRef(f"({lows})[panel]"),
                domainMax=alt.ExprRef(f"({highs})[panel]"),
            ),
        ),
    }
    algorithms = _values(rows, "algorithm")
    colours = {NAMES[name]: colour for name, colour in COLOURS.items()}
    colour = alt.Color(
        "algorithm:N",
        title=None,
        scale=alt.Scale(domain=algorithms, range=[colours[name] for name in algorithms]),
    )
    dash = alt.StrokeDash(
        "split:N",
        title=None,
        scale=alt.Scale(domain=["test", "training"], range=[[1, 0], [5, 3]]),
    )
    steps = _values(rows, "step")
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(steps))]
    shape = alt.Shape("step:N", title="step size", scale=alt.Scale(domain=steps, range=shapes))
    near = alt.selection_point(name="near", on="pointerover", clear="pointerout", empty=False)
    types = dict.fromkeys(COLUMNS, "string") | {"samples": "number", "value": "number"}
    text = rows[COLUMNS].to_csv(index=False, float_format="%.2f", lineterminator="\n")
    data = {"values": text, "format": {"type": "csv", "parse": types}}
    base = (
        alt.Chart(alt.Data(**data))
        .transform_filter(f"datum.panel == panel && {shown}")
        .encode(**axes, color=colour)
    )
    is_paper = f"datum.source == '{PAPER}'"
    style = {
        name: alt.condition(is_paper, alt.value(PAPER_STYLE[name]), alt.value(value))
        for name, value in OUR_STYLE.items()
    }
    lines = base.mark_line(clip=True).encode(
        detail=["source:N", "step:N", "seed:N"], strokeDash=dash, **style
    )
    points = base.mark_point(clip=True, filled=True, size=28).encode(
        shape=shape, opacity=alt.condition(is_paper, alt.value(0), alt.value(0.9))
    )
    hover = (
        base.mark_point(clip=True, filled=True, size=200)
        .properties(name="hover")
        .encode(
            opacity=alt.condition(near, alt.value(0.6), alt.value(0)),
            tooltip=[
                alt.Tooltip("source:N", title="curve"),
                alt.Tooltip("algorithm:N"),
                alt.Tooltip("step:N", title="step size"),
                alt.Tooltip("seed:N"),
                alt.Tooltip("split:N", title="images"),
                alt.Tooltip("samples:Q", title="samples", format=","),
                alt.Tooltip("value:Q", title="nats", format=".2f"),
            ],
        )
        .add_params(near)
    )
    layers = alt.layer(lines, points, hover).add_params(panel, *switches.values())
    layers = layers.properties(width="container", height=HEIGHT, background="transparent")
    return layers.to_dict()


def _rows(figure, table):
    """Our curves (without diverged runs) and the paper's, with short texts for the switches."""
    ours = table[(table.figure == figure) & ~table.diverged & (table.samples > 0)]
    firsts = ours.dataset.astype(str).map(FIRST_SAMPLES)
    ours = ours[ours.samples >= firsts]
    place = [*PANEL, "algorithm"]
    parts = [
        pd.DataFrame(
            {
                **ours[place],
                "source": ours.settings.map(SOURCES),
                "step": ours.step_size.map("{:g}".format),
                "seed": ours.seed.astype(str),
                "split": ours.split.astype(str),
                "samples": ours.samples,
                "value": ours.value,
            }
        )
    ]
    for key in ours[place].drop_duplicates().itertuples(index=False, name=None):
        _, dataset, latent_dim, n_train, algorithm = key
        for split in SPLITS:
            curve = paper_curve(figure, dataset, algorithm, latent_dim, split, n_train)
            if curve is not None:
                curve = curve.groupby(np.floor(POINTS_PER_DECADE * np.log10(curve.index))).head(1)
                own = {**dict(zip(place, key)), "source": PAPER, "step": NONE, "seed": NONE}
                values = {"split": split, "samples": curve.index.astype(int), "value": curve.values}
                parts.append(pd.DataFrame(own | values))
    rows = pd.concat(parts, ignore_index=True)
    rows["dataset"] = pd.Categorical(rows.dataset, list(NAMES))
    rows = rows.sort_values([*place, "source", "step", "seed", "split", "samples"], kind="stable")
    size, symbol = SIZES[figure]
    names = rows.dataset.astype(str).map(NAMES)
    return pd.DataFrame(
        {
            **rows[["figure", "dataset"]],
            "panel": names + f", {symbol} = " + rows[size].astype(str),
            "algorithm": rows.algorithm.astype(str).map(NAMES),
            "split": rows.split.map(SPLIT_NAMES),
            **rows[["source", "step", "seed", "samples", "value"]],
        }
    )


def _other_steps(rows, table):
    """The switches of step sizes that no panel chose; empty if no step size is chosen at all."""
    choice = pilots(table)
    best = {f"{step:g}" for step in choice.step_size[choice.verdict == "chosen"]}
    return {("step", step) for step in _values(rows, "step") if best and step not in best}


def _frames(rows):
    """The axis limits of each panel: least and greatest value, and first number of samples."""
    found = {}
    for panel, own in rows.groupby("panel", sort=False):
        style, dataset = STYLES[own.figure.iloc[0]], own.dataset.iloc[0]
        if dataset in style.frames:
            (left, _), (low, high) = style.frames[dataset]
        else:
            late = own[own.samples >= own.samples.max() / 30].value
            left, low, high = own.samples.min(), late.min(), max(late.max(), late.min() + 1)
        found[panel] = (float(low), float(high), float(left))
    return found


def _values(rows, column):
    """The ordered values of a column with switches."""
    return sorted({*rows[column]} - {NONE})
