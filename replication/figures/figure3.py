"""Figure 3: the marginal likelihood of three algorithms in training, with the paper's curves."""

import math

import pandas as pd

from replication.figures.curves import first_samples, labels, write_figure
from replication.figures.picture import Style
from replication.figures.text import NAMES, SPLIT_NAMES, count, markdown, number, with_error
from replication.measurements import lock
from replication.measurements.table import CURVE, PANEL
from replication.paper import paper_curve
from replication.plan.experiment import (
    ALGORITHMS,
    MCEM_LEAPFROG_STEPS,
    MCEM_UPDATES,
    SPLITS,
    STEP_SIZES,
)
from replication.plan.protocols import FIGURE3_N_TRAIN, figure3_experiment
from replication.plan.schedule import is_round
from replication.plan.step_sizes import PILOT_UPDATES, pilot_samples

STYLE = Style(
    quantity=r"marginal log-likelihood $\log p(x)$",
    algorithms=ALGORITHMS,
    # The paper's axis of samples is linear. A log axis shows our shorter runs better.
    frames={"mnist": ((1e5, 7e7), (-160, -105))},
    beyond=math.inf,
    cell=(4.4, 3.7),
    legend=0.5,
)

# Columns of the table by their names in `table.csv`; `*_error` is the Monte Carlo standard error.
FIELDS = {
    **{"density": "value", "density_error": "error"},
    **{n: n for n in ("importance", "importance_error", "annealed", "annealed_error", "elbo")},
    **{"sem_over_seeds": "over_seeds", "paper": "paper", "difference": "difference"},
}

_SMALLEST = {name: min(sizes) for name, sizes in FIGURE3_N_TRAIN.items()}


def _pilot(name, algorithm):
    experiment = figure3_experiment(name, algorithm, _SMALLEST[name], STEP_SIZES[0])
    return count(pilot_samples(experiment))


_PASSES = f"({MCEM_LEAPFROG_STEPS} leapfrog steps + {MCEM_UPDATES} updates)"

INTRODUCTION = f"""\
# Figure 3: the marginal likelihood during training

![Our curves over the paper's](figure3.png)

The tables show the mean of log p(x) in nats per example, estimated as in App. D, for N_z = 3. The
mean is over the first 1000 training and the first 1000 test images, or over all if there are fewer.
*Paper* is the paper's value, extracted from its figure, and *difference* is ours minus the paper's.
± is the standard error over seeds, if there are several. *Chosen* is the step size chosen by the
paper's rule (see the last section), *given* any other. `table.csv` has the ELBO at all these
counts, the Monte Carlo standard errors, and a second estimate at the ends of the curves.

Training samples are counted as in the paper. AEVB and wake-sleep evaluate one minibatch per step.
Each iteration of MCEM takes the whole training set as one batch and counts as {_PASSES}·N_train
samples: the points of the paper's own MCEM curves lie at multiples of 15·1000 and 15·50000 samples.
The algorithms are therefore evaluated at different counts. The tables compare them at round counts,
to which all curves are interpolated linearly in the logarithm of the samples.
"""

AGREEMENT = """\
## Two estimators

The table compares App. D at the end of each curve with a second estimator: importance sampling
from q(z|x) on the same images for AEVB and wake-sleep; for MCEM, which has no q(z|x), annealed
importance sampling on the first 100 of them. Its *other* is App. D plus the mean difference on
these 100. *App. D − other* has the standard error over seeds, or the Monte Carlo error of
a single seed. *Gap* is log p(x) by importance sampling minus the ELBO, an estimate of the
divergence of q(z|x) from the posterior.
"""

CHOICE = f"""\
## Step sizes

As in the paper, the step size is "chosen […] based on performance on the training set in the first
few iterations". The score is the training log p(x) of App. D in nats per example, averaged over the
seeds that all step sizes have, after {PILOT_UPDATES["mnist"]} weight updates (digits:
{PILOT_UPDATES["digits"]}). This many updates take

- {_pilot("mnist", "aevb")} samples for AEVB and wake-sleep (digits: {_pilot("digits", "aevb")}),
- {_pilot("mnist", "mcem")} samples for MCEM (digits: {_pilot("digits", "mcem")}).

The choice is made for N_train = {_SMALLEST["mnist"]} (digits: {_SMALLEST["digits"]}) and applies to
the larger N_train too. A step size that diverges during these updates is never chosen.
"""


