"""The paper's choice of Adagrad's step size.

"[…] chosen from {0.01, 0.02, 0.1} based on performance on the training set in the first few
iterations" (sec. 5). Those first iterations, the pilot, are a number of weight updates here.
"""

import dataclasses
import math

from replication.experiment import ALGORITHMS, MCEM_UPDATES, STEP_SIZES

PILOT_UPDATES = {"mnist": 1000, "frey": 1000, "digits": 200}


@dataclasses.dataclass(frozen=True)
class StepSize:
    """How a step size did in the pilot.

    Attributes:
        dataset: name of the data set.
        algorithm: name of the algorithm.
        latent_dim: N_z.
        step_size: Adagrad's global step size.
        seeds: number of runs, with a seed each.
        score: their mean training bound (in figure 3: marginal likelihood) after the pilot, in nats
            per example; NaN if one broke down before.
        verdict: `"chosen"`, `"diverged"` or `""`.
    """

    dataset: str
    algorithm: str
    latent_dim: int
    step_size: float
    seeds: int
    score: float
    verdict: str


def pilot_samples(experiment):
    """The training samples that an experiment's pilot takes."""
    updates = MCEM_UPDATES if experiment.algorithm == "mcem" else 1
    return PILOT_UPDATES[experiment.dataset] // updates * experiment.samples_per_step


def pilots(runs):
    """The paper's step sizes that have a pilot, compared for each data set, algorithm and N_z.

    The step sizes that have the lowest seed are compared, by their mean over the seeds that all of
    them have: after so few updates one seed may lie ten nats from another. A step size is diverged,
    and never chosen, if the score of any of its pilots is not finite or lies below the untrained
    one. Nothing is chosen from less than two.

    Args:
        runs: list of `Run`, of any data sets, algorithms and N_z, with the settings of one figure.

    Returns:
        List of `StepSize`, ordered by data set, algorithm, N_z and step size.
    """
    groups = {}
    for run in sorted(runs, key=_order):
        e = run.experiment
        groups.setdefault((e.dataset, e.algorithm, e.latent_dim), []).append(run)
    return [row for panel, group in groups.items() for row in _compare(panel, group)]


def chosen(rows, dataset, algorithm, latent_dim):
    """The chosen step size among the rows of `pilots`, or `None` if no choice was made."""
    panel = dataset, algorithm, latent_dim
    matches = (r for r in rows if (r.dataset, r.algorithm, r.latent_dim) == panel)
    return next((r.step_size for r in matches if r.verdict == "chosen"), None)


def _order(run):
    e = run.experiment
    dataset, algorithm = list(PILOT_UPDATES).index(e.dataset), ALGORITHMS.index(e.algorithm)
    return dataset, algorithm, e.latent_dim, e.step_size


def _compare(panel, runs):
    tried = {}  # by step size: the scores before and after the pilot, by seed
    for run in runs:
        e, score = run.experiment, _pilot_score(run)
        if e.step_size in STEP_SIZES and score is not None:
            tried.setdefault(e.step_size, {})[e.seed] = run.points[0][e.score], score
    lowest = min(run.experiment.seed for run in runs)
    tried = {step: by_seed for step, by_seed in tried.items() if lowest in by_seed}
    seeds = sorted(set.intersection(*map(set, tried.values()))) if tried else []
    scores, verdicts = {}, {}  # by step size
    for step, by_seed in tried.items():
        stable = all(math.isfinite(end) and end >= start for start, end in by_seed.values())
        scores[step] = sum(by_seed[seed][1] for seed in seeds) / len(seeds)
        verdicts[step] = "" if stable else "diverged"
    rivals = [step for step in scores if verdicts[step] != "diverged"]
    if rivals and len(scores) > 1:
        verdicts[max(rivals, key=scores.get)] = "chosen"
    return [StepSize(*panel, step, len(seeds), scores[step], verdicts[step]) for step in scores]


def _pilot_score(run):
    """The score after the pilot, NaN if the run broke down before, `None` if neither."""
    samples, score = pilot_samples(run.experiment), run.experiment.score
    point = run.at(samples)
    if point is not None:
        return point[score]
    last = run.points[-1]
    broke_down = last.samples < samples and not math.isfinite(last[score])
    return math.nan if broke_down else None
