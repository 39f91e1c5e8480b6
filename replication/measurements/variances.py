"""Measured variances of gradient estimators, a file in the folder of a run."""

import itertools
from typing import Any

import numpy as np
import pandas as pd

from replication.errors import DamagedFileError
from replication.measurements.files import read_json
from replication.measurements.records import read_runs, runs_folder
from replication.measurements.shapes import known, positive, whole
from replication.plan.experiment import LATENT_DIMS
from replication.plan.protocols import figure_of

FILE = "gradient_variance.json"
COMMAND = "python -m replication gradient-variance"
REFERENCE = "B"
ESTIMATORS = ("A", REFERENCE, "score function")
PARAMETERS = {"phi": "φ", "theta": "θ"}
SHAPE: dict[str, Any] = {
    "samples": whole,
    "variances": [
        {
            "samples": whole,
            "parameters": known(PARAMETERS),
            "estimator": known(ESTIMATORS),
            "num_repeats": whole,
            "variance": positive,
            "standard_error": positive,
        },
        ...,
    ],
}
# Columns that identify a row of the page's table; a row has all estimators.
ROW_KEYS = ["dataset", "latent_dim", "step_size", "seed", "run", "parameters", "samples"]


def read_variances(path):
    """Reads the variances of a run.

    Raises:
        DamagedFileError: if the file is damaged, or lacks an estimator.
    """
    remedy = f"Delete it and measure it again with `{COMMAND}`"
    info = read_json(path, SHAPE, remedy)
    points = {(v["samples"], v["parameters"]) for v in info["variances"]}
    found = {(v["samples"], v["parameters"], v["estimator"]) for v in info["variances"]}
    for point, estimator in itertools.product(sorted(points), ESTIMATORS):
        if (*point, estimator) not in found:
            raise DamagedFileError(
                f"Expected {path} to have the variance of {', '.join(ESTIMATORS)} in "
                f"{point[1]} after {point[0]} samples. Received: none of {estimator}. {remedy}"
            )
    return info


def variances(results):
    """The measured variances of figure 2's models, in the usual order of data sets.

    Returns:
        A row for each model, number of training samples, set of parameters and estimator:
        `num_repeats` (number of sampled gradients), `variance` and its `standard_error`, `ratio` to
        the variance of estimator B and `ratio_error`. The noise of two estimators is independent.
    """
    rows = []
    for e in (run.experiment for run in read_runs(results)):
        path = runs_folder(results) / e.id / FILE
        if figure_of(e) != 2 or not path.exists():
            continue
        settings = {name: getattr(e, name) for name in ("dataset", "latent_dim", "step_size")}
        settings |= {"run": e.id, "seed": e.seed}
        try:
            rows += [{**settings, **v} for v in read_variances(path)["variances"]]
        except DamagedFileError:
            if path.exists():  # otherwise another command has just discarded the run
                raise
    columns = [*dict.fromkeys([*ROW_KEYS, *SHAPE["variances"][0]])]
    table = pd.DataFrame(rows, columns=columns)
    table["dataset"] = pd.Categorical(table.dataset, list(LATENT_DIMS))
    reference = table[table.estimator == REFERENCE].set_index(ROW_KEYS)
    reference = reference[["variance", "standard_error"]].add_suffix("_of_b")
    table = table.join(reference, on=ROW_KEYS)
    ratio = table.variance / table.variance_of_b
    relative = table.standard_error / table.variance
    error = ratio * np.hypot(relative, table.standard_error_of_b / table.variance_of_b)
    table = table.assign(ratio=ratio, ratio_error=error.where(table.estimator != REFERENCE, 0.0))
    return table.sort_values(ROW_KEYS, kind="stable")
