"""One tidy table of all measurements, the source of tables, pictures and verdicts.

A row is an evaluation of a run on the training or the test images. `n_train` is 0 if all training
images are used.
"""

import dataclasses

import numpy as np
import pandas as pd

from replication.errors import ReplicationError
from replication.measurements.records import read_runs, runs_folder
from replication.paper import PAPER_CURVE, paper_value
from replication.plan.experiment import ALGORITHMS, LATENT_DIMS, MEASURED, SPLITS
from replication.plan.protocols import figure_of, is_pilot, is_text
from replication.plan.schedule import is_decade
from replication.plan.step_sizes import chosen, pilot_samples

# Columns that identify a panel. Figure 2 has a panel for each N_z, figure 3 for each N_train.
PANEL = ["figure", "dataset", "latent_dim", "n_train"]
CURVE = [*PANEL, "algorithm", "settings", "step_size"]
TEXT = "text"  # `settings` of figure 2's second curves; it is empty for all others
# Second estimates of log p(x), measured only at the end.
SECOND_ESTIMATES = ["importance", "annealed"]
MEASUREMENTS = [
    "value",
    "error",
    "elbo",
    *SECOND_ESTIMATES,
    *(f"{name}_error" for name in SECOND_ESTIMATES),
]
ORDERS = {"dataset": list(LATENT_DIMS), "algorithm": list(ALGORITHMS), "split": list(SPLITS)}

FIRST_COMPARABLE = 1_000_000  # the paper's earlier points look smoothed


def table(runs):
    """A row for each run, number of training samples and split.

    Args:
        runs: list of `Run`.

    Returns:
        The settings of `Experiment`, and the columns

        - `run` (its id), `figure` (0 for none), `settings` (`TEXT` for second curves, else `""`),
          `machine`, `program` (the start of its first session, which runs trained side by side
          share);
        - `pilot` (samples of a pilot run) and `is_pilot` (whether the run counts for the choice of
          the step size);
        - `samples`, `seconds`, `split`;
        - in nats per example: `value`, the quantity shown in the figure, its standard `error`, and
          the other `MEASUREMENTS`;
        - `untrained` (the value before training), `end` (the run's last number of samples), and
          `diverged` (whether the training value at the end is not finite, or below the untrained
          one).
    """
    settings = [_settings(run) for run in runs]
    rows = pd.DataFrame([{**own, **row} for own, run in zip(settings, runs) for row in run.rows])
    measured = [c for c in rows if c.startswith(tuple(f"{split}_" for split in SPLITS))]
    wide = rows.set_index([c for c in rows if c not in measured])
    wide.columns = wide.columns.str.split("_", n=1, expand=True).set_names(["split", None])
    long = wide.stack("split", future_stack=True).reset_index()
    for name, order in ORDERS.items():
        long[name] = pd.Categorical(long[name], order)
    quantities = (name for names in MEASURED.values() for name in names)
    long = long.reindex(columns=dict.fromkeys([*long, *MEASUREMENTS, *quantities]))
    is_bound = long.measure == "bound"
    for column, (bound, likelihood) in zip(("value", "error"), zip(*MEASURED.values())):
        long[column] = long[bound].where(is_bound, long[likelihood])
    long["untrained"] = long.groupby(["run", "split"], observed=True).value.transform(_first)
    long["end"] = long.groupby("run").samples.transform("max")
    last = long[(long.split == SPLITS[0]) & (long.samples == long.end)].set_index("run")
    stable = np.isfinite(last.value) & ~(last.value < last.untrained)
    return long.assign(diverged=~long.run.map(stable))


def figure_table(figure, results):
    """The rows of a figure's runs.

    Raises:
        ReplicationError: if there are none.
    """
    runs = [run for run in read_runs(results) if figure_of(run.experiment) == figure]
    if not runs:
        folder = runs_folder(results)
        raise ReplicationError(f"Expected runs of figure {figure} in {folder}. Received: none")
    return table(runs)


def machine_of(info):
    """The machines of a run with their devices and backends, from its `run.json`."""
    machines = [f"{s['machine']} ({s['device']}), {s['backend']}" for s in info["sessions"]]
    return "; ".join(dict.fromkeys(machines))


