"""The claim about figure 3: three algorithms on a small and on a large training set."""

from replication.claims.rules import (
    DOUBLING,
    MARGIN,
    SIGMAS,
    Claim,
    Finding,
    Number,
    Verdict,
    ahead,
    combined,
    shared_end,
    stays_ahead,
    undecided,
    within,
)
from replication.figures.text import NAMES, count
from replication.measurements.table import FIRST_COMPARABLE
from replication.plan.protocols import FIGURE3_N_TRAIN

SMALL, LARGE = FIGURE3_N_TRAIN["mnist"]
FAR = 5.0  # nats; wake-sleep ends 6.0 behind AEVB in the paper, Monte Carlo EM 17.7


def _judge(evidence):
    return [
        _finding(evidence, SMALL, "MCEM reaches AEVB", ("aevb", "mcem"), _same),
        _finding(evidence, SMALL, "wake-sleep stays below", ("aevb", "mcem", "wake-sleep"), _below),
        _finding(evidence, LARGE, "AEVB is ahead of wake-sleep", ("aevb", "wake-sleep"), _below),
        _finding(evidence, LARGE, "MCEM is far behind", ("aevb", "wake-sleep", "mcem"), _far),
    ]


def _finding(evidence, n_train, name, algorithms, decide):
    part = f"N_train = {n_train}: {name}"
    curves = {NAMES[a]: evidence.figure3(n_train, a) for a in algorithms}
    if finding := undecided(part, curves, FIRST_COMPARABLE):
        return finding
    return Finding(part, *decide(shared_end(*curves.values()), *curves.values()))


def _same(end, aevb, mcem):
    """The verdict on whether two curves end at the same value: too small if the paper's do not."""
    difference = aevb.at(end, "train") - mcem.at(end, "train")
    limit = f"within ±{MARGIN:g} or {SIGMAS} s.e."
    number = Number("AEVB minus MCEM", difference, limit, end)
    papers_agree = abs(aevb.paper(end, "train") - mcem.paper(end, "train")) <= MARGIN
    return within(difference) if papers_agree else Verdict.TOO_SMALL, (number,)


def _below(end, *curves):
    """The verdict on whether the last curve stays below the others."""
    *leaders, follower = curves
    found = [
        stays_ahead(leader, follower, "train", f"{leader.algorithm}'s lead") for leader in leaders
    ]
    verdicts, numbers = zip(*found)
    return combined(verdicts), sum(numbers, ())


def _far(end, *curves):
    """The verdict on whether the last curve is far below the others."""
    *leaders, follower = curves
    numbers = tuple(
        Number(
            f"{leader.algorithm} minus {follower.algorithm}",
            leader.at(end, "train") - follower.at(end, "train"),
            f"> {FAR:g}",
            end,
        )
        for leader in leaders
    )
    return combined([ahead(number.estimate, by=FAR) for number in numbers]), numbers


LIKELIHOOD = Claim(
    "Three algorithms on few and many images",
    f"With {SMALL} training images Monte Carlo EM reaches AEVB's training likelihood and "
    f"wake-sleep stays below; with {LARGE} Monte Carlo EM is far behind and AEVB leads wake-sleep",
    "figure 3",
    "comparisons",
    f"""Each part compares the training log p(x) of App. D at the largest number of samples that its
algorithms reached, {count(FIRST_COMPARABLE)} or more. All algorithms are evaluated on the same 1000
images, as in the paper; the standard error excludes this choice. Reaches: the two differ by
at most {MARGIN:g} nat or {SIGMAS} standard errors. The verdict is "{Verdict.TOO_SMALL.value}" if
{SIGMAS} standard errors exceed {2 * MARGIN:g} nats, or if the paper's own two curves are more than
{MARGIN:g} nat apart. Below and ahead: {DOUBLING} Far behind: below both others by more than {FAR:g}
nats plus {SIGMAS} standard errors.""",
    _judge,
)
