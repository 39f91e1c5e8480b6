"""The table of cost: training samples per second, against the paper's minutes per million."""

import dataclasses
import itertools

from replication import lock
from replication.errors import ReplicationError
from replication.experiment import Experiment
from replication.figures.files import write_tables
from replication.figures.tables import NAMES, markdown, number
from replication.flop import flop_per_sample
from replication.records import read_runs, runs_folder
from replication.sharing import shared

PAPER_MINUTES = (20, 40)  # per million samples
PAPER_FLOPS = 40e9
SHORTEST_STRETCH = 2.0  # seconds; shorter ones tell little, for the clock is kept to 0.01

# Neither step sizes nor seeds, starts or factors change the arithmetic.
FREE = {
    "step_size": 0.0,
    "seed": 0,
    "accumulate_only": 0,
    "initial_stddev": 0.0,
    "initial_bias_stddev": 0.0,
    "log_variance_gain": 1.0,
}

COLUMNS = (
    "machine",
    "dataset",
    "algorithm",
    "latent_dim",
    "hidden_units",
    "n_train",
    "runs",
    "shared_runs",
    "samples",
    "samples_per_second",
    "fastest_samples_per_second",
    "minutes_per_million",
    "mflop_per_sample",
    "fastest_gflop_per_second",
    "evaluation_share",
)

_SLOW, _FAST = (f"{1e6 / 60 / minutes:.0f}" for minutes in PAPER_MINUTES[::-1])
_FLOP = flop_per_sample(Experiment("mnist", "aevb", 20, step_size=0.01))
_MFLOP, _MINUTES = f"{_FLOP / 1e6:.1f}", f"{_FLOP * 1e6 / PAPER_FLOPS / 60:.1f}"

