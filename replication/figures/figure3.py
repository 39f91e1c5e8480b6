"""Figure 3: the marginal likelihood of three algorithms in training, beside the paper's curves."""

import math

from replication import atomic, lock, step_sizes
from replication.figures.curves import Panel, panel_of, shown_curves
from replication.figures.figure3_table import table_csv, table_markdown
from replication.figures.files import paths_of, runs_of
from replication.figures.picture import Look, draw
from replication.figures.step_size_tables import step_sizes_csv
from replication.protocols import (
    FIGURE3_LATENT_DIM,
    FIGURE3_N_TRAIN,
    figure3_choice_runs,
    of_figure3,
)

LOOK = Look(
    quantity=r"marginal log-likelihood $\log p(x)$",
    algorithms=("aevb", "wake-sleep", "mcem"),
    # The paper's axis of samples is linear. On a log axis the start, where our runs are, has room.
    frames={"mnist": ((1e5, 7e7), (-160, -105))},
    beyond=math.inf,
    cell=(4.4, 3.7),
    legend=0.5,
)


@lock.one_writer("figure3")
def build(results):
    """Writes the tables and the picture to `results/figure3` from the runs in `results/runs`.

    Args:
        results: folder of the results.

    Returns:
        Paths of `table.md`, `figure3.png`, `table.csv` and `step_sizes.csv`.

    Raises:
        ReplicationError: if there is no run of figure 3.
    """
    runs = runs_of(3, of_figure3, results)
    rivals = figure3_choice_runs(runs)
    pilots = step_sizes.pilots(rivals)
    curves = shown_curves(runs, pilots)
    page, picture, table, choice = paths = paths_of(3, results)
    atomic.write(table, table_csv(curves))
    atomic.write(choice, step_sizes_csv(pilots))
    atomic.write(page, table_markdown(curves, pilots, rivals, runs))
    draw(curves, _panels(runs), picture, LOOK)
    return paths


def _panels(runs):
    """The panels of each data set's row: the paper's N_train, and any that were run besides."""
    rows = {}
    for dataset, sizes in FIGURE3_N_TRAIN.items():
        panels = (Panel(3, dataset, FIGURE3_LATENT_DIM, n) for n in sizes)
        drawn = {panel for panel in panels if panel.paper("aevb", "test")}
        ran = {panel_of(r.experiment) for r in runs if r.experiment.dataset == dataset}
        if ran:
            rows[dataset] = sorted(ran | drawn)
    return rows
