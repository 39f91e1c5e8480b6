"""The report's text: verdicts, distances from the paper, deviations, and provenance."""

import dataclasses
import importlib.resources
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from replication.claims import judge
from replication.claims.rules import SIGMAS, Verdict
from replication.figures.text import NAMES, SIZES, count, markdown, number, with_error
from replication.measurements.table import (
    FIRST_COMPARABLE,
    ORDERS,
    PANEL,
    averaged,
    curves,
)
from replication.plan.experiment import SPLITS
from replication.plan.schedule import is_decade, is_round
from replication.plan.step_sizes import chosen, pilots

# Folder below the results, title, and the command that makes it.
FIGURES = (
    ("figure2", "Figure 2: the lower bound during training", "figure2"),
    ("figure3", "Figure 3: the marginal likelihood during training", "figure3"),
    ("figure4", "Figure 4: the manifold of two latent variables", "figure4"),
    ("figure5", "Figure 5: random samples", "figure5"),
    ("gradient_variance", "Variance of the gradient", "gradient-variance"),
    ("cost", "Cost of training", "all"),
)

FIRST = "figure2/figure2.png"

OPENING = f"""\
![Figure 2 of the paper: our curves over the published ones]({FIRST})

*Figure 2 of the paper: the lower bound during training, our curves (thick) over the published
ones (pale). Our dotted curves have other settings, which the legend names.*
"""

NUMBERS = f"""\
## The numbers behind the verdicts

A lead needs more than {SIGMAS} standard errors; "no worse" and "reaches" allow 1 nat or {SIGMAS}
standard errors. ± is one standard error, which combines seeds, examples and samples of z. If only
one seed of a curve reaches a sample count, the standard deviation over seeds is taken from the last
earlier count that several of its seeds reach; otherwise it is the largest one among curves with the
same algorithm and step size, or else among all curves of the figure and data set. If no curve has
several seeds, the budget is too small to say. The standard deviation of three seeds is itself
uncertain: a difference due to chance exceeds {SIGMAS} standard errors once
in ten cases. A difference of {SIGMAS} to 5 standard
errors is therefore weak evidence. Values are in nats per example unless stated otherwise. The table
has the last number that each part's rule compares; [the rules](#the-rules) list every number.
"""

RULES = """\
## The rules

The rules in `replication/claims` were written when only figure 2's first runs, of 10⁶ to 3·10⁶
samples, were known. The spread over seeds was added to every error later.
"""

PROVENANCE = """\
## Where the numbers come from

Outside *Deviations*, each of our numbers comes from a run whose folder is in [runs](runs); some
numbers in *Deviations* come from runs that are not stored. `run.json` has the settings, command,
commit, versions, device and data digest; `metrics.csv` has the curve. Figures 2 and 3, and all
tables outside *Deviations*, are
generated from these folders and the paper's curves alone; figures 4 and 5 also need the weights,
which are not committed.
`python -m replication report` generates this page, and `index.html`, which also has interactive
figures 2 and 3. `python -m replication verify` recomputes every verdict and distance and compares
them with `reference.json`.

The table lists the runs by figure and machine, including pilot runs for the step size. *Longest* is
in training samples. Hours are hours of training, without evaluation. "-dirty" marks code that
differs from its commit.
"""

CLOSENESS = """\
## How close the curves are to the paper's

The table shows our curves with the chosen step sizes minus the paper's, at each decade of training
samples: the mean distance over the panels that reach it, the largest difference with its standard
error, and the number of panels within one nat. These are distances, not verdicts.
[distances.csv](distances.csv) has all of them, and those at the ends of curves.

The paper's curves, in `replication/paper/curves.csv`, were extracted from the vector graphics of
its PDF, with these errors:

| figure | error, nats |
|:--|--:|
| 2, MNIST | 0.02 |
| 2, Frey Face | 0.5 |
| 3 | 0.05 |
"""

STEP_SIZES = """\
## Step sizes beside the paper's curves

The table shows our test curve minus the paper's for each step size, in nats per example, at the
last round sample count (1, 2 or 5 times a power of ten) that all step sizes shown reached. The
chosen step size is bold. ± is the standard error over seeds, if there are several.
"""