@lock.one_writer("figure3")
def build(results):
    """Writes the tables and the picture to `results/figure3` from the runs in `results/runs`."""
    return write_figure(3, results, STYLE, _sections, _numbers, CHOICE, "training log p(x)")


def _sections(means):
    sections = [INTRODUCTION]
    for (_, dataset, _, n_train), rows in means[_is_shown(means)].groupby(PANEL, observed=True):
        title = f"## {NAMES[dataset]}, N_train = {n_train}\n"
        sections += [title, _comparison(rows) + "\n"]
    if len(means):
        sections += [AGREEMENT, _agreement(means[means.samples == means.curve_end]) + "\n"]
    return sections


def _is_shown(means):
    """Round counts within a curve's range, evaluated or interpolated, and its end."""
    shown = means.samples.map(lambda samples: is_round(samples, "13"))
    shown &= means.samples >= first_samples(means)
    curve = [means[name] for name in CURVE]
    last = means.samples.where(shown).groupby(curve, observed=True).transform("max")
    # Whole iterations of MCEM can end a little after a round count.
    return shown | ((means.samples == means.curve_end) & ~(means.curve_end < 1.05 * last))


def _numbers(means):
    """A row per curve, at 1 and 3 times the powers of ten and at the curve's end."""
    means = means[_is_shown(means) | (means.samples == means.curve_end)]
    train, test = (means[means.split == split].reset_index(drop=True) for split in SPLITS)
    place = test[["dataset", "n_train", "algorithm", "step_size", "role", "seeds", "samples"]]
    parts = [
        rows[[*FIELDS.values()]].set_axis([f"{split}_{name}" for name in FIELDS], axis=1)
        for split, rows in zip(SPLITS, (train, test))
    ]
    return pd.concat([place, *parts], axis=1)


def _comparison(means):
    """A panel's table: a row for each count and algorithm."""
    figure, dataset, latent_dim, n_train = means[PANEL].iloc[0]
    drawn = paper_curve(figure, dataset, "aevb", latent_dim, "test", n_train) is not None
    means = means.sort_values("samples", kind="stable")
    train, test = (means[means.split == split].reset_index(drop=True) for split in SPLIT_NAMES)
    names = labels(test)
    steps = names["step size"] + " (" + test.role + ")"
    columns = [test.samples.map(count), names["algorithm"], steps.rename("step size")]
    for title, rows in zip(SPLIT_NAMES.values(), (train, test)):
        ours = [with_error(*row) for row in zip(rows.value, rows.over_seeds)]
        columns.append(pd.Series(ours, name=f"{title}: ours"))
        if drawn:
            columns.append(pd.Series([number(v) for v in rows.paper], name="paper"))
            differences = [number(v, "+") for v in rows.difference]
            columns.append(pd.Series(differences, name="difference"))
    return markdown(pd.concat(columns, axis=1), left=3)


def _agreement(ends):
    """A row for each curve and split, at the curve's end: App. D, a second estimate, the bound."""
    second = ends.importance.fillna(ends.annealed)
    errors = (ends.error**2 + ends.importance_error.fillna(ends.annealed_error) ** 2) ** 0.5
    rows = labels(ends)[["data set", "N_train", "algorithm", "step size"]]
    rows["samples"] = ends.samples.map(count)
    rows["images"] = ends.split.map(SPLIT_NAMES).astype(object)
    rows["App. D"] = [number(value) for value in ends.value]
    rows["other"] = [number(value) for value in second]
    apart = zip(ends.apart, ends.apart_over_seeds.fillna(errors))
    rows["App. D − other"] = [with_error(*row, sign="+") for row in apart]
    rows["ELBO"] = [number(value) for value in ends.elbo]
    rows["gap"] = [number(value, "+") for value in second - ends.elbo]
    return markdown(rows, left=6)
