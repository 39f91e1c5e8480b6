"""The report's text: verdicts, closeness to the paper, deviations, and where numbers come from."""

import importlib.resources
import textwrap
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from replication.claims import judge
from replication.claims.rules import Verdict
from replication.figures.text import NAMES, count, markdown, number
from replication.measurements.table import is_decade
from replication.plan.experiment import SPLITS

# Folder below the results, title, and the command that makes it.
FIGURES = (
    ("figure2", "Figure 2: the lower bound during training", "figure2"),
    ("figure3", "Figure 3: the marginal likelihood during training", "figure3"),
    ("figure4", "Figure 4: the manifold of two latent variables", "figure4"),
    ("figure5", "Figure 5: random samples", "figure5"),
    ("gradient_variance", "Variance of the gradient", "gradient-variance"),
    ("cost", "Cost of training", "all"),
)

HEADING = """\
# Results

Every number here comes from a run whose folder is in [runs](runs): `run.json` has its settings,
command, commit, versions, device and data digest, `metrics.csv` its curve. Tables, pictures and
this page are made from these folders alone; `python -m replication report` makes it again, and
`python -m replication verify` recomputes every verdict and distance and compares them with
`reference.json`.
"""

CLAIMS = """\
## The paper's claims

The rules were written into `replication/claims` when figure 2's first runs, of 10⁶ to 3·10⁶
samples, were known and no others. A verdict needs a difference beyond three standard errors; ± is
one standard error, over seeds where a curve has several, else that of the evaluation; the tables of
the rules say which. Values are in nats per example where nothing else is said.
"""

PROVENANCE = """\
## Where the numbers come from

Runs by figure and machine, those of the step-size choice among them. *Longest* is in training
samples; hours are of training, without evaluation. "-dirty" marks code that was changed since its
commit.
"""

CLOSENESS = """\
## How close the curves are to the paper's

Our curves, with the chosen step sizes, minus the paper's at each decade of training samples, in
nats per example: over the panels that reach it, the mean distance, the largest difference with its
standard error, and how many are within one nat. These are distances, not verdicts. All of them,
those at the ends of curves too, are in [distances.csv](distances.csv). The paper's curves are in
`replication/paper/curves.csv`, read off the vector drawings of its PDF, with a reading error of
about 0.02 nats for MNIST and 0.5 nats for Frey Face in figure 2 and 0.05 nats in figure 3.
"""


class Figure(NamedTuple):
    """A figure's title and files: paths of Markdown pages, none if it was not run, and pictures."""

    title: str
    command: str
    pages: list[Path]
    pictures: list[Path]

    @property
    def not_run(self):
        """The sentence where a figure would be."""
        return f"Not run yet: `python -m replication {self.command}` makes it.\n"


def drawn_figures(results):
    """All figures, a list of `Figure` in the paper's order."""
    return [
        Figure(title, command, *(sorted((Path(results) / name).glob(p)) for p in ("*.md", "*.png")))
        for name, title, command in FIGURES
    ]


def figures_section(figures):
    """The Markdown section that shows them."""
    lines = ["## Figures\n"]
    for figure in figures:
        pages, pictures = (
            [f"{path.parent.name}/{path.name}" for path in paths]
            for paths in (figure.pages, figure.pictures)
        )
        links = ", ".join(f"[{page}]({page})" for page in pages)
        lines += [f"### {figure.title}\n", f"{links}\n" if links else figure.not_run]
        lines += [f"![{figure.title}]({picture})\n" for picture in pictures if links]
    return "\n".join(lines)


def before_figures(evidence, distances):
    """Markdown sections: verdicts at a glance, how close the curves are, and the rules."""
    judgements = judge(evidence)
    details = [_details(i, judgement) for i, judgement in enumerate(judgements, 1)]
    return [CLAIMS, _glance(judgements), _closeness(distances), "## The rules\n", *details]


def behind_figures(evidence):
    """Markdown sections: deviations and guesses, and where the numbers come from."""
    page = importlib.resources.files(__package__) / "deviations.md"
    return [page.read_text(encoding="utf-8"), _provenance(evidence)]


def _glance(judgements):
    rows = pd.DataFrame(
        {
            "": str(i),
            "claim": judgement.claim.name,
            "verdict": f"**{judgement.verdict}**",
            "numbers": headline(judgement.findings),
        }
        for i, judgement in enumerate(judgements, 1)
    )
    return markdown(rows, left=4) + "\n"


