"""When a difference counts: the rules that the claims share."""

from replication.claims.claim import Finding, Number, Verdict
from replication.claims.estimate import at, gain

SIGMAS = 3  # standard errors; chance alone goes beyond them once in 370 cases
MARGIN = 1.0  # nats; about what two seeds differ by after 10⁶ samples
FIRST_SAMPLES = 1_000_000  # the paper's earlier points look smoothed

DOUBLING = f"""The leader's bound is the better one in the end where, at the largest shared count,
it leads by more than {SIGMAS} standard errors and by more than the follower gained over its last
doubling of samples: a follower that still rises faster may catch up, and the budget is too small
to say."""


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
    return min(curve.end for curve in curves)


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
