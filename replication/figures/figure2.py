"""Figure 2: the lower bound of AEVB and wake-sleep during training, with the paper's curves."""

import numpy as np
import pandas as pd

from replication.figures.curves import first_samples, labels, write_figure
from replication.figures.picture import Style
from replication.figures.text import NAMES, count, markdown, number, with_error
from replication.measurements import lock
from replication.measurements.table import CURVE
from replication.paper import paper_value
from replication.plan.experiment import LATENT_DIMS, SPLITS, STEP_SIZES
from replication.plan.protocols import FIGURE2_ALGORITHMS, figure2_experiment
from replication.plan.schedule import is_decade, is_round
from replication.plan.step_sizes import PILOT_UPDATES, pilot_samples

STYLE = Style(
    quantity=r"lower bound $\mathcal{L}$",
    algorithms=FIGURE2_ALGORITHMS,
    frames={  # with a margin at the top
        "mnist": ((1e5, 2.5e8), (-150, -95)),
        "frey": ((1e5, 1e8), (0, 1600)),
    },
    beyond=10,
    cell=(3, 2.9),
)


def _pilot_samples(name, **settings):
    latent_dim = LATENT_DIMS[name][0]
    experiment = figure2_experiment(name, "aevb", latent_dim, STEP_SIZES[0], **settings)
    return count(pilot_samples(experiment))


INTRODUCTION = """\
# Figure 2: the lower bound during training

![Our curves over the paper's](figure2.png)

Each row shows the test bound for one step size, in nats per example on the whole test set, after a
number of training samples. *Paper* is the paper's value, extracted from its figure, and
*difference* is ours minus the paper's. ± is the standard error over seeds, if there are several.
`table.csv` has the training bound and more sample counts.

- *Chosen* is the step size chosen by the paper's rule (see the last section).
- *Closest* is the step size whose test curve is nearest to the paper's.
- *Given* is any other step size.
- *Text* has the settings of the paper's text. The other runs of Frey Face have settings inferred
  from the paper's curves (see the deviations).
"""

CHOICE = f"""\
## Step sizes

As in the paper, the step size is "chosen […] based on performance on the training set in the first
few iterations", separately for each N_z and algorithm. The score is the training bound in nats per
example, averaged over the seeds that all step sizes have, after {PILOT_UPDATES["mnist"]} weight
updates (digits: {PILOT_UPDATES["digits"]}). This many updates take

- {_pilot_samples("mnist")} samples of MNIST,
- {_pilot_samples("frey")} samples of Frey Face (text: {_pilot_samples("frey", text=True)}),
- {_pilot_samples("digits")} samples of the digits.

A step size that diverges during these updates is never chosen.
"""


@lock.one_writer("figure2")
def build(results):
    """Writes the tables and the picture to `results/figure2` from the runs in `results/runs`."""
    parts = STYLE, _sections, _numbers, CHOICE, "training bound"
    return write_figure(2, results, *parts, show_closest=True)


def _sections(means):
    means = means[means.evaluated]
    sections = [INTRODUCTION]
    for dataset, rows in means.groupby("dataset", observed=True):
        sections += [f"## {NAMES[dataset]}\n", _section(rows) + "\n"]
    return sections


def _numbers(means):
    """A row per curve, at 1, 2 and 5 times the powers of ten and at the curve's end."""
    means = means[means.evaluated]
    is_shown = means.samples.map(is_round) & (means.samples >= first_samples(means))
    shown = means[is_shown | (means.samples == means.curve_end)]
    train, test = (shown[shown.split == split].reset_index(drop=True) for split in SPLITS)
    keys = test[["dataset", "latent_dim", "algorithm", "step_size", "role", "seeds", "samples"]]
    return keys.assign(
        train_elbo=train.value,
        test_elbo=test.value,
        test_sem_over_seeds=test.over_seeds,
        paper_train=train.paper,
        paper_test=test.paper,
        train_difference=train.difference,
        test_difference=test.difference,
    )


def _section(means):
    """A data set's table: our value, the paper's and the difference, at each decade and the end."""
    means = means[means.split == "test"]
    curves = means.drop_duplicates(CURVE)
    shown = means[means.samples.map(is_decade) & (means.samples >= first_samples(means))]
    names = labels(curves)
    steps = names["step size"] + " (" + curves.role + ")"
    columns = [names["N_z"], names["algorithm"], steps.rename("step size")]
    for samples in sorted({*shown.samples, means.curve_end.max()}):
        at = means[means.samples == samples].set_index(CURVE)
        at = at.reindex(pd.MultiIndex.from_frame(curves[CURVE]))
        ours = [with_error(value, sem) for value, sem in zip(at.value, at.over_seeds)]
        columns.append(pd.Series(ours, curves.index, name=f"{count(samples)} ours"))
        keys = curves[["figure", "dataset", "algorithm", "latent_dim", "split"]]
        paper = [paper_value(*key, at=samples) for key in keys.itertuples(index=False)]
        if not np.isnan(paper).all():
            differences = [number(value, "+") for value in at.difference]
            columns.append(pd.Series(map(number, paper), curves.index, name="paper"))
            columns.append(pd.Series(differences, curves.index, name="difference"))
    return markdown(pd.concat(columns, axis=1), left=3)
