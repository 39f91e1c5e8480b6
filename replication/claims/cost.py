"""The claim about the cost of training, from the seconds that the runs took."""

from replication.claims.claim import Claim, Finding, Number, Verdict
from replication.claims.estimate import mean_over
from replication.claims.rules import SIGMAS
from replication.protocols import of_figure2

STATED = (20, 40)  # minutes per million samples
LEAST_SAMPLES = 100_000  # compilation is a large part of anything shorter
DATASETS = ("mnist", "frey")


def _judge(evidence):
    by_machine = {}
    for run in of_figure2(evidence.runs):
        if run.experiment.dataset in DATASETS and run.points[-1].samples >= LEAST_SAMPLES:
            by_machine.setdefault(machine_of(run.info), []).append(_minutes(run.points[-1]))
    if not by_machine:
        return [Finding("figure 2", Verdict.TOO_SMALL, note="not run")]
    return [_machine(name, minutes) for name, minutes in sorted(by_machine.items())]


def machine_of(info):
    """The machine of a run, or the machines one after another, from its `run.json`."""
    machines = [f"{s['machine']} ({s['device']}), {s['backend']}" for s in info["sessions"]]
    return "; ".join(dict.fromkeys(machines))


def _minutes(point):
    return point.seconds / 60 / (point.samples / 1e6)


def _machine(name, minutes):
    estimate = mean_over(minutes, "runs")
    limit, slack = STATED[1], SIGMAS * estimate.error
    if estimate.value + slack <= limit:
        verdict = Verdict.REPLICATED
    else:
        verdict = Verdict.NOT_REPLICATED if estimate.value - slack > limit else Verdict.TOO_SMALL
    number = Number("minutes per million samples", estimate, f"≤ {limit}")
    return Finding(name, verdict, (number,))


COST = Claim(
    "Cost of training",
    f"Computation took {STATED[0]}–{STATED[1]} minutes per million training samples on a Xeon that "
    "ran at an effective 40 GFLOPS (sec. 5).",
    f"""Minutes of training, without evaluation, per million samples, those of runs trained side by
side shared out among them, averaged over figure 2's runs
on MNIST and Frey Face of at least {LEAST_SAMPLES:,} samples, for each machine apart. Replicated: no
more than {STATED[1]} minutes, with {SIGMAS} standard errors over runs to spare. Less than
{STATED[0]} says that machines and programs became faster, not that the paper was wrong.""",
    _judge,
)