def curves(table, counts=()):
    """Every run's values, and the paper's, at all sample counts of a figure's tables.

    Args:
        table: rows of `table`, of one figure; diverged runs are left out.
        counts: further numbers of training samples.

    Returns:
        A row for each run, split and count within the run's range. The counts are those of all
        evaluations, 1 and 3 times each power of ten, half of each run's samples, and `counts`.
        Values are interpolated linearly in the logarithm of the samples. `evaluated` tells whether
        this run was evaluated there, `paper` is the paper's value, `apart` the value minus the
        second estimate, and `curve_end` the last count of the curve's longest run.
    """
    trained = table[~table.diverged & (table.samples > 0)]
    if trained.empty:
        return trained.assign(evaluated=False, paper=0.0, curve_end=0, apart=0.0)
    decades = 10 ** np.arange(len(str(trained.end.max())))
    counts = {*trained.samples, *trained.end // 2, *np.outer(decades, (1, 3)).flat, *counts}
    counts = np.array(sorted(counts))
    groups = trained.groupby([*CURVE, "seed", "split"], observed=True)
    found = pd.concat({rows.index[0]: _interpolated(rows, counts) for _, rows in groups})
    settings = trained.loc[found.index.get_level_values(0)].reset_index(drop=True)
    found = settings.assign(**found.reset_index(drop=True))
    ends = found.groupby(CURVE, observed=True).end.transform("max")
    second = found.importance.fillna(found.annealed)
    return found.assign(curve_end=ends, apart=found.value - second)


def with_roles(curves, pilots, show_closest=False):
    """Selects the curves to show, with their roles.

    If a step size was chosen, it is shown with all that were trained for longer; otherwise all step
    sizes are shown. The same holds for the settings of the paper's text, whose role is always
    `"text"`.

    Args:
        curves: rows of `curves`.
        pilots: rows of `step_sizes.pilots`.
        show_closest: whether to show the step size closest to the paper's test curve too.

    Returns:
        Rows of `curves` with a column `role`: `"chosen"`, `"closest"`, `"chosen, closest"`,
        `"given"` or `TEXT`.
    """
    shown = [curves.iloc[:0].assign(role="")]
    for key, rows in curves.groupby([*PANEL, "algorithm", "settings"], observed=True):
        _, dataset, latent_dim, _, algorithm, settings = key
        step = chosen(pilots, dataset, algorithm, latent_dim, settings)
        main = rows[rows.step_size == step]
        roles = pd.Series("given", index=rows.index)
        if len(main):
            end = main.curve_end.iloc[0]
            closest = _closest(rows, end) if show_closest and not settings else None
            roles[rows.curve_end <= end] = ""
            roles[rows.step_size == closest] = "closest"
            roles[main.index] = "chosen, closest" if step == closest else "chosen"
        if settings:
            roles[roles != ""] = settings
        shown.append(rows.assign(role=roles)[roles != ""])
    return pd.concat(shown)


def averaged(curves):
    """The mean over seeds of rows of `curves`.

    Returns:
        A row for each curve, split and count: the means of the `MEASUREMENTS` and of `apart` (NaN
        if a seed lacks one) and the number of `seeds`; the standard errors `over_seeds` and
        `apart_over_seeds`; the least and the greatest value, `low` and `high`; `paper`, and the
        `difference` from it; `role`, `curve_end`, and `evaluated`, whether any seed was evaluated
        there.
    """
    groups = curves.groupby([*CURVE, "split", "samples"], observed=True)
    means = groups[[*MEASUREMENTS, "paper", "apart"]].mean(skipna=False)
    first = groups[["role", "curve_end"]].first()
    means = means.join(first).assign(
        seeds=groups.size(),
        evaluated=groups.evaluated.any(),
        over_seeds=groups.value.sem(),
        low=groups.value.min(),
        high=groups.value.max(),
        apart_over_seeds=groups.apart.sem(),
        difference=means.value - means.paper,
    )
    return means.reset_index()


def _settings(run):
    e = run.experiment
    return {
        "run": e.id,
        "figure": figure_of(e),
        "settings": TEXT if is_text(e) else "",
        "machine": machine_of(run.info),
        "program": run.info["sessions"][0]["started"],
        "is_pilot": is_pilot(e),
        "pilot": pilot_samples(e),
        **dataclasses.asdict(e),
        "n_train": e.n_train or 0,
    }


def _first(values):
    return values.iloc[0]


def _interpolated(rows, counts):
    """One run on one split, interpolated at the counts within its range."""
    samples = rows.samples.to_numpy()
    at = counts[(samples[0] <= counts) & (counts <= samples[-1])]
    values = {c: np.interp(np.log(at), np.log(samples), rows[c]) for c in MEASUREMENTS}
    paper = paper_value(*(rows[name].iloc[0] for name in PAPER_CURVE), at=at)
    return pd.DataFrame({"samples": at, "evaluated": np.isin(at, samples), "paper": paper} | values)


def _closest(rows, chosen_end):
    """The step size with the least mean distance to the paper's test curve.

    The mean is over the decades from `FIRST_COMPARABLE` that all curves share, or over all shared
    counts if there is none. `None` with fewer than two step sizes, or without shared counts.
    """
    least = min(chosen_end, FIRST_COMPARABLE)
    rivals = averaged(rows[(rows.split == "test") & (rows.curve_end >= least)].assign(role=""))
    rivals = rivals[rivals.evaluated]
    apart = rivals.pivot(index="samples", columns="step_size", values="difference").abs().dropna()
    decades = apart[[s >= FIRST_COMPARABLE and is_decade(s) for s in apart.index]]
    decisive = decades if len(decades) else apart
    return decisive.mean().idxmin() if len(decisive) and apart.shape[1] > 1 else None
