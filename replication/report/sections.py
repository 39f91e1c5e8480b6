"""The report's text: verdicts, closeness to the paper, deviations, and where numbers come from."""

import importlib.resources
import textwrap

from replication.claims import Verdict, judge
from replication.distances import SPLITS
from replication.figures.tables import NAMES, count, is_decade, markdown, number
from replication.report.provenance import provenance_section

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

CLOSENESS = """\
## How close the curves are to the paper's

Our curves, with the chosen step sizes, minus the paper's at each decade of training samples, in
nats per example: over the panels that reach it, the mean distance, the largest difference with its
standard error, and how many are within one nat. These are distances, not verdicts. All of them,
those at the ends of curves too, are in [distances.csv](distances.csv). The paper's curves are in
`replication/paper/curves.csv`, read off the vector drawings of its PDF, with a reading error of
about 0.02 nats for MNIST and 0.5 nats for Frey Face in figure 2 and 0.05 nats in figure 3.
"""


def before_figures(evidence, distances):
    """Markdown sections: verdicts at a glance, how close the curves are, and the rules."""
    judgements = judge(evidence)
    details = [_details(i, judgement) for i, judgement in enumerate(judgements, 1)]
    return [CLAIMS, _glance(judgements), _closeness(distances), "## The rules\n", *details]


def behind_figures(evidence):
    """Markdown sections: deviations and guesses, and where the numbers come from."""
    page = importlib.resources.files(__package__) / "deviations.md"
    return [page.read_text(encoding="utf-8"), provenance_section(evidence.runs)]


def _glance(judgements):
    rows = [
        [str(i), j.claim.name, f"**{j.verdict}**", headline(j.findings)]
        for i, j in enumerate(judgements, 1)
    ]
    return markdown(["", "claim", "verdict", "numbers"], rows, left=4) + "\n"


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
            markdown(header, rows, left=3) + "\n",
        ]
    )


def _rows(finding):
    if not finding.numbers:
        return [[finding.part, finding.verdict, finding.note, "", "", "", ""]]
    return [
        [
            finding.part if first else "",
            finding.verdict if first else "",
            n.name,
            str(n.estimate),
            n.against,
            count(n.samples) if n.samples else "",
            n.estimate.over,
        ]
        for first, n in zip([True] + [False] * len(finding.numbers), finding.numbers)
    ]


def _wrapped(text):
    text = " ".join(text.split())
    indent = "> " if text.startswith("> ") else ""
    return textwrap.fill(text, 100, subsequent_indent=indent, break_on_hyphens=False)


def _closeness(distances):
    groups = {}
    for d in distances:
        if is_decade(d.samples):
            key = (d.panel.figure, d.panel.dataset, d.algorithm, d.samples)
            groups.setdefault(key, {}).setdefault(d.split, []).append(d)
    if not groups:
        return f"{CLOSENESS}\nNot run yet: no curve reaches one of the paper's at a decade.\n"
    header = ["figure", "data set", "algorithm", "after"]
    header += [f"{split}: {name}" for split in SPLITS[::-1] for name in ("mean", "largest", "≤ 1")]
    rows = [
        [str(figure), NAMES[dataset], NAMES[algorithm], count(samples), *_cells(by_split)]
        for (figure, dataset, algorithm, samples), by_split in groups.items()
    ]
    return f"{CLOSENESS}\n{markdown(header, rows, left=3)}\n"


def _cells(by_split):
    for split in SPLITS[::-1]:
        found = by_split.get(split, [])
        if not found:
            yield from ("–", "–", "–")
            continue
        sizes = [abs(d.estimate.value) for d in found]
        largest = found[sizes.index(max(sizes))]
        name = "N" if largest.panel.n_train else "N_z"
        yield number(sum(sizes) / len(sizes))
        yield f"{largest.estimate} ({name} = {largest.panel.size})"
        yield f"{sum(size <= 1 for size in sizes)} of {len(sizes)}"
