"""The table of gradient variance: estimators A and B, and the score function (section 2.2)."""

import pandas as pd

from replication.errors import ReplicationError
from replication.figures.text import NAMES, count, markdown, with_error, write_tables
from replication.measurements import lock
from replication.measurements.records import runs_folder
from replication.measurements.variances import COMMAND, FILE, PARAMETERS, ROW_KEYS, variances
from replication.plan.experiment import BATCH_SIZE
from replication.plan.protocols import INFERRED_SETTINGS

# Columns of `table.csv`, and the digits of the numeric ones.
COLUMNS = {
    **dict.fromkeys(("run", "dataset", "latent_dim", "samples", "parameters", "estimator")),
    "num_repeats": None,
    **{"variance": "{:.6g}", "standard_error": "{:.3g}"},
    **{"ratio_to_b": "{:.6g}", "ratio_error": "{:.3g}"},
}

INTRODUCTION = f"""\
# Variance of the gradient

The table shows the variance of the stochastic gradient of the bound (nats per example), summed over
all parameters φ of q(z|x) or θ of p(x|z). The gradient is sampled repeatedly on one fixed batch of
the size used in training ({BATCH_SIZE} images; {INFERRED_SETTINGS["frey"]["batch_size"]} of Frey
Face), with fresh noise in z (L = 1). *A* is eq. 6, *B* eq. 7, and the *score function* is the naive
gradient of section 2.2; all three have the same mean. A ratio above one means more noise than B. ±
is the Monte Carlo standard error. *Training samples* is the number that the model has seen.

The gradient in θ is the same for all three estimators, so its ratios are one up to the error.
Before training, q(z|x) ≈ p(z) and p(x|z) hardly depends on z. B's gradient in φ then has almost no
variance, and the ratios to it are enormous.
"""


@lock.one_writer("gradient_variance")
def build(results):
    """Writes the tables to `results/gradient_variance` from the measurements in the run folders."""
    table = variances(results)
    if table.empty:
        raise ReplicationError(
            f"Expected {FILE} in a run folder below {runs_folder(results)}. Received: none. "
            f"Measure it with `{COMMAND}`"
        )
    numbers = table.rename(columns={"ratio": "ratio_to_b"})[[*COLUMNS]]
    for name, digits in COLUMNS.items():
        if digits:
            numbers[name] = numbers[name].map(digits.format)
    page = f"{INTRODUCTION}\n{_page_table(table)}\n"
    return write_tables("gradient_variance", results, page, numbers)


def _page_table(table):
    """A row for each model, number of samples and set of parameters."""
    wide = table.pivot(index=ROW_KEYS, columns="estimator")
    places = wide.index.to_frame()
    rows = pd.DataFrame(
        {
            "data set": places.dataset.map(NAMES),
            "N_z": places.latent_dim.astype(str),
            "step size": places.step_size.map("{:g}".format),
            "seed": places.seed.astype(str),
            "gradient in": places.parameters.map(PARAMETERS),
            "training samples": [count(n) if n else "0" for n in places.samples],
        }
    )
    for title, estimator, *names in (
        ("B", "B", "variance", "standard_error"),
        ("A", "A", "variance", "standard_error"),
        ("A / B", "A", "ratio", "ratio_error"),
        ("score function", "score function", "variance", "standard_error"),
        ("score function / B", "score function", "ratio", "ratio_error"),
    ):
        rows[title] = [with_error(*row) for row in zip(*(wide[name, estimator] for name in names))]
    return markdown(rows, left=1)
