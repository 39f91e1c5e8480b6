"""The results' front page, as README.md and as a self-contained web page."""

from pathlib import Path

from replication.claims import Evidence
from replication.figures.text import csv_text
from replication.measurements import files, lock
from replication.report.charts import STYLES, chart
from replication.report.sections import (
    after_figures,
    before_figures,
    every_figure,
    figures_section,
)
from replication.report.web_page import web_page


@lock.one_writer("report")
def write_report(results):
    """Writes `README.md`, `index.html` and `distances.csv` from the results' files alone.

    Args:
        results: folder with `runs`, and the tables and pictures made from them.

    Returns:
        Their paths.

    Raises:
        ReplicationError: if there are no runs.
    """
    evidence = Evidence(results)
    distances = evidence.distances()
    figures = every_figure(results)
    before, after = before_figures(evidence, distances, figures), after_figures(evidence)
    readme, page, table = paths = [
        Path(results) / name for name in ("README.md", "index.html", "distances.csv")
    ]
    text = "\n".join([*before, figures_section(figures), *after])
    charts = {f"figure{n}/figure{n}.png": chart(n, evidence.table) for n in STYLES}
    html = web_page(results, before, figures, after, charts)
    files.write(readme, text)
    files.write(page, html)
    estimates = distances.estimate
    numbers = distances.drop(columns="estimate").assign(
        difference=[e.value for e in estimates],
        standard_error=[e.error for e in estimates],
        error_over=[", ".join(e.over) for e in estimates],
    )
    files.write(table, csv_text(numbers.replace({"n_train": {0: None}})))
    return paths
