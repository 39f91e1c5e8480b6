"""The table of cost: training samples per second, against the paper's minutes per million.

Symbols: D pixels of x, H hidden units, N_z latent variables, L samples of z for each example.
"""

import datetime
import math

import pandas as pd

from replication.errors import ReplicationError
from replication.figures.text import NAMES, markdown, number, write_tables
from replication.measurements import lock
from replication.measurements.records import read_runs, runs_folder
from replication.measurements.table import table
from replication.plan.experiment import (
    IMAGE_SHAPES,
    MCEM_LEAPFROG_STEPS,
    MCEM_UPDATES,
    Experiment,
)

PAPER_MINUTES = (20, 40)  # per million samples
PAPER_FLOPS = 40e9
SHORTEST_STRETCH = 2.0  # seconds; shorter ones are inaccurate, since seconds are rounded to 0.01

DECODER_HEADS = {"mnist": 1, "frey": 2, "digits": 1}  # p, or μ and log σ²

# Settings that affect the cost; step sizes, seeds, initial values and factors do not.
KIND = [
    *("machine", "dataset", "measure", "n_train", "hidden_units", "latent_dim", "algorithm"),
    *("batch_size", "num_samples", "decoder_layers"),
]
# Columns of `table.csv`.
COLUMNS = [
    *("machine", "dataset", "algorithm", "latent_dim", "hidden_units", "decoder_layers"),
    *("n_train", "batch_size", "runs", "shared_runs", "samples", "samples_per_second"),
    *("fastest_samples_per_second", "minutes_per_million", "mflop_per_sample"),
    *("fastest_gflop_per_second", "evaluation_share"),
]


def flop_per_sample(experiment):
    r"""Floating-point operations of the matrix products for one training sample.

    A weight costs 2 (a product and a sum) in each direction: forwards, backwards to the weight, and
    backwards to the layer's input. The derivative in x is not needed, nor that in z if z is given.
    With the numbers of weights

    $$E = DH + 2HN_z, \qquad G = N_zH + (d - 1)H² + kHD$$

    of the encoder and of the decoder, which has d hidden layers and k = 1 output head (Bernoulli)
    or 2 (Gaussian):

    - AEVB: $6E - 2DH + 6LG$. For 784-500-20-500-784 and L = 1 that is 4.1 MFLOP.
    - Wake-sleep: $2E + L(6G - 2N_zH)$ awake, and $2G + 6E - 2DH$ asleep.
    - Monte Carlo EM: for each image and step, $11 \cdot 4G$ for 10 leapfrog steps and the
      initial gradient, and $5(6G - 2N_zH)$ for 5 updates. A sample costs a fifteenth, since a
      step counts as 15 samples of each image.

    Args:
        experiment: `Experiment`.

    Returns:
        A number, an integer except for Monte Carlo EM.

    Example:
        >>> from replication.plan.experiment import Experiment
        >>> flop_per_sample(Experiment("mnist", "aevb", 20, 0.01))
        4100000
    """
    e = experiment
    pixels = math.prod(IMAGE_SHAPES[e.dataset])
    from_x, from_z = pixels * e.hidden_units, e.latent_dim * e.hidden_units
    between = (e.decoder_layers - 1) * e.hidden_units**2  # the decoder's hidden layers
    encoder, decoder = from_x + 2 * from_z, from_z + between + DECODER_HEADS[e.dataset] * from_x
    train_encoder = 6 * encoder - 2 * from_x
    train_decoder = 6 * decoder - 2 * from_z  # with z given
    if e.algorithm == "aevb":
        return train_encoder + e.num_samples * 6 * decoder
    if e.algorithm == "wake-sleep":
        return 2 * encoder + e.num_samples * train_decoder + 2 * decoder + train_encoder
    step = (MCEM_LEAPFROG_STEPS + 1) * 4 * decoder + MCEM_UPDATES * train_decoder
    return step / (MCEM_LEAPFROG_STEPS + MCEM_UPDATES)


