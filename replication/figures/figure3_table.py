"""The page of figure 3: our likelihoods beside the paper's, and how two estimators agree."""

from replication.experiment import MCEM_LEAPFROG_STEPS, MCEM_UPDATES, STEP_SIZES
from replication.figures.figure3_agreement import AGREEMENT, SPLITS, agreement
from replication.figures.step_size_tables import step_size_sections
from replication.figures.tables import (
    NAMES,
    count,
    csv_text,
    estimate,
    markdown,
    number,
    sem,
)
from replication.protocols import FIGURE3_N_TRAIN, figure3_experiment
from replication.schedule import FIRST_SAMPLES
from replication.step_sizes import PILOT_UPDATES, pilot_samples

# `*_error` is the Monte Carlo standard error of one seed's estimate.
MEASURED = (
    *("density", "density_error"),
    *("importance", "importance_error"),
    *("annealed", "annealed_error"),
    "elbo",
)
FIELDS = (*MEASURED, "sem_over_seeds", "paper", "difference")
COLUMNS = (
    *("dataset", "n_train", "algorithm", "step_size", "role", "seeds", "samples"),
    *(f"{split}_{name}" for split in SPLITS for name in FIELDS),
)

_SMALLEST = {name: min(sizes) for name, sizes in FIGURE3_N_TRAIN.items()}


def _pilot(name, algorithm):
    experiment = figure3_experiment(name, algorithm, _SMALLEST[name], STEP_SIZES[0])
    return count(pilot_samples(experiment))


_PASSES = f"({MCEM_LEAPFROG_STEPS} leapfrog steps + {MCEM_UPDATES} updates)"

INTRODUCTION = f"""\
# Figure 3: the marginal likelihood during training

![Our curves over the paper's](figure3.png)

The mean of log p(x), in nats per example, over the first 1000 training and the first
1000 test images (fewer where there are fewer), estimated as in App. D, for N_z = 3.
*Paper* is read off the drawing in the paper, and *difference* is ours minus the paper's: negative
where ours is below. ± is the standard error over seeds; in brackets, where there is one seed, the
Monte Carlo standard error of the estimate. *Chosen* is the step size that the paper's rule picks
(see the end), *given* any other. The ELBO at all these counts, and a second estimate where the
curves end, are in `table.csv`.

Training samples are counted as in the paper. AEVB and wake-sleep evaluate one minibatch in each
step. Each iteration of MCEM takes the whole training set as one batch and counts
{_PASSES}·N_train samples: the points of the paper's own MCEM curves lie
at multiples of 15·1000 and 15·50000 samples. So the algorithms are evaluated at different counts.
The tables compare them at round ones, where each of our curves and of the paper's is interpolated
linearly in the logarithm of the samples.
"""

CHOICE = f"""\
## Step sizes

As in the paper, the step size is "chosen […] based on performance on the training set in the first
few iterations": by the training log p(x) of App. D, in nats per example, the mean over the seeds
that all step sizes have, after
{PILOT_UPDATES["mnist"]} weight updates (digits: {PILOT_UPDATES["digits"]}), which take

- AEVB and wake-sleep {_pilot("mnist", "aevb")} samples (digits: {_pilot("digits", "aevb")}),
- MCEM {_pilot("mnist", "mcem")} samples (digits: {_pilot("digits", "mcem")}).

The choice is made for N_train = {_SMALLEST["mnist"]} (digits: {_SMALLEST["digits"]}) and holds for
the larger one. A step size that diverges by then is never chosen.
"""


def table_csv(curves):
    """One row per curve at 1 and 3 times the powers of ten and at the curve's end."""
    return csv_text(COLUMNS, [_row(c, s) for c in curves for s in sorted({*_samples(c), c.end})])


def table_markdown(curves, pilots, rivals, runs):
    """The whole page.

    Args:
        curves: list of `Curve` to show.
        pilots: list of `StepSize`.
        rivals: list of `Run`, those whose step sizes were compared.
        runs: list of `Run`, all of the figure.
    """
    parts = [INTRODUCTION]
    for panel in dict.fromkeys(c.panel for c in curves):
        ours = [c for c in curves if c.panel == panel]
        title = f"## {NAMES[panel.dataset]}, N_train = {panel.n_train}\n"
        parts += [title, _comparison(panel, ours) + "\n"]
    if curves:
        parts += [AGREEMENT, agreement(curves) + "\n"]
    parts += step_size_sections(CHOICE, "training log p(x)", pilots, rivals, runs)
    return "\n".join(parts)


def _samples(curve):
    """Round counts that the curve reaches, whether or not it was evaluated there, and its end."""
    first = FIRST_SAMPLES[curve.panel.dataset]
    decades = [10**k for k in range(len(str(curve.end)))]
    counts = [digit * decade for decade in decades for digit in (1, 3)]
    shown = [s for s in counts if s >= first and curve.reaches(s)]
    # Whole iterations of MCEM can end a little after a round count.
    return shown if shown and curve.end < 1.05 * shown[-1] else [*shown, curve.end]


def _row(curve, samples):
    row = {
        "dataset": curve.panel.dataset,
        "n_train": curve.panel.n_train,
        "algorithm": curve.algorithm,
        "step_size": f"{curve.step_size:g}",
        "role": curve.role,
        "seeds": len(curve.values(samples, "test")),
        "samples": samples,
    }
    for split in SPLITS:
        for name in (n for n in MEASURED if curve.has(n, samples)):
            row[f"{split}_{name}"] = curve.mean(samples, split, name)
        row[f"{split}_sem_over_seeds"] = sem(curve.values(samples, split))
        row[f"{split}_paper"] = curve.paper(samples, split)
        row[f"{split}_difference"] = curve.difference(samples, split)
    return row


def _comparison(panel, curves):
    """A panel's table: the three algorithms one below another at each count."""
    drawn = panel.paper("aevb", "test") is not None
    header = ["samples", "algorithm", "step size"]
    for split in SPLITS.values():
        header += [f"{split}: ours", *(["paper", "difference"] if drawn else [])]
    rows = []
    counts = [(samples, curve) for curve in curves for samples in _samples(curve)]
    for samples, curve in sorted(counts, key=lambda pair: pair[0]):
        row = [count(samples), NAMES[curve.algorithm], f"{curve.step_size:g} ({curve.role})"]
        for split in SPLITS:
            error = curve.mean(samples, split, "density_error")
            row.append(estimate(curve.values(samples, split), error, digits=2))
            if drawn:
                row.append(number(curve.paper(samples, split), digits=2))
                row.append(number(curve.difference(samples, split), "+", digits=2))
        rows.append(row)
    return markdown(header, rows, left=3)
