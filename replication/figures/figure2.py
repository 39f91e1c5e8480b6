"""Figure 2: the lower bound of AEVB and wake-sleep during training, beside the paper's curves."""

from pathlib import Path

from replication import step_sizes
from replication.errors import ReplicationError
from replication.experiment import LATENT_DIMS
from replication.figures.figure2_curves import shown_curves
from replication.figures.figure2_picture import draw
from replication.figures.figure2_table import step_sizes_csv, table_csv, table_markdown
from replication.paper import paper_curve
from replication.records import read_runs, runs_folder, write_atomically


def build(results):
    """Writes the tables and the picture to `results/figure2` from the runs in `results/runs`.

    Args:
        results: folder of the results.

    Returns:
        Paths of `table.md`, `figure2.png`, `table.csv` and `step_sizes.csv`.

    Raises:
        ReplicationError: if there is no run of figure 2.
    """
    runs = [run for run in read_runs(results) if step_sizes.has_papers_settings(run)]
    if not runs:
        raise ReplicationError(f"Expected runs of figure 2 in {runs_folder(results)}. Found none")
    pilots = step_sizes.pilots(runs)
    curves = shown_curves(runs, pilots)
    folder = Path(results) / "figure2"
    folder.mkdir(parents=True, exist_ok=True)
    names = ("table.md", "figure2.png", "table.csv", "step_sizes.csv")
    page, picture, table, choice = paths = [folder / name for name in names]
    write_atomically(table, table_csv(curves))
    write_atomically(choice, step_sizes_csv(pilots))
    write_atomically(page, table_markdown(curves, pilots, [r for r in runs if r.diverged]))
    draw(curves, _panels(runs), picture)
    return paths


def _panels(runs):
    """The N_z of each data set's row: the paper's, and any that were run besides."""
    panels = {}
    for dataset, latent_dims in LATENT_DIMS.items():
        ran = {r.experiment.latent_dim for r in runs if r.experiment.dataset == dataset}
        drawn = {n for n in latent_dims if paper_curve(2, dataset, "aevb", n, "test")}
        if ran:
            panels[dataset] = sorted(ran | drawn)
    return panels
