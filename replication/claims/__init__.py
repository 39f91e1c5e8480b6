"""The paper's claims, each with a rule that was set before the runs, and the verdicts on them."""

from replication.claims.bounds import FASTER, SUPERFLUOUS
from replication.claims.cost import COST
from replication.claims.gradients import GRADIENTS
from replication.claims.likelihoods import LIKELIHOOD
from replication.claims.rules import Judgement

CLAIMS = (FASTER, SUPERFLUOUS, LIKELIHOOD, GRADIENTS, COST)


def judge(evidence):
    """The list of `Judgement`, one for each of `CLAIMS`, from `Evidence` alone."""
    return [Judgement(claim, claim.judge(evidence)) for claim in CLAIMS]
