"""What a claim of the paper is here: a statement, a rule set beforehand, and what decided it."""

import dataclasses
import enum
from collections.abc import Callable

from replication.claims.estimate import Estimate


class Verdict(enum.StrEnum):
    """What the runs say about a claim."""

    REPLICATED = "replicated"
    PARTLY = "partly"
    NOT_REPLICATED = "not replicated"
    TOO_SMALL = "budget too small to say"


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