_SLOW, _FAST = (f"{1e6 / 60 / minutes:.0f}" for minutes in PAPER_MINUTES[::-1])
_FLOP = flop_per_sample(Experiment("mnist", "aevb", 20, step_size=0.01))
_MFLOP, _MINUTES = f"{_FLOP / 1e6:.1f}", f"{_FLOP * 1e6 / PAPER_FLOPS / 60:.1f}"

INTRODUCTION = f"""\
# Cost of training

The paper: "around 20-40 minutes per million training samples with a Intel Xeon CPU running at an
effective 40 GFLOPS". That is {_SLOW} to {_FAST} samples per second. At 40 GFLOPS, the matrix
products alone, {_MFLOP} MFLOP for a sample of MNIST with N_z = 20,
take {_MINUTES} minutes per million samples.

- *Samples/s* and *minutes per million* are the speed of whole runs: seconds of training, with
  compilation, without evaluation. Runs trained side by side share the seconds of their program
  equally.
- *Fastest* is the speed of the fastest stretch between two evaluations at least
  {SHORTEST_STRETCH:.0f} seconds apart. If most stretches are shorter, it can be below *samples/s*.
- *Shared* is the number of runs during which another run of this table trained on the same machine.
  Other work on the machine is not recorded.
- *MFLOP* is the arithmetic of the matrix products for one sample, computed from the sizes of the
  networks. A step of MCEM counts as 15 samples of each image: 10 leapfrog steps and 5 updates.
- *GFLOP/s* is the arithmetic per second in the fastest stretch.
- *Evaluation* is the share of evaluation in the total time of the longest runs that recorded it. It
  is smaller in longer runs. It is large in figure 3, whose estimator of log p(x) takes 1000
  gradients for each image.

If runs shared a machine, their speed is a lower bound, and rows differ by load as much as by cost.
The fastest stretch is then closest to the speed of an idle machine.
"""


@lock.one_writer("cost")
def build(results):
    """Writes the tables to `results/cost` from the runs in `results/runs`."""
    runs = [run for run in read_runs(results) if run.rows[-1]["samples"] > 0]
    if not runs:
        raise ReplicationError(
            f"Expected trained runs in {runs_folder(results)}. Received: none. Train some with "
            "`python -m replication figure2`"
        )
    costs = costs_of(runs)
    sections = [f"## {machine}\n\n{_section(rows)}\n" for machine, rows in costs.groupby("machine")]
    numbers = costs[COLUMNS].replace({"n_train": {0: None}})
    return write_tables("cost", results, "\n".join([INTRODUCTION, *sections]), numbers)


def costs_of(runs):
    """The cost of each kind of run on each machine, over all seeds and step sizes.

    Args:
        runs: list of trained `Run`.

    Returns:
        A row for each kind, with the columns `KIND`, `runs`, `shared_runs` (runs known to have
        shared the machine), total `samples` and `seconds`, the rates derived from them, the samples
        per second of the fastest stretch (NaN if all are too short), and the share of evaluation
        in the time of the longest runs that recorded it.
    """
    rows = table(runs)
    rows = rows[rows.split == "train"]
    past = rows.groupby("run")[["samples", "seconds"]].diff()
    rows = rows.assign(fastest=(past.samples / past.seconds)[past.seconds >= SHORTEST_STRETCH])
    fastest = rows.groupby("run").fastest.max()
    ends = rows[rows.samples == rows.end].set_index("run")
    evaluation = {run.experiment.id: _evaluation_seconds(run) for run in runs}
    flop = {run.experiment.id: flop_per_sample(run.experiment) for run in runs}
    ends = ends.assign(
        fastest=fastest,
        shared=ends.index.isin(shared(runs)),
        evaluation=pd.Series(evaluation, dtype="float64"),
        flop=pd.Series(flop),
    )
    ends["noted"] = ends.samples.where(ends.evaluation.notna())
    kinds = ends.groupby(KIND, observed=True)
    longest = ends[ends.noted == kinds.noted.transform("max")].groupby(KIND, observed=True)
    evaluated, trained = longest.evaluation.sum(), longest.seconds.sum()
    costs = kinds.agg(
        runs=("seed", "size"),
        shared_runs=("shared", "sum"),
        samples=("samples", "sum"),
        seconds=("seconds", "sum"),
        fastest_samples_per_second=("fastest", "max"),
        flop=("flop", "first"),
    )
    rate = costs.samples / costs.seconds
    return costs.assign(
        samples_per_second=rate,
        minutes_per_million=1e6 / rate / 60,
        mflop_per_sample=costs.flop / 1e6,
        fastest_gflop_per_second=costs.fastest_samples_per_second * costs.flop / 1e9,
        evaluation_share=evaluated / (evaluated + trained),
    ).reset_index()


