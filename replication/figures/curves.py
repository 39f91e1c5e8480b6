"""The files of figures 2 and 3, and their section on step sizes."""

import pandas as pd

from replication.figures.picture import draw
from replication.figures.text import NAMES, SIZES, csv_text, markdown, number, write_tables
from replication.measurements import files
from replication.measurements.table import PANEL, averaged, curves, figure_table, with_roles
from replication.paper import paper_panels
from replication.plan.schedule import FIRST_SAMPLES
from replication.plan.step_sizes import CHOICE, pilots


def write_figure(figure, results, style, sections, numbers, introduction, score, **roles):
    """Writes a figure's files.

    Args:
        figure: number of the figure.
        results: folder of the results.
        style: `Style` of the picture.
        sections: function from rows of `averaged` to the page's Markdown sections.
        numbers: function from rows of `averaged` to the table for `table.csv`.
        introduction: text above the table of step sizes.
        score: name of the quantity that chooses the step size.
        roles: arguments of `with_roles`.

    Returns:
        Paths of the page, the picture, the table and the step sizes.

    Raises:
        ReplicationError: if there is no run of the figure.
    """
    table = figure_table(figure, results)
    choice = pilots(table)
    means = averaged(with_roles(curves(table), choice, **roles))
    page = [*sections(means), *_step_size_sections(introduction, score, choice, table)]
    name = f"figure{figure}"
    page, csv = write_tables(name, results, "\n".join(page), _with_step_size(numbers(means)))
    picture, steps = page.with_name(f"{name}.png"), page.with_name("step_sizes.csv")
    draw(means[means.evaluated], _panels(figure, table, means, style), style, picture)
    files.write(steps, csv_text(_with_step_size(choice), missing="nan"))
    return [page, picture, csv, steps]


def first_samples(means):
    """For each row, the first number of samples shown for its data set."""
    return means.dataset.map(FIRST_SAMPLES).astype(int)


def labels(table):
    """Names of data set, algorithm and curve, as text for tables."""
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


def _step_size_sections(introduction, score, pilots, table):
    """The last sections of a figure's page: pilot runs, and other runs that diverged."""
    sections = []
    if len(pilots):
        rows = labels(pilots).drop(columns="N_train")
        if pilots.settings.any():
            rows["settings"] = pilots.settings
        rows["seeds"] = pilots.seeds.astype(str)
        rows[score] = [number(value, missing="nan") for value in pilots.score]
        rows["verdict"] = pilots.verdict
        sections += [introduction, markdown(rows, left=2) + "\n"]
    ends = table[table.diverged & (table.samples == table.end) & (table.split == "train")]
    diverged = pilots[pilots.verdict == "diverged"].set_index([*CHOICE, "step_size"]).index
    is_listed = pd.MultiIndex.from_frame(ends[diverged.names].astype(object)).isin(list(diverged))
    others = ends[~(ends.is_pilot & is_listed)]
    if len(others):
        _, size = SIZES[others.figure.iloc[0]]
        rows = labels(others)[["data set", "algorithm", size, "step size"]]
        rows = rows.assign(seed=others.seed.astype(str), samples=others.samples.astype(str))
        rows[score] = [number(value, missing="nan") for value in others.value]
        table = markdown(rows, left=2)
        sections += ["These runs diverged and are left out:\n", table + "\n"]
    return sections


def _with_step_size(table):
    return table.assign(step_size=table.step_size.map("{:g}".format))


def _panels(figure, table, means, style):
    """The panels of each data set's row: the paper's, and those of additional runs.

    An additional panel without a curve inside the paper's frame is left out.
    """
    rows = {}
    ends = means[(means.split == "test") & (means.samples == means.curve_end)]
    for dataset, own in table.groupby("dataset", observed=True):
        if dataset in style.frames:
            _, (bottom, _) = style.frames[dataset]
            own = ends[(ends.dataset == dataset) & (ends.value > bottom)]
        ran = set(own[PANEL].itertuples(index=False, name=None))
        rows[dataset] = sorted(ran | paper_panels(figure, dataset))
    return rows