class Figure(NamedTuple):
    """A figure's title, its command, and the paths of its pages (none if not run) and pictures."""

    title: str
    command: str
    pages: list[Path]
    pictures: list[Path]

    @property
    def not_run(self):
        """The sentence that replaces a missing figure."""
        return f"Not run yet: run `python -m replication {self.command}`.\n"


def every_figure(results):
    """All figures, a list of `Figure` in the paper's order.

    If a figure has a picture of the same name, pictures of its parts are not shown.
    """
    found = []
    for name, title, command in FIGURES:
        folder = Path(results) / name
        whole = folder / f"{name}.png"
        pictures = [whole] if whole.exists() else sorted(folder.glob("*.png"))
        found.append(Figure(title, command, sorted(folder.glob("*.md")), pictures))
    return found


def figures_section(figures):
    """The Markdown section that shows the figures, except the picture at the top of the page."""
    lines = ["## Figures\n"]
    for figure in figures:
        pages, pictures = (
            [f"{path.parent.name}/{path.name}" for path in paths]
            for paths in (figure.pages, figure.pictures)
        )
        pictures = [picture for picture in pictures if picture != FIRST]
        links = ", ".join(f"[{page}]({page})" for page in pages)
        lines += [f"### {figure.title}\n", f"{links}\n" if links else figure.not_run]
        lines += [f"![{figure.title}]({picture})\n" for picture in pictures if links]
    return "\n".join(lines)


def before_figures(evidence, distances, figures):
    """Markdown sections before the figures: figure 2, claims, their numbers, and distances."""
    judgements = judge(evidence)
    opening = ["# Results\n", *([OPENING] if figures[0].pictures else [])]
    sentences = "\n".join(_wrapped(f"{i}. {sentence(j)}") for i, j in enumerate(judgements, 1))
    return [
        *opening,
        f"## The paper's claims\n\n{sentences}\n",
        f"{NUMBERS}\n{_ranges(judgements)}",
        _closeness(distances),
    ]


def after_figures(evidence):
    """Markdown sections after the figures: step sizes, rules, deviations and provenance."""
    details = [_details(i, judgement) for i, judgement in enumerate(judge(evidence), 1)]
    page = importlib.resources.files(__package__) / "deviations.md"
    deviations = page.read_text(encoding="utf-8")
    return [RULES, *details, _step_sizes(evidence.table), deviations, _provenance(evidence)]


def sentence(judgement):
    """The verdict on a claim as a sentence, with counts of its parts' verdicts."""
    claim, findings = judgement.claim, judgement.findings
    verdicts = [finding.verdict for finding in findings]
    kinds = [verdict for verdict in Verdict if verdict in verdicts]
    if not any(finding.numbers for finding in findings):
        tail = f" ({findings[0].note.split(':')[0]})"
    elif len(kinds) == 1:
        tail = ""
    else:
        counts = [f"{kind} in {verdicts.count(kind)}" for kind in kinds]
        counts[0] += f" of {len(verdicts)} {claim.parts}"
        tail = f": {', '.join(counts)}"
    return f"**{judgement.verdict.capitalize()}:** {claim.statement}{tail}."


def _ranges(judgements):
    """A row for each kind of deciding number, with its range over the parts of the claim."""
    rows = []
    for i, judgement in enumerate(judgements, 1):
        kinds: dict[tuple[str, Any], list[Any]] = {}
        for finding in judgement.findings:
            if finding.numbers:
                deciding = finding.numbers[-1]
                kinds.setdefault((deciding.name, deciding.required), []).append(deciding.estimate)
        for (name, required), estimates in kinds.items():
            low, high = (str(f(estimates, key=lambda e: e.value)) for f in (min, max))
            highest = high if len(estimates) > 1 else ""
            rows.append([str(i), name, required, str(len(estimates)), low, highest])
    if not rows:
        return "Not run yet.\n"
    header = ["claim", "number", "required", "parts", "value or minimum", "maximum"]
    return markdown(pd.DataFrame(rows, columns=header), left=3) + "\n"