def shared(runs):
    """The runs during which another run trained on the same machine.

    A session lasts from its start for at least its training time. Runs of the same session, trained
    side by side, do not count as sharing. Other work on the machine is not recorded.

    Args:
        runs: list of `Run`.

    Returns:
        Set of their ids.
    """
    sessions = pd.DataFrame(
        {
            "run": run.experiment.id,
            "machine": session["machine"],
            "start": datetime.datetime.fromisoformat(session["started"]).timestamp(),
            # A single run is its own group, even if another one started in the same second.
            "group": "" if session.get("side_by_side", 1) > 1 else run.experiment.id,
            "seconds": _seconds(run, session["samples_to"])
            - _seconds(run, session["samples_from"]),
        }
        for run in runs
        for session in run.info["sessions"]
    )
    place = ["machine", "start", "group"]
    sessions["end"] = sessions.start + sessions.groupby(place).seconds.transform("sum")
    pairs = sessions.merge(sessions, on="machine", suffixes=("", "_of_other"))
    together = (pairs.start == pairs.start_of_other) & (pairs.group == pairs.group_of_other)
    inside = (pairs.start >= pairs.start_of_other) & (pairs.start < pairs.end_of_other)
    pairs = pairs[inside & ~together]
    return {*pairs.run, *pairs.run_of_other}


def _seconds(run, samples):
    """Training time up to the last evaluation at or before `samples`."""
    return max((row["seconds"] for row in run.rows if row["samples"] <= samples), default=0.0)


def _evaluation_seconds(run):
    """Seconds of evaluation of all sessions; `None` if one of them did not record them."""
    seconds = [session.get("evaluation_seconds") for session in run.info["sessions"]]
    return None if None in seconds else sum(seconds)


def _rate(value):
    """Samples per second, with three digits; a dash for NaN."""
    return "–" if pd.isna(value) else f"{float(f'{value:.3g}'):.0f}"


def _section(costs):
    rows = pd.DataFrame(
        {
            "data set": costs.dataset.map(NAMES),
            "algorithm": costs.algorithm.map(NAMES),
            "N_z": costs.latent_dim.astype(str),
            "hidden units": costs.hidden_units.astype(str),
            "decoder layers": costs.decoder_layers.astype(str),
            "N_train": [str(n) if n else "all" for n in costs.n_train],
            "M": costs.batch_size.astype(str),
            "runs": costs.runs.astype(str),
            "shared": costs.shared_runs.astype(str),
            "samples/s": costs.samples_per_second.map(_rate),
            "minutes per million": [number(v, digits=2) for v in costs.minutes_per_million],
            "fastest": costs.fastest_samples_per_second.map(_rate),
            "MFLOP": [number(v, digits=2) for v in costs.mflop_per_sample],
            "GFLOP/s": costs.fastest_gflop_per_second.map(number),
            "evaluation": ["–" if pd.isna(v) else f"{v:.0%}" for v in costs.evaluation_share],
        }
    )
    return markdown(rows, left=2)
