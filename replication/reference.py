"""What `verify` compares with: verdicts, distances and the runs' own numbers, as one file."""

import dataclasses
import json
import math
from pathlib import Path

from replication import atomic
from replication.claims import judge
from replication.distances import distances
from replication.errors import DamagedFileError, ReplicationError
from replication.figures.tables import NAMES, sem
from replication.read_back import read_json
from replication.shapes import ANY, known, number_or_null, text, time, whole

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
WAY_OUT = "Bring it back, as by git, or store today's numbers with `verify --update`"


def read(results):
    """The stored reference.

    Raises:
        ReplicationError: if there is none.
        DamagedFileError: if it is not what `write` wrote.
    """
    path = Path(results) / FILE
    if not path.exists():
        raise ReplicationError(
            f"Expected the reference {path}. Received: none. Store one with `verify --update`"
        )
    reference = read_json(path, SHAPE, WAY_OUT)
    for run in reference["runs"]:
        rows = len(run["samples"])
        for name, values in run["metrics"].items():
            lengths = [len(column) for column in values.values()]
            if lengths != [rows] * len(lengths):
                raise DamagedFileError(
                    f"Expected {path} to have {rows} values and errors of {name} in run "
                    f"{run['id']}. Received: {lengths}. {WAY_OUT}"
                )
    return reference


def write(results, reference):
    """Replaces the stored reference, one line for each entry; returns its path."""
    sections = [
        f'"{name}": [\n' + ",\n".join(json.dumps(e, allow_nan=False) for e in entries) + "\n]"
        for name, entries in reference.items()
    ]
    path = Path(results) / FILE
    atomic.write(path, "{\n" + ",\n".join(sections) + "\n}\n")
    return path


def of(evidence):
    """The reference that `Evidence` amounts to.

    Returns:
        Dict of lists of dicts: `verdicts` on claims (with part `""`) and on their parts, the
        `numbers` that decided, `distances`, and `runs` with every number they measured.
    """
    judgements = judge(evidence)
    return {
        "verdicts": [verdict for j in judgements for verdict in _verdicts(j)],
        "numbers": [number for j in judgements for number in _numbers(j)],
        "distances": [distance_entry(d) for d in distances(evidence.curves)],
        "runs": [_run(run, evidence.runs) for run in evidence.runs],
    }


def _verdicts(judgement):
    name = judgement.claim.name
    yield {"claim": name, "part": "", "verdict": judgement.verdict}
    for finding in judgement.findings:
        yield {"claim": name, "part": finding.part, "verdict": finding.verdict}


def _numbers(judgement):
    for finding in judgement.findings:
        for number in finding.numbers:
            place = {"claim": judgement.claim.name, "part": finding.part, "number": number.name}
            yield {**place, "after": number.samples, **_estimate(number.estimate)}


def distance_entry(distance):
    """A `Distance` as it is stored."""
    place = {**distance.panel._asdict(), "algorithm": distance.algorithm, "split": distance.split}
    return {**place, "samples": distance.samples, **_estimate(distance.estimate)}


def _run(run, runs):
    seeds = [other for other in runs if _same_but_seed(run.experiment, other.experiment)]
    # What is measured at the end alone is no number before.
    names = dict.fromkeys(name for point in run.points for name in point.metrics)
    metrics = {
        name: {
            "values": [finite(point.metrics.get(name, math.nan)) for point in run.points],
            "standard_errors": [finite(_error(point, name, seeds)) for point in run.points],
        }
        for name in names
    }
    seconds = {
        "values": [p.seconds for p in run.points],
        "standard_errors": [0.0] * len(run.points),
    }
    return {
        "id": run.experiment.id,
        "started": run.info["sessions"][0]["started"],
        "samples": [point.samples for point in run.points],
        "metrics": {**metrics, "seconds": seconds},
    }


def _same_but_seed(experiment, other):
    return dataclasses.replace(other, seed=experiment.seed) == experiment


def _error(point, name, seeds):
    """The evaluation's standard error or that over seeds, whichever is less; 0 without one."""
    own = point.metrics.get(f"{name}_error", point.metrics.get(name.replace("_elbo", "_sem"), 0.0))
    if name.endswith(("_sem", "_error")) or not own > 0:
        return 0.0
    others = [run.at(point.samples) for run in seeds]
    over_seeds = sem([p[name] for p in others if p and name in p.metrics])
    return min(own, over_seeds or own)


def _estimate(estimate):
    return {"value": finite(estimate.value), "standard_error": finite(estimate.error)}


def finite(value):
    """Eight digits of a number, `None` for what JSON has no number for."""
    return float(f"{value:.8g}") if math.isfinite(value) else None
