"""What the pages of figures 2 and 3 share: their files, and the choice of the step sizes."""

from pathlib import Path

import pandas as pd

from replication.figures.picture import draw
from replication.figures.text import NAMES, csv_text, markdown, number
from replication.measurements import files
from replication.plan.schedule import FIRST_SAMPLES
from replication.plan.step_sizes import CHOICE

PANEL_SIZES = {2: ("N_z", "latent_dim"), 3: ("N_train", "n_train")}


def write(figure, results, page, table, pilots, picture):
    """Writes a figure's files.

    Args:
        figure: its number.
        results: folder of the results.
        page: Markdown text.
        table: the numbers that it shows and more, for a CSV file.
        pilots: rows of `step_sizes.pilots`.
        picture: arguments of `picture.draw` before the path.

    Returns:
        Paths of the page, the picture, the table and the step sizes.
    """
    folder = Path(results) / f"figure{figure}"
    names = ("table.md", f"figure{figure}.png", "table.csv", "step_sizes.csv")
    paths = [folder / name for name in names]
    files.write(paths[0], page)
    draw(*picture, paths[1])
    files.write(paths[2], csv_text(table.assign(step_size=table.step_size.map("{:g}".format))))
    choice = pilots.assign(step_size=pilots.step_size.map("{:g}".format))
    files.write(paths[3], csv_text(choice, missing="nan"))
    return paths


def first_samples(means):
    """The number of samples from which each row's data set is shown."""
    return means.dataset.map(FIRST_SAMPLES).astype(int)


def labels(table):
    """The names of data set and algorithm, and what sets curves apart, as texts for readers."""
    return pd.DataFrame(
        {
            "data set": table.dataset.map(NAMES),
            "algorithm": table.algorithm.map(NAMES),
            "N_z": table.latent_dim.astype(str),
            "N_train": table.n_train.astype(str) if "n_train" in table else "",
            "step size": table.step_size.map("{:g}".format),
        },
        dtype=object,
    )


def step_size_sections(introduction, score, pilots, table):
    """The end of a figure's page.

    Args:
        introduction: text over the table of the pilots.
        score: name of what is compared.
        pilots: rows of `step_sizes.pilots`.
        table: rows of `measurements.table`, all of the figure.

    Returns:
        List of Markdown sections.
    """
    sections = []
    if len(pilots):
        rows = labels(pilots).drop(columns="N_train").assign(seeds=pilots.seeds.astype(str))
        rows[score] = [number(value, missing="nan") for value in pilots.score]
        rows["verdict"] = pilots.verdict
        sections += [introduction, markdown(rows, left=2) + "\n"]
    ends = table[table.diverged & (table.samples == table.end) & (table.split == "train")]
    told = pilots[pilots.verdict == "diverged"].set_index([*CHOICE, "step_size"]).index
    is_told = pd.MultiIndex.from_frame(ends[told.names].astype(object)).isin(list(told))
    others = ends[~(ends.is_pilot & is_told)]
    if len(others):
        size, _ = PANEL_SIZES[others.figure.iloc[0]]
        rows = labels(others)[["data set", "algorithm", size, "step size"]]
        rows = rows.assign(seed=others.seed.astype(str), samples=others.samples.astype(str))
        rows[score] = [number(value, missing="nan") for value in others.value]
        table = markdown(rows, left=2)
        sections += ["These runs diverged too. They are left out above.\n", table + "\n"]
    return sections
