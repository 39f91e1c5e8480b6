"""The tables of figure 2: our bounds beside the paper's, and the choice of the step sizes."""

import dataclasses

import numpy as np

from replication.figures.figure2_curves import is_decade
from replication.figures.tables import NAMES, count, csv_text, markdown, number
from replication.step_sizes import PILOT_SAMPLES, StepSize

# The paper's panels start at 10⁵. Our digits have too few examples to need as many samples.
FIRST_SAMPLES = {"mnist": 100_000, "frey": 100_000, "digits": 10_000}

COLUMNS = (
    "dataset",
    "latent_dim",
    "algorithm",
    "step_size",
    "role",
    "seeds",
    "samples",
    "train_elbo",
    "test_elbo",
    "test_sem_over_seeds",
    "paper_train",
    "paper_test",
    "train_difference",
    "test_difference",
)

_PILOT, _DIGITS_PILOT = count(PILOT_SAMPLES["mnist"]), count(PILOT_SAMPLES["digits"])

INTRODUCTION = """\
# Figure 2: the lower bound during training

![Our curves over the paper's](figure2.png)

Each row follows one step size: the test bound, in nats per example on the fixed test subset, after
a number of training samples. *Paper* is read off the drawing in the paper, and *difference* is
ours minus the paper's: negative where ours is below. ± is the standard error over seeds, where
there are several. *Chosen* is the step size that the paper's rule picks (see the end), *closest*
the one whose test curve comes nearest to the paper's, *given* any other. The training bound and
more sample counts are in `table.csv`.
"""

STEP_SIZES = f"""\
## Step sizes

As in the paper, the step size is "chosen […] based on performance on the training set in the first
few iterations": by the training bound, in nats per example, after {_PILOT} samples
({_DIGITS_PILOT} for the digits), averaged over the N_z that all step sizes share.
One that diverges for any N_z by then is never chosen; its row is about those N_z alone.
"""


def table_csv(curves):
    """One row per curve at 1, 2 and 5 times the powers of ten and at the curve's end."""
    return csv_text(COLUMNS, [_row(c, s) for c in curves for s in _samples(c)])


def step_sizes_csv(pilots):
    rows = [dataclasses.asdict(pilot) for pilot in pilots]
    for row in rows:
        row["step_size"] = f"{row['step_size']:g}"
        row["latent_dims"] = " ".join(map(str, row["latent_dims"]))
    return csv_text([field.name for field in dataclasses.fields(StepSize)], rows)


def table_markdown(curves, pilots, diverged):
    """The whole page.

    Args:
        curves: list of `Curve` to show.
        pilots: list of `StepSize`.
        diverged: list of `Run` that are left out because they diverged.
    """
    parts = [INTRODUCTION]
    for dataset in dict.fromkeys(c.dataset for c in curves):
        section = _section([c for c in curves if c.dataset == dataset])
        parts += [f"## {NAMES[dataset]}\n", section + "\n"]
    if pilots:
        parts += [STEP_SIZES, _pilot_table(pilots) + "\n"]
    others = _not_in_pilots(diverged, pilots)
    if others:
        parts += ["These runs diverged too. They are left out above.\n", _run_table(others) + "\n"]
    return "\n".join(parts)


def _row(curve, samples):
    tests = curve.bounds(samples, "test")
    return {
        "dataset": curve.dataset,
        "latent_dim": curve.latent_dim,
        "algorithm": curve.algorithm,
        "step_size": f"{curve.step_size:g}",
        "role": curve.role,
        "seeds": len(tests),
        "samples": samples,
        "train_elbo": curve.mean(samples, "train"),
        "test_elbo": curve.mean(samples, "test"),
        "test_sem_over_seeds": _sem(tests),
        "paper_train": curve.paper(samples, "train"),
        "paper_test": curve.paper(samples, "test"),
        "train_difference": curve.difference(samples, "train"),
        "test_difference": curve.difference(samples, "test"),
    }


def _sem(values):
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _samples(curve):
    first = FIRST_SAMPLES[curve.dataset]
    shown = {s for s in curve.points if s >= first and str(s).rstrip("0") in ("1", "2", "5")}
    return sorted(shown | {curve.end})


def _section(curves):
    """A data set's table, with ours, paper and difference at each decade and at the end."""
    reached = {s for c in curves for s in c.points if s >= FIRST_SAMPLES[c.dataset]}
    columns = sorted({s for s in reached if is_decade(s)} | {max(c.end for c in curves)})
    header = ["N_z", "algorithm", "step size"]
    rows = [[str(c.latent_dim), NAMES[c.algorithm], f"{c.step_size:g} ({c.role})"] for c in curves]
    for samples in columns:
        header.append(f"{count(samples)} ours")
        for curve, row in zip(curves, rows):
            row.append(_ours(curve, samples))
        if all(c.paper(samples, "test") is None for c in curves):
            continue
        header += ["paper", "difference"]
        for curve, row in zip(curves, rows):
            reached_it = samples in curve.points
            row.append(number(curve.paper(samples, "test")))
            row.append(number(curve.difference(samples, "test") if reached_it else None, "+"))
    return markdown(header, rows, left=3)


def _ours(curve, samples):
    if samples not in curve.points:
        return number(None)
    sem = _sem(curve.bounds(samples, "test"))
    error = "" if sem is None else f" ± {number(sem)}"
    return number(curve.mean(samples, "test")) + error


def _pilot_table(pilots):
    header = ["data set", "algorithm", "verdict", "step size", "training bound", "N_z"]
    rows = [
        [
            NAMES[p.dataset],
            NAMES[p.algorithm],
            p.verdict,
            f"{p.step_size:g}",
            number(p.train_elbo),
            ", ".join(map(str, p.latent_dims)),
        ]
        for p in pilots
    ]
    return markdown(header, rows, left=3)


def _not_in_pilots(runs, pilots):
    """The diverged runs that the pilots do not tell of: later ones, and those of other seeds."""
    told = {
        (p.dataset, p.algorithm, p.step_size, latent_dim)
        for p in pilots
        if p.verdict == "diverged"
        for latent_dim in p.latent_dims
    }
    experiments = [run.experiment for run in runs]
    return [
        run
        for run, e in zip(runs, experiments)
        if (e.dataset, e.algorithm, e.step_size, e.latent_dim) not in told
    ]


def _run_table(runs):
    header = ["data set", "algorithm", "N_z", "step size", "seed", "samples", "training bound"]
    rows = [
        [
            NAMES[e.dataset],
            NAMES[e.algorithm],
            str(e.latent_dim),
            f"{e.step_size:g}",
            str(e.seed),
            str(last.samples),
            number(last.train_elbo),
        ]
        for e, last in ((run.experiment, run.points[-1]) for run in runs)
    ]
    return markdown(header, rows, left=2)