INTRODUCTION = f"""\
# Cost of training

The paper: "around 20-40 minutes per million training samples with a Intel Xeon CPU running at an
effective 40 GFLOPS". That is {_SLOW} to {_FAST} samples per second. The matrix products alone,
{_MFLOP} MFLOP for a sample of MNIST with N_z = 20, take {_MINUTES} minutes per million then.

Ours are the seconds that the runs took to train, with compilation, without evaluation; of runs
that were trained side by side in one program, each has an equal share of the program's seconds:
*samples/s* and *minutes per million* are those of whole runs, *fastest* the samples per second of
the fastest stretch between two evaluations at least {SHORTEST_STRETCH:.0f} seconds apart.

*Shared* says in how many of the runs another run of this table was training on the same machine at
the same time; work that is no run leaves no trace here. Where runs shared, the whole runs are a
lower bound of the speed, the fastest stretch comes closest to what the machine does by itself, and
rows differ by load as much as by cost.

*MFLOP* is the arithmetic of the matrix products that one sample needs, counted from the networks'
sizes, and *GFLOP/s* what the fastest stretch achieved of it. A step of MCEM counts as 15 samples of
each image: 10 leapfrog steps and 5 updates. *Evaluation* is the part of the longest run's whole
time that went into measuring its curve (of the longest runs' that took it down): it falls with
the length of the run, and is large in figure 3, whose estimator of log p(x) takes 1000 gradients
for each image.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """What one kind of run cost on one machine, over all its seeds and step sizes.

    Attributes:
        machine: processor, device and Keras backend.
        experiment: `Experiment` of one of the runs; they share all that costs time.
        runs: how many.
        shared: how many of them are known to have shared the machine.
        samples: training samples of all of them.
        seconds: of their training.
        fastest: samples per second of the fastest stretch, `None` if all are too short.
        evaluation_share: the part of the longest runs' time that went into evaluation, of those
            that took it down; `None` if none did.
    """

    machine: str
    experiment: Experiment
    runs: int
    shared: int
    samples: int
    seconds: float
    fastest: float | None
    evaluation_share: float | None

    @property
    def rate(self):
        """Samples per second."""
        return self.samples / self.seconds

    @property
    def minutes_per_million(self):
        return 1e6 / self.rate / 60

    @property
    def gflop_per_second(self):
        fastest = self.fastest
        return None if fastest is None else fastest * flop_per_sample(self.experiment) / 1e9


def rows(results):
    """The cost of all runs below `results/runs` that were trained, a list of `Row`."""
    runs = [run for run in read_runs(results) if run.points[-1].samples > 0]
    not_alone = shared(runs)
    kinds = {}
    for run in runs:
        kind = dataclasses.replace(run.experiment, **FREE)
        kinds.setdefault((_machine(run), kind), []).append(run)
    return sorted((_row(m, alike, not_alone) for (m, _), alike in kinds.items()), key=_order)


@lock.one_writer("cost")
def build(results):
    """Writes the tables to `results/cost` from the runs in `results/runs`.

    Args:
        results: folder of the results.

    Returns:
        Paths of `table.md` and `table.csv`.

    Raises:
        ReplicationError: if no run was trained.
    """
    costs = rows(results)
    if not costs:
        raise ReplicationError(
            f"Expected trained runs in {runs_folder(results)}. Received: none. Train some with "
            "`python -m replication figure2`"
        )
    return write_tables("cost", results, _markdown(costs), COLUMNS, map(_csv_row, costs))


def _machine(run):
    """Where a run was trained; all machines if there were several."""
    places = [f"{s['machine']} ({s['device']}), {s['backend']}" for s in run.info["sessions"]]
    return "; ".join(dict.fromkeys(places))


def _row(machine, runs, not_alone):
    return Row(
        machine,
        runs[0].experiment,
        len(runs),
        shared=sum(run.experiment.id in not_alone for run in runs),
        samples=sum(run.points[-1].samples for run in runs),
        seconds=sum(run.points[-1].seconds for run in runs),
        fastest=max((rate for run in runs for rate in _stretches(run)), default=None),
        evaluation_share=_evaluation_share(runs),
    )


def _evaluation_share(runs):
    """Of the longest of those runs all of whose sessions took it down."""
    seconds = {}  # by samples: those of evaluation, and of training
    for run in runs:
        evaluation = [s.get("evaluation_seconds") for s in run.info["sessions"]]
        if None not in evaluation:
            end = run.points[-1]
            seconds.setdefault(end.samples, []).append((sum(evaluation), end.seconds))
    if not seconds:
        return None
    evaluation, training = map(sum, zip(*seconds[max(seconds)]))
    return evaluation / (evaluation + training)


def _stretches(run):
    """Samples per second between evaluations that follow each other."""
    for a, b in zip(run.points, run.points[1:]):
        seconds = b.seconds - a.seconds
        if seconds >= SHORTEST_STRETCH:
            yield (b.samples - a.samples) / seconds


def _order(row):
    e = row.experiment
    names = list(NAMES)
    size = (e.n_train or 0, e.hidden_units, e.latent_dim)
    return row.machine, names.index(e.dataset), e.measure, size, names.index(e.algorithm)


def _csv_row(row):
    e = row.experiment
    return {
        "machine": row.machine,
        "dataset": e.dataset,
        "algorithm": e.algorithm,
        "latent_dim": e.latent_dim,
        "hidden_units": e.hidden_units,
        "n_train": e.n_train,
        "runs": row.runs,
        "shared_runs": row.shared,
        "samples": row.samples,
        "samples_per_second": row.rate,
        "fastest_samples_per_second": row.fastest,
        "minutes_per_million": row.minutes_per_million,
        "mflop_per_sample": flop_per_sample(e) / 1e6,
        "fastest_gflop_per_second": row.gflop_per_second,
        "evaluation_share": row.evaluation_share,
    }


def _markdown(costs):
    parts = [INTRODUCTION]
    for machine, alike in itertools.groupby(costs, lambda row: row.machine):
        parts += [f"## {machine}\n", _section(list(alike)) + "\n"]
    return "\n".join(parts)


def _section(costs):
    header = ["data set", "algorithm", "N_z", "hidden units", "N_train", "runs", "shared"]
    header += ["samples/s", "minutes per million", "fastest", "MFLOP", "GFLOP/s", "evaluation"]
    lines = [
        [
            NAMES[e.dataset],
            NAMES[e.algorithm],
            str(e.latent_dim),
            str(e.hidden_units),
            "all" if e.n_train is None else str(e.n_train),
            str(row.runs),
            str(row.shared),
            f"{row.rate:.0f}",
            number(row.minutes_per_million),
            number(row.fastest, digits=0),
            number(flop_per_sample(e) / 1e6, digits=2),
            number(row.gflop_per_second),
            "–" if row.evaluation_share is None else f"{row.evaluation_share:.0%}",
        ]
        for e, row in ((row.experiment, row) for row in costs)
    ]
    return markdown(header, lines, left=2)
