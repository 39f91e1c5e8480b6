"""The reference of `verify`: a file of verdicts, distances and all numbers of the runs."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd

from replication.claims import judge
from replication.errors import DamagedFileError, ReplicationError
from replication.figures.text import NAMES
from replication.measurements import files
from replication.measurements.shapes import ANY, known, number_or_null, text, time, whole

FILE = "reference.json"

_CLAIM = {"claim": text, "part": text}
_ESTIMATE = {"value": number_or_null, "standard_error": number_or_null}
_LIST = [number_or_null]
SHAPE = {
    "verdicts": [{**_CLAIM, "verdict": text}],
    "numbers": [{**_CLAIM, "number": text, "after": number_or_null, **_ESTIMATE}, ...],
    "distances": [
        {
            "figure": whole,
            "dataset": known(NAMES),
            "latent_dim": whole,
            "n_train": number_or_null,
            "algorithm": known(NAMES),
            "split": text,
            "samples": whole,
            **_ESTIMATE,
        },
        ...,
    ],
    "runs": [
        {
            "id": text,
            "started": time,
            "samples": [whole],
            "metrics": {ANY: {"values": _LIST, "standard_errors": _LIST}},
        }
    ],
}
REMEDY = "Restore it, for example from git, or store the current numbers with `verify --update`"


def read(results):
    """Reads the stored reference.

    Raises:
        ReplicationError: if there is none.
        DamagedFileError: if it is damaged.
    """
    path = Path(results) / FILE
    if not path.exists():
        raise ReplicationError(
            f"Expected the reference {path}. Received: none. Store one with `verify --update`"
        )
    reference = files.read_json(path, SHAPE, REMEDY)
    for run in reference["runs"]:
        rows = len(run["samples"])
        for name, values in run["metrics"].items():
            lengths = [len(column) for column in values.values()]
            if lengths != [rows] * len(lengths):
                raise DamagedFileError(
                    f"Expected {path} to have {rows} values and errors of {name} in run "
                    f"{run['id']}. Received: {lengths}. {REMEDY}"
                )
    return reference


def write(results, reference):
    """Writes the reference, one line for each entry; returns its path."""
    sections = [
        f'"{name}": [\n' + ",\n".join(json.dumps(e, allow_nan=False) for e in entries) + "\n]"
        for name, entries in reference.items()
    ]
    path = Path(results) / FILE
    files.write(path, "{\n" + ",\n".join(sections) + "\n}\n")
    return path


def of(evidence, points=()):
    """Computes the reference from `Evidence`, with distances at further `points`.

    Returns:
        Dict of lists of dicts: `verdicts` on claims (with part `""`) and on their parts, the
        `numbers` that decided, `distances`, and `runs` with all their measurements.
    """
    verdicts, numbers = [], []
    for judgement in judge(evidence):
        claim = {"claim": judgement.claim.name}
        verdicts.append({**claim, "part": "", "verdict": judgement.verdict})
        for finding in judgement.findings:
            part = {**claim, "part": finding.part}
            verdicts.append({**part, "verdict": finding.verdict})
            numbers += [
                {**part, "number": n.name, "after": n.samples, **_estimate(n.estimate)}
                for n in finding.numbers
            ]
    distances = []
    for point in evidence.distances(points).to_dict("records"):
        estimate = _estimate(point.pop("estimate"))
        distances.append({**point, "n_train": point["n_train"] or None, **estimate})
    return {
        "verdicts": verdicts,
        "numbers": numbers,
        "distances": distances,
        "runs": _runs(evidence.runs),
    }


def _runs(runs):
    """Every number of every run, with the smaller of its evaluation error and its error over seeds.

    The error is 0 if both are unknown.
    """
    rows = []
    for run in runs:
        keys = {"run": run.experiment.id, "kind": dataclasses.replace(run.experiment, seed=0).id}
        # Diverged values are infinite, and have no error over seeds; missing values are NaN.
        rows += [{k: np.inf if v != v else v for k, v in row.items()} | keys for row in run.rows]
    table = pd.DataFrame(rows)
    names = table.columns.difference(["run", "kind", "samples"])
    own = {
        name: table.get(f"{name}_error", table.get(re.sub("_elbo$", "_sem", name)))
        for name in names
        if not re.search("seconds$|_sem$|_error$", name)
    }
    own = pd.DataFrame(own, table.index, names, dtype="float64")
    own = own.where(np.isfinite(own) & (own > 0))
    over_seeds = table.groupby(["kind", "samples"])[[*names]].transform("sem").replace(0, np.nan)
    errors = np.fmin(own, over_seeds).where(own.notna(), 0.0)
    found = []
    for run in runs:
        own = table[table.run == run.experiment.id]
        # Final measurements are missing in earlier rows.
        known = dict.fromkeys(name for row in run.rows for name in row)
        measured = [n for n in known if n not in ("samples", "seconds")]
        found.append(
            {
                "id": run.experiment.id,
                "started": run.info["sessions"][0]["started"],
                "samples": [row["samples"] for row in run.rows],
                "metrics": {
                    name: {
                        "values": [finite(value) for value in own[name]],
                        "standard_errors": [finite(error) for error in errors[name][own.index]],
                    }
                    for name in (*measured, "seconds")
                },
            }
        )
    return found


def _estimate(estimate):
    return {"value": finite(estimate.value), "standard_error": finite(estimate.error)}


def finite(value):
    """A number with eight digits; `None` if it is not finite, since JSON lacks such numbers."""
    return float(f"{value:.8g}") if math.isfinite(value) else None
