"""The paper's choice of Adagrad's step size.

"[…] chosen from {0.01, 0.02, 0.1} based on performance on the training set in the first few
iterations" (sec. 5). Here these first iterations are a fixed number of weight updates, the pilot.
"""

import numpy as np
import pandas as pd

from replication.plan.experiment import MCEM_UPDATES, STEP_SIZES

PILOT_UPDATES = {"mnist": 1000, "frey": 1000, "digits": 200}
CHOICE = ["dataset", "algorithm", "latent_dim", "settings"]
COLUMNS = [*CHOICE, "step_size", "seeds", "score", "verdict"]


def pilot_samples(experiment):
    """The training samples of an experiment's pilot."""
    updates = MCEM_UPDATES if experiment.algorithm == "mcem" else 1
    return PILOT_UPDATES[experiment.dataset] // updates * experiment.samples_per_step


def pilots(table):
    """Compares step sizes by their pilot runs, for each data set, algorithm and N_z.

    The second curves of figure 2, with the settings of the text, are compared separately.

    Step sizes without a run of the lowest seed are left out. The others are compared by their mean
    over the seeds that all of them share, because after so few updates seeds may differ by ten
    nats. A step size has diverged, and is never chosen, if the score of any pilot run is not finite
    or below that of the untrained model. A choice needs at least two step sizes.

    Args:
        table: rows of `measurements.table`, of one figure.

    Returns:
        A table of `COLUMNS`: the number of seeds, their mean score in nats per example (the
        training bound, or log p(x) in figure 3), and `"chosen"`, `"diverged"` or `""`.
    """
    rivals = table[(table.split == "train") & table.is_pilot]
    groups = rivals.groupby(CHOICE, observed=True)
    compared = [_compared(group).assign(**dict(zip(CHOICE, key))) for key, group in groups]
    return pd.concat(compared)[COLUMNS] if compared else pd.DataFrame(columns=COLUMNS)


def chosen(pilots, dataset, algorithm, latent_dim, settings=""):
    """The chosen step size among the rows of `pilots`, or `None` if no choice was made."""
    choice = pilots[pilots.verdict == "chosen"].set_index(CHOICE).step_size
    step_size = choice.get((dataset, algorithm, latent_dim, settings))
    return None if step_size is None else float(step_size)


def _compared(rivals):
    # A run that diverged before the end of the pilot has no row there.
    diverged_early = (rivals.samples == rivals.end) & ~np.isfinite(rivals.value)
    ends = (rivals.samples == rivals.pilot) | (diverged_early & (rivals.samples < rivals.pilot))
    trials = rivals[ends & rivals.step_size.isin(STEP_SIZES)]
    with_lowest = trials.step_size[trials.seed == rivals.seed.min()]
    trials = trials[trials.step_size.isin(with_lowest)]
    trials = trials.assign(stable=np.isfinite(trials.value) & (trials.value >= trials.untrained))
    scores = trials.pivot(index="step_size", columns="seed", values="value")
    have = trials.pivot(index="step_size", columns="seed", values="stable").notna().all()
    verdict = trials.groupby("step_size").stable.all().map({True: "", False: "diverged"})
    score = scores.loc[:, have].mean(axis=1, skipna=False)
    if len(score) > 1 and (verdict == "").any():
        verdict[score[verdict == ""].idxmax()] = "chosen"
    found = {"seeds": have.sum(), "score": score, "verdict": verdict}
    return pd.DataFrame(found).rename_axis("step_size").reset_index()
