"""The paper's own curves, extracted from the vector graphics of its figures 2 and 3."""

import functools
import importlib.resources

import numpy as np
import pandas as pd

# A curve's last point is up to 9 % short of the panel's right edge; it is used as the value there.
END_TOLERANCE = 1.1
PAPER_CURVE = ["figure", "dataset", "algorithm", "latent_dim", "split", "n_train"]


def paper_curve(figure, dataset, algorithm, latent_dim, split, n_train=0):
    """One curve of the paper.

    Args:
        figure: 2 (lower bound) or 3 (marginal log-likelihood).
        dataset: `"mnist"` or `"frey"`.
        algorithm: `"aevb"`, `"wake-sleep"` or, in figure 3, `"mcem"`.
        latent_dim: number of latent variables N_z.
        split: `"train"` or `"test"`.
        n_train: 1000 or 50000 in figure 3, 0 in figure 2.

    Returns:
        A pandas series of values in nats per example, indexed by increasing training samples;
        `None` if the paper has no such curve.
    """
    return _curves().get((figure, dataset, algorithm, latent_dim, split, n_train))


def paper_value(figure, dataset, algorithm, latent_dim, split, n_train=0, *, at):
    """A curve's values after `at` training samples, interpolated linearly in their logarithm.

    Args:
        figure, dataset, algorithm, latent_dim, split, n_train: as for `paper_curve`.
        at: number of training samples, or an array of them.

    Returns:
        Nats per example, of the shape of `at`; NaN if there is no such curve, or `at` is before its
        first point or beyond 1.1 times its last one, whose value counts that far. A curve starts
        where it enters the paper's panel.

    Example:
        >>> paper_value(2, "mnist", "aevb", 20, "test", at=10_000_000).item()
        -104.8
    """
    at = np.asarray(at, "float64")
    curve = paper_curve(figure, dataset, algorithm, latent_dim, split, n_train)
    if curve is None:
        return np.full(at.shape, np.nan)
    samples = curve.index
    inside = (samples[0] <= at) & (at <= END_TOLERANCE * samples[-1])
    return np.where(inside, np.interp(np.log(at), np.log(samples), curve), np.nan)


def paper_panels(figure, dataset):
    """The panels of a figure and data set: tuples of figure, data set, N_z and N_train."""
    return {(f, d, n_z, n) for f, d, _, n_z, _, n in _curves() if (f, d) == (figure, dataset)}


@functools.cache
def _curves():
    file = importlib.resources.files(__name__) / "curves.csv"
    with file.open(encoding="utf-8") as text:
        readings = pd.read_csv(text, converters={"samples": float, "value": float})
    readings = (
        readings.fillna({"n_train": 0}).sort_values(["samples", "value"]).set_index("samples")
    )
    return {key: curve.value for key, curve in readings.groupby(PAPER_CURVE)}
