"""The results' front page, as README.md and as one self-contained web page."""

from pathlib import Path

from replication import atomic, lock
from replication.claims import Evidence
from replication.distances import distances, distances_csv
from replication.errors import ReplicationError
from replication.records import runs_folder
from replication.report.figures import drawn_figures, figures_section
from replication.report.sections import HEADING, before_figures, behind_figures
from replication.report.web_page import web_page


@lock.one_writer("report")
def build(results):
    """Writes `README.md`, `index.html` and `distances.csv` from the results' files alone.

    Args:
        results: folder with `runs`, and the tables and pictures that were drawn from them.

    Returns:
        Their paths.

    Raises:
        ReplicationError: if there are no runs.
    """
    evidence = Evidence(results)
    if not evidence.runs:
        raise ReplicationError(f"Expected runs in {runs_folder(results)}. Received: none")
    found = distances(evidence.curves)
    figures = drawn_figures(results)
    before, behind = before_figures(evidence, found), behind_figures(evidence)
    readme, page, table = paths = [
        Path(results) / name for name in ("README.md", "index.html", "distances.csv")
    ]
    text = "\n".join([HEADING, *before, figures_section(figures), *behind])
    html = web_page(results, [HEADING, *before], figures, behind)
    atomic.write(readme, text)
    atomic.write(page, html)
    atomic.write(table, distances_csv(found))
    return paths
