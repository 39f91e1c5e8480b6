"""The tables of figure 2: our bounds beside the paper's, and the choice of the step sizes."""

from replication.experiment import BATCH_SIZE
from replication.figures.step_size_tables import step_size_sections
from replication.figures.tables import (
    NAMES,
    count,
    csv_text,
    estimate,
    is_decade,
    is_round,
    markdown,
    number,
    sem,
)
from replication.schedule import FIRST_SAMPLES
from replication.step_sizes import PILOT_UPDATES

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

_PILOT, _DIGITS_PILOT = (count(BATCH_SIZE * PILOT_UPDATES[name]) for name in ("mnist", "digits"))

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
few iterations": for each N_z and algorithm, by the training bound, in nats per example, the mean
over the seeds that all step sizes have, after {_PILOT} samples ({_DIGITS_PILOT} for the digits).
One that diverges by then is never chosen.
"""


def table_csv(curves):
    """One row per curve at 1, 2 and 5 times the powers of ten and at the curve's end."""
    return csv_text(COLUMNS, [_row(c, s) for c in curves for s in _samples(c)])


def table_markdown(curves, pilots, runs):
    """The whole page.

    Args:
        curves: list of `Curve` to show.
        pilots: list of `StepSize`.
        runs: list of `Run`, all of the figure.
    """
    parts = [INTRODUCTION]
    for dataset in dict.fromkeys(c.panel.dataset for c in curves):
        section = _section([c for c in curves if c.panel.dataset == dataset])
        parts += [f"## {NAMES[dataset]}\n", section + "\n"]
    parts += step_size_sections(STEP_SIZES, "training bound", pilots, runs, runs)
    return "\n".join(parts)


def _row(curve, samples):
    tests = curve.values(samples, "test")
    return {
        "dataset": curve.panel.dataset,
        "latent_dim": curve.panel.latent_dim,
        "algorithm": curve.algorithm,
        "step_size": f"{curve.step_size:g}",
        "role": curve.role,
        "seeds": len(tests),
        "samples": samples,
        "train_elbo": curve.mean(samples, "train"),
        "test_elbo": curve.mean(samples, "test"),
        "test_sem_over_seeds": sem(tests),
        "paper_train": curve.paper(samples, "train"),
        "paper_test": curve.paper(samples, "test"),
        "train_difference": curve.difference(samples, "train"),
        "test_difference": curve.difference(samples, "test"),
    }


def _samples(curve):
    first = FIRST_SAMPLES[curve.panel.dataset]
    return sorted({s for s in curve.counts if s >= first and is_round(s)} | {curve.end})


def _section(curves):
    """A data set's table, with ours, paper and difference at each decade and at the end."""
    reached = {s for c in curves for s in c.counts if s >= FIRST_SAMPLES[c.panel.dataset]}
    columns = sorted({s for s in reached if is_decade(s)} | {max(c.end for c in curves)})
    header = ["N_z", "algorithm", "step size"]
    rows = [[str(c.panel.size), NAMES[c.algorithm], f"{c.step_size:g} ({c.role})"] for c in curves]
    for samples in columns:
        reach = [c.reaches(samples) for c in curves]
        header.append(f"{count(samples)} ours")
        for curve, row, reached_it in zip(curves, rows, reach):
            row.append(estimate(curve.values(samples, "test")) if reached_it else number(None))
        if all(c.paper(samples, "test") is None for c in curves):
            continue
        header += ["paper", "difference"]
        for curve, row, reached_it in zip(curves, rows, reach):
            row.append(number(curve.paper(samples, "test")))
            row.append(number(curve.difference(samples, "test") if reached_it else None, "+"))
    return markdown(header, rows, left=3)
