"""The reference of `verify`: a file of verdicts, distances and all numbers of the runs."""

import json
import math
from pathlib import Path

from replication.claims import judge
from replication.errors import DamagedFileError, ReplicationError
from replication.figures.text import NAMES
from replication.measurements import files
from replication.measurements.shapes import ANY, known, number_or_null, text, time, whole

FILE = "reference.json"

_CLAIM = {"claim": text, "part": text}
_ESTIMATE = {"value": number_or_null, "standard_error": number_or_null}
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
            "metrics": {ANY: [number_or_null]},
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
            if len(values) != rows:
                raise DamagedFileError(
                    f"Expected {path} to have {rows} values of {name} in run {run['id']}. "
                    f"Received: {len(values)}. {REMEDY}"
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
    """Every number of every run."""
    return [
        {
            "id": run.experiment.id,
            "started": run.info["sessions"][0]["started"],
            "samples": [row["samples"] for row in run.rows],
            "metrics": {
                # Final measurements are missing in earlier rows.
                name: [number_or_none(row.get(name, math.nan)) for row in run.rows]
                for name in dict.fromkeys(name for row in run.rows for name in row)
                if name != "samples"
            },
        }
        for run in runs
    ]


def _estimate(estimate):
    return {
        "value": number_or_none(estimate.value),
        "standard_error": number_or_none(estimate.error),
    }


def number_or_none(value):
    """A number with eight digits; `None` if it is not finite, since JSON lacks such numbers."""
    return float(f"{value:.8g}") if math.isfinite(value) else None
