"""The results' front page, as README.md and as one self-contained web page."""

from pathlib import Path

from replication.claims import Evidence
from replication.figures.text import csv_text
from replication.measurements import files, lock
from replication.report.sections import (
    HEADING,
    before_figures,
    behind_figures,
    drawn_figures,
    figures_section,
)
from replication.report.web_page import web_page


@lock.one_writer("report")
def write_report(results):
    """Writes `README.md`, `index.html` and `distances.csv` from the results' files alone.

    Args:
        results: folder with `runs`, and the tables and pictures that were drawn from them.

    Returns:
        Their paths.

    Raises:
        ReplicationError: if there are no runs.
    """
    evidence = Evidence(results)
    distances = evidence.distances()
    figures = drawn_figures(results)
    before, behind = before_figures(evidence, distances), behind_figures(evidence)
    readme, page, table = paths = [
        Path(results) / name for name in ("README.md", "index.html", "distances.csv")
    ]
    text = "\n".join([HEADING, *before, figures_section(figures), *behind])
    html = web_page(results, [HEADING, *before], figures, behind)
    files.write(readme, text)
    files.write(page, html)
    parts = {"difference": "value", "standard_error": "error", "error_over": "over"}
    columns = {n: [getattr(e, part) for e in distances.estimate] for n, part in parts.items()}
    numbers = distances.drop(columns="estimate").assign(**columns)
    files.write(table, csv_text(numbers.replace({"n_train": {0: None}})))
    return paths
