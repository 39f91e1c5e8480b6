"""The paper's own curves, read off the vector drawings of its figures 2 and 3."""

import collections
import csv
import functools
import importlib.resources
import math

import numpy as np

# A curve's last reading misses the panel's right edge by up to 9 % and stands for it.
END_TOLERANCE = 1.1


def paper_curve(figure, dataset, algorithm, latent_dim, split, n_train=None):
    """One curve of the paper.

    Args:
        figure: 2 (lower bound) or 3 (marginal log-likelihood).
        dataset: `"mnist"` or `"frey"`.
        algorithm: `"aevb"`, `"wake-sleep"` or, in figure 3, `"mcem"`.
        latent_dim: number of latent variables N_z.
        split: `"train"` or `"test"`.
        n_train: 1000 or 50000, in figure 3 only.

    Returns:
        Training samples in increasing order, and values in nats per example, both of shape `[P]`;
        `None` if the paper has no such curve.
    """
    return _curves().get((figure, dataset, algorithm, latent_dim, split, n_train))


def paper_value(figure, dataset, algorithm, latent_dim, split, n_train=None, *, at):
    """A curve's value after `at` training samples, interpolated linearly in their logarithm.

    Args:
        at: number of training samples. The others are those of `paper_curve`.

    Returns:
        Nats per example; `None` if there is no such curve or it does not extend to `at`. A curve
        starts where it enters the paper's panel.

    Example:
        >>> paper_value(2, "mnist", "aevb", 20, "test", at=10_000_000)
        -104.8
    """
    curve = paper_curve(figure, dataset, algorithm, latent_dim, split, n_train)
    if curve is None:
        return None
    samples, values = curve
    if not samples[0] <= at <= END_TOLERANCE * samples[-1]:
        return None
    return float(np.interp(math.log(at), np.log(samples), values))


@functools.cache
def _curves():
    readings = collections.defaultdict(list)
    file = importlib.resources.files(__name__) / "curves.csv"
    for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()):
        n_train = int(row["n_train"]) if row["n_train"] else None
        key = (int(row["figure"]), row["dataset"], row["algorithm"], int(row["latent_dim"]))
        reading = (float(row["samples"]), float(row["value"]))
        readings[(*key, row["split"], n_train)].append(reading)
    return {key: _columns(points) for key, points in readings.items()}


def _columns(readings):
    columns = np.array(sorted(readings)).T
    columns.flags.writeable = False  # the cache hands them out again
    return tuple(columns)
