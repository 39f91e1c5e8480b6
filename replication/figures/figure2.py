"""Figure 2: the lower bound of AEVB and wake-sleep during training, beside the paper's curves."""

import numpy as np

from replication import atomic, lock, step_sizes
from replication.experiment import LATENT_DIMS
from replication.figures.curves import Panel, shown_curves
from replication.figures.figure2_table import table_csv, table_markdown
from replication.figures.files import paths_of, runs_of
from replication.figures.picture import Look, draw
from replication.figures.step_size_tables import step_sizes_csv
from replication.figures.tables import is_decade
from replication.protocols import of_figure2

# The paper's earlier points look smoothed.
FIRST_COMPARABLE = 1_000_000

LOOK = Look(
    quantity=r"lower bound $\mathcal{L}$",
    algorithms=("aevb", "wake-sleep"),
    frames={  # with some room at the top
        "mnist": ((1e5, 2.5e8), (-150, -95)),
        "frey": ((1e5, 1e8), (0, 1600)),
    },
    beyond=10,
    cell=(3, 2.9),
)


@lock.one_writer("figure2")
def build(results):
    """Writes the tables and the picture to `results/figure2` from the runs in `results/runs`.

    Args:
        results: folder of the results.

    Returns:
        Paths of `table.md`, `figure2.png`, `table.csv` and `step_sizes.csv`.

    Raises:
        ReplicationError: if there is no run of figure 2.
    """
    runs = runs_of(2, of_figure2, results)
    pilots = step_sizes.pilots(runs)
    curves = shown_curves(runs, pilots, _closest)
    page, picture, table, choice = paths = paths_of(2, results)
    atomic.write(table, table_csv(curves))
    atomic.write(choice, step_sizes_csv(pilots))
    atomic.write(page, table_markdown(curves, pilots, runs))
    draw(curves, _panels(runs, curves), picture, LOOK)
    return paths


def _closest(curves, chosen):
    """The curve with the least mean distance to the paper's test curve, `None` if undecided.

    Measured at the decades from `FIRST_COMPARABLE` on that all curves share.
    """
    curves = [c for c in curves if c.end >= min(chosen.end, FIRST_COMPARABLE)]
    shared = set.intersection(*(set(curve.counts) for curve in curves))
    comparable = [s for s in shared if curves[0].paper(s, "test") is not None]
    samples = [s for s in comparable if s >= FIRST_COMPARABLE and is_decade(s)] or comparable
    if len(curves) < 2 or not samples:
        return None
    return min(curves, key=lambda c: np.mean([abs(c.difference(s, "test")) for s in samples]))


def _panels(runs, curves):
    """The panels of each data set's row: the paper's N_z, and others that were run besides.

    Of the others a panel without a curve inside the paper's frame is left out.
    """
    rows = {}
    for dataset, latent_dims in LATENT_DIMS.items():
        ran = {r.experiment.latent_dim for r in runs if r.experiment.dataset == dataset}
        drawn = {n for n in latent_dims if Panel(2, dataset, n).paper("aevb", "test")}
        if not ran:
            continue
        if dataset in LOOK.frames:
            _, (bottom, _) = LOOK.frames[dataset]
            ours = [c for c in curves if c.panel.dataset == dataset]
            ran = {c.panel.latent_dim for c in ours if c.mean(c.end, "test") > bottom}
        rows[dataset] = [Panel(2, dataset, n) for n in sorted(ran | drawn)]
    return rows