def headline(findings):
    """One line: how many parts say what, and the range of the numbers that decided."""
    groups = {}
    for finding in findings:
        if finding.numbers:
            deciding = finding.numbers[-1]
            groups.setdefault(deciding.name, []).append(deciding.estimate)
    verdicts = [finding.verdict for finding in findings]
    kinds = [verdict for verdict in Verdict if verdict in verdicts]
    counts = [f"{verdicts.count(kind)} of {len(verdicts)} {kind}" for kind in kinds]
    parts = counts if len(counts) > 1 else []
    parts += [f"{name} {_range(estimates)}" for name, estimates in groups.items()]
    notes = dict.fromkeys(finding.note.split(":")[0] for finding in findings)
    return "; ".join(parts or notes)


def _range(estimates):
    low, high = (f(estimates, key=lambda e: e.value) for f in (min, max))
    return str(low) if low == high else f"{low} to {high}"


def _details(i, judgement):
    claim = judgement.claim
    header = ["part", "verdict", "number", "value", "has to be", "after", "± over"]
    rows = [row for finding in judgement.findings for row in _rows(finding)]
    return "\n".join(
        [
            f"### {i}. {claim.name}: {judgement.verdict}\n",
            _wrapped(f"> {claim.statement}") + "\n",
            _wrapped(claim.rule) + "\n",
            markdown(pd.DataFrame(rows, columns=header), left=3) + "\n",
        ]
    )


def _rows(finding):
    if not finding.numbers:
        return [[finding.part, finding.verdict, finding.note, "", "", "", ""]]
    first = [finding.part, finding.verdict]
    return [
        [
            *(["", ""] if i else first),
            n.name,
            str(n.estimate),
            n.against,
            count(n.samples) if n.samples else "",
            n.estimate.over,
        ]
        for i, n in enumerate(finding.numbers)
    ]


def _wrapped(text):
    text = " ".join(text.split())
    indent = "> " if text.startswith("> ") else ""
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def _closeness(distances):
    at_decades = distances[distances.samples.map(is_decade)]
    if at_decades.empty:
        return f"{CLOSENESS}\nNot run yet: no curve reaches one of the paper's at a decade.\n"
    groups = ["figure", "dataset", "algorithm", "samples"]
    rows = []
    for key, found in at_decades.groupby(groups, observed=True, sort=False):
        figure, dataset, algorithm, samples = key
        row = [str(figure), NAMES[dataset], NAMES[algorithm], count(samples)]
        for split in SPLITS[::-1]:
            row += _cells(found[found.split == split])
        rows.append(row)
    header = ["figure", "data set", "algorithm", "after"]
    header += [f"{split}: {n}" for split in SPLITS[::-1] for n in ("mean", "largest", "≤ 1")]
    return f"{CLOSENESS}\n{markdown(pd.DataFrame(rows, columns=header), left=3)}\n"


def _cells(found):
    if found.empty:
        return ["–", "–", "–"]
    sizes = found.estimate.map(lambda estimate: abs(estimate.value))
    largest = found.loc[sizes.idxmax()]
    size = f"N = {largest.n_train}" if largest.n_train else f"N_z = {largest.latent_dim}"
    within = f"{(sizes <= 1).sum()} of {len(sizes)}"
    return [number(sizes.mean()), f"{largest.estimate} ({size})", within]


def _provenance(evidence):
    """A table of the runs by figure and machine, and the versions they ran on."""
    sessions = {
        run.experiment.id: [_short(session["commit"]) for session in run.info["sessions"]]
        for run in evidence.runs
    }
    table = evidence.table
    ends = table[(table.split == "train") & (table.samples == table.end)]
    rows = []
    figures = ends.figure.map({2: "2", 3: "3", 0: "other"})
    for (figure, machine), runs in ends.groupby([figures, "machine"]):
        commits = dict.fromkeys(commit for run in runs.run for commit in sessions[run])
        hours = number(runs.seconds.sum() / 3600)
        longest = count(runs.samples.max())
        rows.append([figure, machine, str(len(runs)), longest, hours, ", ".join(commits)])
    header = ["figure", "machine", "runs", "longest", "hours", "commits"]
    versions = dict.fromkeys(
        ", ".join(f"{k} {v}" for k, v in {"Python": s["python"], **s["versions"]}.items())
        for run in evidence.runs
        for s in run.info["sessions"]
    )
    lines = "\n".join(f"- {line}" for line in versions)
    rows = markdown(pd.DataFrame(rows, columns=header), left=2)
    return f"{PROVENANCE}\n{rows}\n\nVersions:\n\n{lines}\n"


def _short(commit):
    """Seven digits of a commit, and whether the code was changed since."""
    if commit is None:
        return "outside git"
    digits, _, dirty = commit.partition("-")
    return digits[:7] + ("-dirty" if dirty else "")
