"""Claims, verdicts and the significance rules that claims share."""

import dataclasses
import enum
import math
from collections.abc import Callable

import numpy as np

from replication.figures.text import with_error

# Standard errors. Chance alone exceeds them once in 370 cases, and once in ten if the error is the
# spread over three seeds, which is itself uncertain (Student's t of two degrees of freedom).
SIGMAS = 3
MARGIN = 1.0  # nats; about the difference between two seeds after 10⁶ samples

DOUBLING = f"""at the largest shared number of samples, the leader leads by more than {SIGMAS}
standard errors and by more than the follower's gain over its last doubling of samples. The error
of this gain does not count. If only the first holds, the follower may still catch up, and the
budget is too small to say."""


class Verdict(enum.StrEnum):
    """The outcome of a claim."""

    REPLICATED = "replicated"
    PARTLY = "partly"
    NOT_REPLICATED = "not replicated"
    TOO_SMALL = "budget too small to say"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value and its standard error.

    Attributes:
        value: in nats per example, unless stated otherwise.
        error: standard error; NaN if it is unknown, for example for a single seed.
        over: sources of the error, in words: seeds, examples, samples of z.

    Example:
        >>> print(Estimate(-104.84, 0.27, ("examples",)) - Estimate(-104.2, 0.36, ("3 seeds",)))
        −0.6 ± 0.4
    """

    value: float
    error: float
    over: tuple[str, ...]

    def __sub__(self, other):
        over = tuple(dict.fromkeys((*self.over, *other.over)))
        return Estimate(self.value - other.value, math.hypot(self.error, other.error), over)

    def __str__(self):
        return with_error(self.value, self.error)


@dataclasses.dataclass(frozen=True)
class Number:
    """A number that decides a claim.

    Attributes:
        name: a name, unique within its finding.
        estimate: `Estimate`.
        required: the required value, in words.
        samples: number of training samples, or `None`.
    """

    name: str
    estimate: Estimate
    required: str
    samples: int | None = None


@dataclasses.dataclass(frozen=True)
class Finding:
    """One part of a claim, such as one panel of a figure.

    Attributes:
        part: name of the part.
        verdict: `Verdict`.
        numbers: the numbers that decided.
        note: the reason if there are no numbers.
    """

    part: str
    verdict: Verdict
    numbers: tuple[Number, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule that decides it.

    Attributes:
        name: a few words.
        statement: the claim as a sentence, without the final stop.
        source: sections or figures of the paper.
        parts: noun for its findings, in the plural.
        rule: the conditions of replication.
        judge: function from `Evidence` to the list of `Finding`.
    """

    name: str
    statement: str
    source: str
    parts: str
    rule: str
    judge: Callable[..., list[Finding]]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A claim and its findings."""

    claim: Claim
    findings: list[Finding]

    @property
    def verdict(self):
        return combined([finding.verdict for finding in self.findings])


def combined(verdicts):
    """The verdict on a claim from those on its parts.

    Example:
        >>> print(combined([Verdict.REPLICATED, Verdict.TOO_SMALL]))
        partly
    """
    kinds = set(verdicts)
    if len(kinds) == 1:
        return kinds.pop()
    if kinds == {Verdict.NOT_REPLICATED, Verdict.TOO_SMALL}:
        return Verdict.NOT_REPLICATED
    return Verdict.PARTLY


def undecided(part, curves, needed):
    """The finding if one of these curves is missing or too short, else `None`.

    Args:
        part: name of the finding.
        curves: dict from names to `Curve`, or to `None` for a missing one.
        needed: the number of samples that all of them must reach.
    """
    if missing := [name for name, curve in curves.items() if curve is None]:
        note = f"not run, or diverged: {', '.join(missing)}"
    elif (end := shared_end(*curves.values())) < needed:
        note = f"runs share {end:,} samples, and {needed:,} are needed"
    else:
        return None
    return Finding(part, Verdict.TOO_SMALL, note=note)


def mean_over(values, what):
    """The mean and its standard error, NaN for a single value."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else math.nan
    return Estimate(float(np.mean(values)), error, (f"{len(values)} {what}",))


def all_of(verdicts):
    """The verdict on a condition that must hold in every case."""
    found = {Verdict.NOT_REPLICATED, Verdict.TOO_SMALL}.intersection(verdicts)
    return min(found, key=[*Verdict].index, default=Verdict.REPLICATED)


def ahead(difference, by=0.0):
    """Whether a difference is above `by`; undecided within `SIGMAS` errors, or if it has none."""
    beyond, slack = difference.value - by, SIGMAS * difference.error
    if beyond > slack:
        return Verdict.REPLICATED
    return Verdict.NOT_REPLICATED if beyond < -slack else Verdict.TOO_SMALL


def not_below(difference):
    """Whether a difference is at least 0, up to the margin or its error.

    If `SIGMAS` errors exceed two margins, or the error is unknown, the answer is undecided.
    """
    slack = SIGMAS * difference.error
    if not slack <= 2 * MARGIN:
        return Verdict.TOO_SMALL
    within = difference.value >= -max(MARGIN, slack)
    return Verdict.REPLICATED if within else Verdict.NOT_REPLICATED


def within(difference):
    """Whether two values are equal, up to the margin or the error."""
    return not_below(dataclasses.replace(difference, value=-abs(difference.value)))


def shared_end(*curves):
    """The largest number of samples that all curves reach."""
    return min(curve.end for curve in curves)


def lead(leader, follower, samples, split, name):
    """The lead of one curve over another, as a `Number`."""
    ahead_by = leader.at(samples, split) - follower.at(samples, split)
    return Number(name, ahead_by, "> 0", samples)


def stays_ahead(leader, follower, split, name):
    """Whether the leader ends ahead, by the rule `DOUBLING`.

    Returns:
        The `Verdict`, and the numbers that decided: the gain of the follower, and the lead.
    """
    end = shared_end(leader, follower)
    last = lead(leader, follower, end, split, f"{name} at the end")
    pace = follower.gain(end, split)
    rise = Number(f"{name}: gain of the follower", pace, "< the lead", end)
    verdict = ahead(last.estimate)
    if verdict is Verdict.REPLICATED and pace.value >= last.estimate.value:
        verdict = Verdict.TOO_SMALL
    return verdict, (rise, last)
