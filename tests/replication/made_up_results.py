"""A synthetic results folder for the tests of claims, `verify` and the report."""

import json
import math

from made_up import write_run

from replication.measurements.variances import FILE
from replication.paper import paper_curve, paper_value
from replication.plan.protocols import figure2_experiment, figure3_experiment

GRID = [int(m * 10**k) for k in range(3, 8) for m in (10, 12.5, 16, 20, 25, 32, 40, 50, 63, 80)]
BOUND_SEM = {"mnist": 0.3, "frey": 10.0}


def counts(end):
    return [s for s in GRID if s < end] + [end]


def like_paper(figure, experiment, samples, split):
    """The paper's curve, extended by a steep line before its start and by its last value."""
    e = experiment
    place = (figure, e.dataset, e.algorithm, e.latent_dim, split, e.n_train or 0)
    value = paper_value(*place, at=samples).item()
    if not math.isnan(value):
        return value
    curve = paper_curve(*place)
    if samples > curve.index[0]:
        return float(curve.iloc[-1])
    return float(curve.iloc[0]) - 30 * math.log10(curve.index[0] / samples)


def write_bounds(results, experiment, end, offset=0.0, sem=None, gap=0.0, **session):
    """A run of figure 2: the paper's curve, shifted by `offset`, in training also by `gap`."""
    sem = BOUND_SEM.get(experiment.dataset, 0.3) if sem is None else sem

    def metrics(samples):
        found = {}
        for split in ("train", "test"):
            value = like_paper(2, experiment, samples, split) if samples else -2000.0
            value += offset + gap * (split == "train")
            found |= {f"{split}_elbo": value, f"{split}_sem": sem}
        return found

    metrics_by_samples = {s: metrics(s) for s in [0, *counts(end)]}
    write_run(results, experiment, metrics_by_samples, **session)


def write_likelihoods(results, experiment, end, offset=0.0, error=0.05):
    """A run of figure 3: the paper's curve, shifted by `offset`, except `*_annealed`."""

    def metrics(samples):
        found = {}
        for split in ("train", "test"):
            value = like_paper(3, experiment, samples, split) if samples else -2000.0
            found |= {f"{split}_density": value + offset, f"{split}_density_error": error}
            if samples == end and experiment.algorithm == "mcem":  # costly: only at the end
                found |= {f"{split}_annealed": value, f"{split}_annealed_error": error}
        return found

    write_run(results, experiment, {s: metrics(s) for s in [0, *counts(end)]})


def write_panel(results, dataset, latent_dim, end, seeds=(0.0, 0.0), **offsets):
    """AEVB and wake-sleep in a panel of figure 2; `wake_sleep` shifts the latter.

    `seeds` are the shifts of the seeds; without a spread, only the error from examples remains.
    """
    for algorithm, offset in (("aevb", 0.0), ("wake-sleep", offsets.pop("wake_sleep", 0.0))):
        for seed, own in enumerate(seeds):
            experiment = figure2_experiment(dataset, algorithm, latent_dim, 0.01, seed)
            write_bounds(results, experiment, end, offset + own, **offsets)


def write_figure3(results, n_train, end, seeds=(0.0, 0.0), **offsets):
    """The three algorithms for one N_train of figure 3, shifted by `offsets`."""
    for algorithm in ("aevb", "wake-sleep", "mcem"):
        offset = offsets.get(algorithm.replace("-", "_"), 0.0)
        for seed, own in enumerate(seeds):
            experiment = figure3_experiment("mnist", algorithm, n_train, 0.02, seed)
            write_likelihoods(results, experiment, end, offset + own)


def write_variances(results, experiment, **variances):
    """The gradient variances of an existing run, with a standard error of 1 %."""
    rows = [
        {
            "samples": 1_000_000,
            "parameters": "phi",
            "estimator": estimator.replace("_", " "),
            "num_repeats": 100,
            "variance": variance,
            "standard_error": variance / 100,
        }
        for estimator, variance in variances.items()
    ]
    path = results / "runs" / experiment.id / FILE
    path.write_text(json.dumps({"samples": 1_000_000, "variances": rows}))
