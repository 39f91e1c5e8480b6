"""The claim about the cost of training, judged by the runs' training times."""

from replication.claims.rules import (
    SIGMAS,
    Claim,
    Estimate,
    Finding,
    Number,
    Verdict,
    ahead,
    mean_over,
)
from replication.figures.cost import PAPER_MINUTES
from replication.figures.text import count
from replication.plan.experiment import PAPER_DATASETS

LEAST_SAMPLES = 100_000  # shorter runs mostly compile


def _judge(evidence):
    table = evidence.table
    ends = table[(table.figure == 2) & (table.split == "test") & (table.samples == table.end)]
    ends = ends[ends.dataset.isin(PAPER_DATASETS) & (ends.samples >= LEAST_SAMPLES)]
    if ends.empty:
        return [Finding("figure 2", Verdict.TOO_SMALL, note="not run")]
    minutes = ends.assign(minutes=ends.seconds / 60 / (ends.samples / 1e6))
    programs = minutes.groupby(["machine", "program"]).minutes.mean()
    machines = [(name, own) for name, own in programs.groupby("machine") if len(own) > 1]
    if not machines:
        return [Finding("figure 2", Verdict.TOO_SMALL, note="no machine has two programs")]
    return [_machine(name, own) for name, own in machines]


def _machine(name, minutes):
    estimate = mean_over(minutes, "programs")
    limit = PAPER_MINUTES[1]
    number = Number("minutes per million samples", estimate, f"≤ {limit}")
    return Finding(name, ahead(Estimate(limit, 0.0, ()) - estimate), (number,))


COST = Claim(
    "Cost of training",
    f"A million training samples take no more than the paper's {PAPER_MINUTES[1]} minutes",
    f"sec. 5: {PAPER_MINUTES[0]} to {PAPER_MINUTES[1]}, on a Xeon with an effective 40 GFLOPS",
    "machines",
    f"""The measure is minutes of training per million samples, without evaluation: for each
machine, the mean over figure 2's programs on MNIST and Frey Face of at least
{count(LEAST_SAMPLES)} samples. Runs trained side by side share a program and its minutes. A machine
with one program, whose error is unknown, is left out. Replicated: the mean plus
{SIGMAS} standard errors over programs is at most {PAPER_MINUTES[1]} minutes. Less than
{PAPER_MINUTES[0]} minutes shows that machines and programs became faster, not that the paper was
wrong.""",
    _judge,
)
