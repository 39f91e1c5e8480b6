"""The paper's choice of Adagrad's step size.

"[…] chosen from {0.01, 0.02, 0.1} based on performance on the training set in the first few
iterations" (sec. 5). Those first iterations, the pilot, are a number of weight updates here.
"""

import dataclasses
import itertools
import math

import numpy as np

from replication.experiment import ALGORITHMS, MCEM_UPDATES, STEP_SIZES

PILOT_UPDATES = {"mnist": 1000, "frey": 1000, "digits": 200}


@dataclasses.dataclass(frozen=True)
class StepSize:
    """How a step size did in the pilot.

    Attributes:
        dataset: name of the data set.
        algorithm: name of the algorithm.
        step_size: Adagrad's global step size.
        latent_dims: the N_z that are averaged: those all step sizes share, or those that diverged.
        score: mean training bound (in figure 3: marginal likelihood) after the pilot, in nats per
            example; NaN if there is nothing to average.
        verdict: `"chosen"`, `"diverged"` or `""`.
    """

    dataset: str
    algorithm: str
    step_size: float
    latent_dims: tuple[int, ...]
    score: float
    verdict: str


def pilot_samples(experiment):
    """The training samples that an experiment's pilot takes."""
    updates = MCEM_UPDATES if experiment.algorithm == "mcem" else 1
    return PILOT_UPDATES[experiment.dataset] // updates * experiment.samples_per_step


def pilots(runs):
    """The paper's step sizes that have a pilot, compared on the N_z they share.

    A step size is diverged, and never chosen, if for any N_z the pilot's score is not finite or
    lies below the untrained one. Only the lowest seed counts. Nothing is chosen from less than two.

    Args:
        runs: list of `Run`, of any data sets and algorithms, with the settings of one figure.

    Returns:
        List of `StepSize`, ordered by data set, algorithm and step size.
    """
    groups = {}
    for run in runs:
        groups.setdefault((run.experiment.dataset, run.experiment.algorithm), []).append(run)
    order = [group for group in itertools.product(PILOT_UPDATES, ALGORITHMS) if group in groups]
    return [row for group in order for row in _compare(*group, groups[group])]


def chosen(rows, dataset, algorithm):
    """The chosen step size among the rows of `pilots`, or `None` if no choice was made."""
    matches = (r for r in rows if (r.dataset, r.algorithm) == (dataset, algorithm))
    return next((r.step_size for r in matches if r.verdict == "chosen"), None)


def _compare(dataset, algorithm, runs):
    seed = min(r.experiment.seed for r in runs)
    bounds, diverged = {}, {}  # step size -> N_z -> score
    for run in runs:
        experiment, bound = run.experiment, _pilot_score(run)
        if experiment.seed != seed or experiment.step_size not in STEP_SIZES or bound is None:
            continue
        stable = math.isfinite(bound) and bound >= run.points[0][experiment.score]
        kind = bounds if stable else diverged
        kind.setdefault(experiment.step_size, {})[experiment.latent_dim] = bound

    rivals = {step: by_dim for step, by_dim in bounds.items() if step not in diverged}
    shared = set.intersection(*map(set, rivals.values())) if rivals else set()
    scores = {step: _mean(by_dim, shared) for step, by_dim in rivals.items()}
    tried = sorted({*bounds, *diverged})
    best = max(scores, key=scores.get) if shared and len(tried) > 1 else None
    rows = []
    for step in tried:
        if step in diverged:
            dims, score, verdict = diverged[step], _mean(diverged[step]), "diverged"
        else:
            dims, score, verdict = shared, scores[step], "chosen" if step == best else ""
        rows.append(StepSize(dataset, algorithm, step, tuple(sorted(dims)), score, verdict))
    return rows


def _pilot_score(run):
    """The score after the pilot, NaN if the run broke down before, `None` if neither."""
    samples, score = pilot_samples(run.experiment), run.experiment.score
    point = run.at(samples)
    if point is not None:
        return point[score]
    last = run.points[-1]
    broke_down = last.samples < samples and not math.isfinite(last[score])
    return math.nan if broke_down else None


def _mean(by_dim, dims=None):
    values = [by_dim[dim] for dim in (by_dim if dims is None else dims)]
    return float(np.mean(values)) if values else math.nan
