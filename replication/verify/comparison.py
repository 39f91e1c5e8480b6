"""Recomputes every verdict, distance and number from the runs, and compares with the reference.

Verdicts must be equal. Distances and numbers behind verdicts may differ by 3 √(se² + se_ref²),
since a run may be trained again. The measurements of all other runs must agree to six digits.
"""

import collections
import math

from replication.claims import POINT, Evidence
from replication.claims.rules import SIGMAS, Estimate
from replication.figures.text import NAMES, count
from replication.measurements import lock
from replication.verify import reference

SAME = 1e-6
FAILURES = ("regressed", "missing")


def run(results, echo, update=False):
    """Compares the current runs with `results/reference.json`.

    A run with the same start time as in the reference must have the same numbers. A run that was
    trained again has different noise, so only its distances and claims are compared. Numbers and
    verdicts that longer or additional runs add are reported as new, not as failures.

    Args:
        results: folder of the results.
        echo: function that prints a line.
        update: whether to store the current numbers as the reference instead.

    Returns:
        Whether nothing regressed and nothing is missing.

    Raises:
        ReplicationError: if there are no runs, or no reference to compare with.
    """
    if update:
        with lock.output(results, "reference"):
            echo(f"stored {reference.write(results, reference.of(Evidence(results)))}")
        return True
    evidence, stored = Evidence(results), reference.read(results)
    points = [tuple(d[name] or 0 for name in POINT) for d in stored["distances"]]
    now = reference.of(evidence, points)
    statuses: collections.Counter[str] = collections.Counter()
    for status, line in compare(now, stored):
        statuses[status] += 1
        echo(f"{status:9} {line}")
    echo(", ".join(f"{statuses[s]} {s}" for s in ("ok", "new", *FAILURES)))
    return not any(statuses[status] for status in FAILURES)


def compare(now, stored):
    """Yields a status and a line for each entry of the two references."""
    numbers = list(_pairs(now["numbers"], stored["numbers"], "claim", "part", "number"))
    longer = {new["claim"] for new, old in numbers if new and _is_longer(new, old)}
    for new, old in _pairs(now["verdicts"], stored["verdicts"], "claim", "part"):
        yield _verdict(new, old, longer)
    for new, old in numbers:
        name = "{claim}, {part}, {number}".format(**(new or old))
        yield ("new", f"{name}: {_text(new)}") if _is_longer(new, old) else _value(name, new, old)
    for new, old in _pairs(now["distances"], stored["distances"], *POINT):
        yield _value(_place(new or old), new, old)
    for new, old in _pairs(now["runs"], stored["runs"], "id"):
        yield _run(new, old)


def _pairs(now, stored, *names):
    """Pairs the entries with the same names in both; a missing one is `None`."""
    new, old = ({tuple(e[n] for n in names): e for e in entries} for entries in (now, stored))
    return [(new.get(key), old.get(key)) for key in dict.fromkeys([*old, *new])]


def _is_longer(new, old):
    """Whether a number now has more samples, or is new."""
    return new is not None and (old is None or (new["after"] or 0) > (old["after"] or 0))


def _verdict(new, old, longer):
    entry = new or old
    name = ", ".join(filter(None, (entry["claim"], entry["part"])))
    if new is None or old is None:
        return "missing" if new is None else "new", f"{name}: {entry['verdict']}"
    line = f"{name}: {new['verdict']} (reference {old['verdict']})"
    if new["verdict"] == old["verdict"]:
        return "ok", line
    return "new" if new["claim"] in longer else "regressed", line


def _value(name, new, old):
    if new is None or old is None:
        return "missing" if new is None else "new", f"{name}: {_text(new or old)}"
    shorter = (new.get("after") or 0) < (old.get("after") or 0)
    agree = agrees(new["value"], new["standard_error"], old["value"], old["standard_error"])
    status = "missing" if shorter else "ok" if agree else "regressed"
    return status, f"{name}: {_text(new)} (reference {_text(old)})"


def agrees(value, error, other, other_error):
    """Whether two values agree within their standard errors.

    Args:
        value: a number, `None` if it is not finite.
        error: its standard error; 0 or `None` if none is known.
        other, other_error: the same for the other number.

    Example:
        >>> agrees(-104.0, 0.3, -105.2, 0.3), agrees(-104.0, 0.3, -105.5, 0.3)
        (True, False)
    """
    if value is None or other is None:
        return value is other
    slack = SIGMAS * math.hypot(error or 0.0, other_error or 0.0)
    return abs(value - other) <= max(slack, SAME * max(1.0, abs(other)))


def _text(entry):
    if entry["value"] is None:
        return "not finite"
    return str(Estimate(entry["value"], entry["standard_error"] or 0.0, ()))


def _place(entry):
    size = f"N_z={entry['latent_dim']}" + (
        f" N_train={entry['n_train']}" if entry["n_train"] else ""
    )
    return (
        f"figure {entry['figure']}, {NAMES[entry['dataset']]} {size}, "
        f"{NAMES[entry['algorithm']]}, {entry['split']}, {count(entry['samples'])}, from the paper"
    )


def _run(new, old):
    if new is None or old is None:
        return "missing" if new is None else "new", f"run {(new or old)['id']}"
    name = f"run {new['id']}"
    if new["started"] != old["started"]:
        return "new", f"{name}: trained again"
    differing = [
        f"{metric} after {samples:,} samples"
        for metric, values in old["metrics"].items()
        for samples, value in zip(old["samples"], values)
        if not _has(new, metric, samples, value)
    ]
    if differing:
        return "regressed", f"{name}: {', '.join(differing)}"
    return "ok", f"{name}: {len(old['samples']) * len(old['metrics'])} numbers"


def _has(new, metric, samples, value):
    """Whether a run still has a number, equal to six digits."""
    if metric not in new["metrics"] or samples not in new["samples"]:
        return False
    return agrees(new["metrics"][metric][new["samples"].index(samples)], 0.0, value, 0.0)
