"""Where a figure's runs come from and its tables and picture go."""

from pathlib import Path

from replication import atomic
from replication.errors import ReplicationError
from replication.figures.tables import csv_text
from replication.records import read_runs, runs_folder


def runs_of(figure, select, results):
    """The runs of a figure.

    Args:
        figure: its number.
        select: function from all runs to those of the figure.
        results: folder of the results.

    Returns:
        List of `Run`.

    Raises:
        ReplicationError: if there are none.
    """
    runs = select(read_runs(results))
    if not runs:
        folder = runs_folder(results)
        raise ReplicationError(f"Expected runs of figure {figure} in {folder}. Received: none")
    return runs


def paths_of(figure, results):
    """Paths of page, picture, table and step sizes."""
    folder = Path(results) / f"figure{figure}"
    names = ("table.md", f"figure{figure}.png", "table.csv", "step_sizes.csv")
    return [folder / name for name in names]


def write_tables(name, results, page, columns, rows):
    """Writes a folder of results that has a page and a table alone.

    Args:
        name: of the folder.
        results: folder of the results.
        page: Markdown text.
        columns: names of the table's columns.
        rows: dicts, as `csv_text` takes them.

    Returns:
        Paths of `table.md` and `table.csv`.
    """
    folder = Path(results) / name
    paths = [folder / "table.md", folder / "table.csv"]
    for path, text in zip(paths, (page, csv_text(columns, rows))):
        atomic.write(path, text)
    return paths
