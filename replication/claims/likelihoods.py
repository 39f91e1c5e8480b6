"""The claim about figure 3: three algorithms on a small and on a large training set."""

import dataclasses

from replication.claims.claim import Claim, Finding, Number, Verdict, combined, not_run
from replication.claims.estimate import at
from replication.claims.rules import (
    DOUBLING,
    FIRST_SAMPLES,
    MARGIN,
    SIGMAS,
    ahead,
    shared_end,
    stays_ahead,
    too_short,
    within,
)
from replication.figures.tables import NAMES, count
from replication.paper import paper_value
from replication.protocols import FIGURE3_LATENT_DIM, FIGURE3_N_TRAIN

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
    curves = [evidence.figure3(n_train, algorithm) for algorithm in algorithms]
    missing = [NAMES[a] for a, curve in zip(algorithms, curves) if curve is None]
    if missing:
        return not_run(part, *missing)
    end = shared_end(*curves)
    if end < FIRST_SAMPLES:
        return too_short(part, end, FIRST_SAMPLES)
    return Finding(part, *decide(end, *curves))


def _same(end, aevb, mcem):
    """Whether both are the same, once the paper's are."""
    difference = at(aevb, end, "train") - at(mcem, end, "train")
    limit = f"within ±{MARGIN:g} or {SIGMAS} s.e."
    number = Number("AEVB minus MCEM", difference, limit, end)
    values = [_paper(algorithm, end) for algorithm in ("aevb", "mcem")]
    early = None in values or abs(values[0] - values[1]) > MARGIN
    return Verdict.TOO_SMALL if early else within(difference), (number,)


def _paper(algorithm, samples):
    dim = FIGURE3_LATENT_DIM
    return paper_value(3, "mnist", algorithm, dim, "train", SMALL, at=samples)


def _below(end, *curves):
    """Whether the last curve stays below the others."""
    *leaders, follower = curves
    found = [
        stays_ahead(leader, follower, "train", f"{NAMES[leader.algorithm]}'s lead")
        for leader in leaders
    ]
    verdicts, numbers = zip(*found)
    return combined(verdicts), sum(numbers, ())


def _far(end, *curves):
    """Whether the last curve is far below the others."""
    *leaders, follower = curves
    numbers = tuple(
        Number(
            f"{NAMES[leader.algorithm]} minus {NAMES[follower.algorithm]}",
            at(leader, end, "train") - at(follower, end, "train"),
            f"> {FAR:g}",
            end,
        )
        for leader in leaders
    )
    return combined([_beyond(number.estimate) for number in numbers]), numbers


def _beyond(difference):
    return ahead(dataclasses.replace(difference, value=difference.value - FAR))


LIKELIHOOD = Claim(
    "Three algorithms on few and many images",
    f"With N_train = {SMALL} AEVB and Monte Carlo EM reach the same training likelihood and "
    f"wake-sleep stays below; with N_train = {LARGE} Monte Carlo EM is far behind and AEVB ahead "
    "of wake-sleep (figure 3).",
    f"""The training log p(x) of App. D is compared at the largest number of samples that the
algorithms of a part reached, which must be {count(FIRST_SAMPLES)} or more. The same: apart by no
more than {MARGIN:g} nat or {SIGMAS} standard errors, which must not exceed {2 * MARGIN:g} nats; it
is too early to say while the paper's own two curves are still more than {MARGIN:g} nat apart. Below
and behind: {DOUBLING} Far behind: by more than {FAR:g} nats and another {SIGMAS} standard errors
below both others.""",
    _judge,
)
