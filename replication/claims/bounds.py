"""The claims about figure 2: AEVB versus wake-sleep, and superfluous latent variables."""

import numpy as np

from replication.claims.rules import (
    DOUBLING,
    MARGIN,
    SIGMAS,
    Claim,
    Finding,
    Number,
    ahead,
    all_of,
    combined,
    lead,
    not_below,
    shared_end,
    stays_ahead,
    undecided,
)
from replication.figures.text import NAMES, count
from replication.measurements.table import FIRST_COMPARABLE
from replication.paper import paper_curve, paper_value
from replication.plan.experiment import LATENT_DIMS, PAPER_DATASETS

PANELS = [(dataset, n) for dataset in PAPER_DATASETS for n in LATENT_DIMS[dataset]]
ENOUGH, TOO_MANY = 20, 200  # N_z
GAP = 0.5  # nats between the paper's training and test curves; a smaller gap shows no overfitting


def _faster(evidence):
    return [_panel(evidence, *panel) for panel in PANELS]


def _panel(evidence, dataset, latent_dim):
    part = f"{NAMES[dataset]}, N_z = {latent_dim}"
    curves = {NAMES[a]: evidence.figure2(dataset, latent_dim, a) for a in ("aevb", "wake-sleep")}
    if finding := undecided(part, curves, FIRST_COMPARABLE):
        return finding
    aevb, wake_sleep = curves.values()
    end = shared_end(aevb, wake_sleep)
    decades = [10**k for k in range(6, 10) if 10**k <= end]
    leads = [lead(aevb, wake_sleep, s, "test", f"AEVB's lead after {count(s)}") for s in decades]
    verdict, last = stays_ahead(aevb, wake_sleep, "test", "AEVB's lead")
    faster = all_of([ahead(number.estimate) for number in leads])
    earlier = (number for number in leads if number.samples < end)
    return Finding(part, combined([faster, verdict]), (*earlier, *last))


FASTER = Claim(
    "AEVB beats wake-sleep",
    "AEVB converges considerably faster than wake-sleep and reaches a better bound",
    "figure 2 and sec. 5",
    "panels",
    f"""Each panel compares test bounds at equal numbers of training samples, with the chosen step
sizes. Faster: AEVB leads by more than {SIGMAS} standard errors at every decade from
{count(FIRST_COMPARABLE)} that both curves reach. Better: {DOUBLING} A panel is replicated if both
conditions hold, and partly replicated if one does. The budget is too small
to say whether a condition holds if a lead is within {SIGMAS} standard errors of 0, or if the curves
share fewer than {count(FIRST_COMPARABLE)} samples.""",
    _faster,
)


def _superfluous(evidence):
    parts = ("the test bound is no worse", "the gap to training is no wider")
    curves = {f"N_z = {n}": evidence.figure2("mnist", n, "aevb") for n in (ENOUGH, TOO_MANY)}
    findings = [undecided(part, curves, overfitting_start()) for part in parts]
    if all(findings):
        return findings
    few, many = curves.values()
    end = shared_end(few, many)
    test = many.at(end, "test") - few.at(end, "test")
    narrower = few.gap(end) - many.gap(end)
    name = f"N_z = {TOO_MANY} minus {ENOUGH}"
    limit = f"≥ −{MARGIN:g} or within {SIGMAS} s.e. of 0"
    numbers = (
        Number(f"test bound, {name}", test, limit, end),
        Number(f"gap, N_z = {ENOUGH} minus {TOO_MANY}", narrower, limit, end),
    )
    return [Finding(p, not_below(n.estimate), (n,)) for p, n in zip(parts, numbers)]


def overfitting_start():
    """The last sample count at which the paper's curves at N_z = 20 are within `GAP`."""
    train = paper_curve(2, "mnist", "aevb", ENOUGH, "train")
    test = paper_value(2, "mnist", "aevb", ENOUGH, "test", at=train.index)
    return int(train.index[np.isnan(test) | (train - test < GAP)].max())


SUPERFLUOUS = Claim(
    "Superfluous latents do not overfit",
    "Superfluous latent variables do not result in overfitting: MNIST, N_z = 200 against 20",
    "sec. 5",
    "parts",
    f"""AEVB with N_z = {TOO_MANY} is compared with N_z = {ENOUGH} at the largest number of samples
that both reached. No worse: the test bound at {TOO_MANY} is at most {MARGIN:g} nat or {SIGMAS}
standard errors below the one at {ENOUGH}. No wider: the same holds for the gap between training and
test bound. The budget is too small to say if {SIGMAS} standard errors exceed {2 * MARGIN:g} nats,
because a loss of that size could go unseen, or below {count(overfitting_start())} samples, where
the paper's own training and test curves at N_z = {ENOUGH} still lie within {GAP} nats.""",
    _superfluous,
)
