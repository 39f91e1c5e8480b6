"""Where figure 3's curves end: App. D beside a second estimator, and the bound."""

import math

from replication.figures.tables import NAMES, count, estimate, markdown, number

SPLITS = {"train": "training", "test": "test"}
OTHERS = ("importance", "annealed")

AGREEMENT = """\
## Two estimators

Where each curve ends: App. D beside a second estimator on the same images, which is importance
sampling from q(z|x) for AEVB and wake-sleep, and annealed importance sampling for MCEM, which has
no q(z|x). *App. D − other* has a standard error as above. *Gap* is
importance sampling's log p(x) minus the ELBO: an estimate of the divergence of q(z|x) from the
posterior.
"""


def agreement(curves):
    """A row for each curve and split, at the curve's end."""
    header = ["data set", "N_train", "algorithm", "step size", "samples", "images"]
    header += ["App. D", "other", "App. D − other", "ELBO", "gap"]
    rows = []
    for curve, split in ((c, s) for c in curves for s in SPLITS):
        panel, end = curve.panel, curve.end
        ours = curve.values(end, split)
        other = next((name for name in OTHERS if curve.has(name, end)), None)
        check, difference = None, "–"
        if other is not None:
            check = curve.values(end, split, other)
            errors = [curve.mean(end, split, f"{name}_error") for name in ("density", other)]
            difference = estimate(ours - check, math.hypot(*errors), "+", digits=2)
        bound = curve.mean(end, split, "elbo") if curve.has("elbo", end) else None
        gap = None if bound is None or check is None else float(check.mean()) - bound
        rows.append(
            [
                NAMES[panel.dataset],
                str(panel.n_train),
                NAMES[curve.algorithm],
                f"{curve.step_size:g}",
                count(end),
                SPLITS[split],
                number(float(ours.mean()), digits=2),
                number(None if check is None else float(check.mean()), digits=2),
                difference,
                number(bound, digits=2),
                number(gap, "+", digits=2),
            ]
        )
    return markdown(header, rows, left=6)
