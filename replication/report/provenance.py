"""The section that says where the numbers come from."""

from replication.claims.cost import machine_of
from replication.figures.curves import FIGURES
from replication.figures.tables import count, markdown, number
from replication.protocols import of_figure2, of_figure3

INTRODUCTION = """\
## Where the numbers come from

Runs by figure and machine, those of the step-size choice among them. *Longest* is in training
samples; hours are of training, without evaluation. "-dirty" marks code that was changed since its
commit.
"""


def provenance_section(runs):
    """A Markdown table of the runs by figure and machine, and the versions they ran on."""
    groups = {}
    paper = {run.experiment.id for run in (*of_figure2(runs), *of_figure3(runs))}
    for run in runs:
        figure = FIGURES[run.experiment.measure] if run.experiment.id in paper else "other"
        groups.setdefault((str(figure), machine_of(run.info)), []).append(run)
    header = ["figure", "machine", "runs", "longest", "hours", "commits"]
    rows = [[*key, *_row(group)] for key, group in sorted(groups.items())]
    versions = "\n".join(f"- {line}" for line in _versions(runs))
    table = markdown(header, rows, left=2)
    return f"{INTRODUCTION}\n{table}\n\nVersions:\n\n{versions}\n"


def _row(runs):
    sessions = [session for run in runs for session in run.info["sessions"]]
    commits = dict.fromkeys(_short(session["commit"]) for session in sessions)
    ends = [run.points[-1] for run in runs]
    return [
        str(len(runs)),
        count(max(point.samples for point in ends)),
        number(sum(point.seconds for point in ends) / 3600),
        ", ".join(commits),
    ]


def _short(commit):
    """Seven digits of a commit, and whether the code was changed since."""
    if commit is None:
        return "outside git"
    digits, _, dirty = commit.partition("-")
    return digits[:7] + ("-dirty" if dirty else "")


def _versions(runs):
    sessions = [session for run in runs for session in run.info["sessions"]]
    packages = ({"Python": s["python"], **s["versions"]} for s in sessions)
    return dict.fromkeys(", ".join(f"{k} {v}" for k, v in p.items()) for p in packages)
