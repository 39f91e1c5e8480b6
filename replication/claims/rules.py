"""What a claim of the paper is here, and when a difference counts: the rules that claims share."""

import dataclasses
import enum
import math
from collections.abc import Callable

import numpy as np

from replication.figures.text import number

DATASETS = ("mnist", "frey")  # of the paper
SIGMAS = 3  # standard errors; chance alone goes beyond them once in 370 cases
MARGIN = 1.0  # nats; about what two seeds differ by after 10⁶ samples
# What an evaluation's own standard error is over, by figure.
ERROR_OVER = {2: "examples", 3: "draws of z"}

DOUBLING = f"""The leader's bound is the better one in the end where, at the largest shared count,
it leads by more than {SIGMAS} standard errors and by more than the follower gained over its last
doubling of samples: a follower that still rises faster may catch up, and the budget is too small
to say."""


class Verdict(enum.StrEnum):
    """What the runs say about a claim."""

    REPLICATED = "replicated"
    PARTLY = "partly"
    NOT_REPLICATED = "not replicated"
    TOO_SMALL = "budget too small to say"


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value and its standard error.

    Attributes:
        value: in nats per example, or as its name says.
        error: standard error; 0 if none is known.
        over: what the error is over: seeds where there are several.

    Example:
        >>> print(Estimate(-104.84, 0.27, "examples") - Estimate(-104.2, 0.36, "examples"))
        −0.64 ± 0.45
    """

    value: float
    error: float
    over: str

    def __sub__(self, other):
        over = " and ".join(dict.fromkeys((self.over, other.over)))
        return Estimate(self.value - other.value, math.hypot(self.error, other.error), over)

    def __str__(self):
        if not self.error > 0:
            return number(self.value, digits=4)
        digits = min(max(1 - math.floor(math.log10(self.error)), 0), 6)
        return f"{number(self.value, digits=digits)} ± {number(self.error, digits=digits)}"


@dataclasses.dataclass(frozen=True)
class Number:
    """A number that decides about a claim.

    Attributes:
        name: what it is, unique within its finding.
        estimate: `Estimate`.
        against: what it has to be.
        samples: after how many training samples, or `None`.
    """

    name: str
    estimate: Estimate
    against: str
    samples: int | None = None


@dataclasses.dataclass(frozen=True)
class Finding:
    """One part of a claim, such as one panel of a figure.

    Attributes:
        part: its name.
        verdict: `Verdict`.
        numbers: those that decided.
        note: why there are none.
    """

    part: str
    verdict: Verdict
    numbers: tuple[Number, ...] = ()
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of the paper and the rule by which it is judged.

    Attributes:
        name: a few words.
        statement: what the paper claims.
        rule: when it is replicated, as text that was written before the runs.
        judge: function from `Evidence` to the list of `Finding`.
    """

    name: str
    statement: str
    rule: str
    judge: Callable[..., list[Finding]]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A claim and what the runs say about it."""

    claim: Claim
    findings: list[Finding]

    @property
    def verdict(self):
        return combined([finding.verdict for finding in self.findings])


def combined(verdicts):
    """The verdict on a whole from those on its parts.

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


def not_run(part, *missing):
    """The finding where runs are missing, which are named."""
    return Finding(part, Verdict.TOO_SMALL, note=f"not run, or diverged: {', '.join(missing)}")


def mean_over(values, what):
    """The mean with its standard error, which is 0 for a single value."""
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return Estimate(float(np.mean(values)), error, f"{len(values)} {what}")


def at(curve, samples, split):
    """A curve's value after `samples`.

    Args:
        curve: rows of `measurements.curves`, those of one curve.
        samples: number of training samples that a seed reaches.
        split: `"train"` or `"test"`.

    Returns:
        `Estimate`, with its error over seeds, or that of the evaluation if there is one seed.
    """
    return over_seeds(curve[(curve.samples == samples) & (curve.split == split)])


def over_seeds(rows):
    """The `Estimate` of a curve at one count on one split, from the rows of its seeds."""
    if len(rows) > 1:
        return mean_over(rows.value, "seeds")
    return Estimate(rows.value.item(), rows.error.item(), ERROR_OVER[rows.figure.item()])


def gain(curve, samples, split):
    """What a curve gained over its last doubling, by the seeds that reach `samples`."""
    longest = curve[curve.end >= samples]
    return at(longest, samples, split) - at(longest, samples // 2, split)


def ahead(difference):
    """Whether a difference is above 0 beyond its error."""
    if difference.value > SIGMAS * difference.error:
        return Verdict.REPLICATED
    if difference.value < -SIGMAS * difference.error:
        return Verdict.NOT_REPLICATED
    return Verdict.TOO_SMALL


def not_below(difference):
    """Whether a difference is not below 0 by more than the margin and its error.

    An error that could hide two margins says nothing.
    """
    slack = SIGMAS * difference.error
    if not slack <= 2 * MARGIN:
        return Verdict.TOO_SMALL
    within = difference.value >= -max(MARGIN, slack)
    return Verdict.REPLICATED if within else Verdict.NOT_REPLICATED


def within(difference):
    """Whether two values are the same, up to the margin and the error."""
    slack = SIGMAS * difference.error
    if not slack <= 2 * MARGIN:
        return Verdict.TOO_SMALL
    same = abs(difference.value) <= max(MARGIN, slack)
    return Verdict.REPLICATED if same else Verdict.NOT_REPLICATED


def shared_end(*curves):
    """The largest number of samples that all curves reach."""
    return min(int(curve.end.max()) for curve in curves)


def too_short(part, samples, needed):
    """The finding where the shared budget is too small."""
    note = f"runs share {samples:,} samples, and {needed:,} are needed"
    return Finding(part, Verdict.TOO_SMALL, note=note)


def lead(leader, follower, samples, split, name):
    """A number: how far one curve is above another."""
    return Number(name, at(leader, samples, split) - at(follower, samples, split), "> 0", samples)


def stays_ahead(leader, follower, split, name):
    """Whether the leader's is the better one in the end, as `DOUBLING` says.

    Returns:
        The `Verdict`, and the numbers that decided: the follower's last gain, and the lead.
    """
    end = shared_end(leader, follower)
    last = lead(leader, follower, end, split, f"{name} at the end")
    pace = gain(follower, end, split)
    rise = Number(f"{name}: what the follower gained", pace, "< the lead", end)
    verdict = ahead(last.estimate)
    if verdict is Verdict.REPLICATED and pace.value >= last.estimate.value:
        verdict = Verdict.TOO_SMALL
    return verdict, (rise, last)