def _details(i, judgement):
    claim = judgement.claim
    header = ["part", "verdict", "number", "value", "required", "after", "± over"]
    rows = [row for finding in _findings(judgement) for row in _rows(finding)]
    return "\n".join(
        [
            f"### {i}. {claim.name}: {judgement.verdict}\n",
            _wrapped(f"> {claim.statement} ({claim.source}).") + "\n",
            _wrapped(claim.rule) + "\n",
            markdown(pd.DataFrame(rows, columns=header), left=3) + "\n",
        ]
    )


def _findings(judgement):
    """The findings; a single one if all parts lack the same runs."""
    first, *others = judgement.findings
    if not others or first.numbers or any(f.note != first.note for f in others):
        return judgement.findings
    part = f"all {len(judgement.findings)} {judgement.claim.parts}"
    return [dataclasses.replace(first, part=part)]


def _rows(finding):
    if not finding.numbers:
        return [[finding.part, finding.verdict, finding.note, "", "", "", ""]]
    first = [finding.part, finding.verdict]
    return [
        [
            *(["", ""] if i else first),
            n.name,
            str(n.estimate),
            n.required,
            count(n.samples) if n.samples else "",
            ", ".join(n.estimate.over),
        ]
        for i, n in enumerate(finding.numbers)
    ]


def _wrapped(text):
    text = " ".join(text.split())
    indent = "> " if text.startswith("> ") else "   " * text[0].isdigit()
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def _closeness(distances):
    at_decades = distances[distances.samples.map(is_decade)]
    if at_decades.empty:
        return f"{CLOSENESS}\nNo run reaches a decade of a curve of the paper.\n"
    groups = ["figure", "dataset", "algorithm", "samples"]
    order = {name: pd.Categorical(at_decades[name], names) for name, names in ORDERS.items()}
    rows = []
    for key, found in at_decades.assign(**order).groupby(groups, observed=True):
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
    within = f"{(sizes <= 1).sum()} of {len(sizes)}"
    return [number(sizes.mean()), f"{largest.estimate} ({_size(largest)})", within]


def _size(place):
    """The size that distinguishes a panel from others of its data set."""
    size, symbol = SIZES[place.figure]
    return f"{symbol} = {place[size]}"


def _step_sizes(table):
    """A table of differences from the paper's test curves, with a column for each step size."""
    rows = []
    for _, own in table[(table.figure > 0) & (table.settings == "")].groupby("figure"):
        means = averaged(curves(own).assign(role=""))
        means = means[(means.split == "test") & means.paper.notna()]
        means = means[(means.samples >= FIRST_COMPARABLE) & means.samples.map(is_round)]
        choice = pilots(own)
        for _, panel in means.groupby([*PANEL, "algorithm"], observed=True):
            wide = panel.pivot(index="samples", columns="step_size", values="difference")
            shared = wide.dropna().index
            if wide.shape[1] > 1 and len(shared):
                rows.append(_step_size_row(panel[panel.samples == shared[-1]], choice))
    if not rows:
        return f"{STEP_SIZES}\nNo two step sizes of a panel reach a common round sample count.\n"
    found = pd.DataFrame(rows).fillna("")
    return f"{STEP_SIZES}\n{markdown(found, left=3)}\n"


def _step_size_row(rows, choice):
    place = rows.iloc[0]
    best = chosen(choice, place.dataset, place.algorithm, place.latent_dim)
    row = {
        "data set": NAMES[place.dataset],
        "algorithm": NAMES[place.algorithm],
        "panel": _size(place),
        "after": count(place.samples),
    }
    for step, value, error in zip(rows.step_size, rows.difference, rows.over_seeds):
        text = with_error(value, error, "+")
        row[f"{step:g}"] = f"**{text}**" if step == best else text
    return row


def _provenance(evidence):
    """A table of the runs by figure and machine, with their versions."""
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
    """Seven digits of a commit, with "-dirty" if the code differed from it."""
    if commit is None:
        return "outside git"
    digits, _, dirty = commit.partition("-")
    return digits[:7] + ("-dirty" if dirty else "")
