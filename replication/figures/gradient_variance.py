"""The table of gradient variance: estimators A and B, and the score function (section 2.2)."""

import dataclasses
import itertools
import math

from replication import lock
from replication.errors import DamagedFileError, ReplicationError
from replication.experiment import BATCH_SIZE, Experiment
from replication.figures.files import write_tables
from replication.figures.tables import NAMES, count, markdown
from replication.protocols import of_figure2
from replication.read_back import read_json
from replication.records import read_runs, runs_folder
from replication.shapes import known, positive, whole

FILE = "gradient_variance.json"
COMMAND = "python -m replication gradient-variance"
REFERENCE = "B"
ESTIMATORS = ("A", REFERENCE, "score function")
PARAMETERS = {"phi": "φ", "theta": "θ"}
SHAPE = {
    "samples": whole,
    "variances": [
        {
            "samples": whole,
            "parameters": known(PARAMETERS),
            "estimator": known(ESTIMATORS),
            "num_repeats": whole,
            "variance": positive,
            "standard_error": positive,
        },
        ...,
    ],
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COLUMNS = (
    "run",
    "dataset",
    "latent_dim",
    "samples",
    "parameters",
    "estimator",
    "num_repeats",
    "variance",
    "standard_error",
    "ratio_to_b",
    "ratio_error",
)

INTRODUCTION = f"""\
# Variance of the gradient

The stochastic gradient of the bound (nats per example) on one fixed batch of {BATCH_SIZE} images,
drawn again and again with fresh noise in z (L = 1): its variance, summed over all parameters φ of
q(z|x) or θ of p(x|z). *A* is eq. 6, *B* eq. 7, and the *score function* is the naive gradient of
section 2.2; all three have the same mean. A ratio to B above one is noisier than B. ± is the Monte
Carlo standard error. *Training samples* are those that the model has seen.

The gradient in θ does not know how φ's is estimated: all three have the same variance there, and
their ratios are one but for the error. For an untrained model q(z|x) ≈ p(z) and p(x|z) hardly
depends on z. Then B's gradient in φ has almost no variance, and the ratios to it are enormous.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """The variance of one estimator's gradient, and its ratio to estimator B's.

    Attributes:
        experiment: the `Experiment` whose model it is.
        samples: training samples that the model has seen.
        parameters: `"phi"` or `"theta"`.
        estimator: `"A"`, `"B"` or `"score function"`.
        num_repeats: gradients that were drawn.
        variance: summed over the parameters.
        standard_error: of `variance`.
        ratio: of `variance` to estimator B's.
        ratio_error: standard error of `ratio`; the noise of two estimators is independent.
    """

    experiment: Experiment
    samples: int
    parameters: str
    estimator: str
    num_repeats: int
    variance: float
    standard_error: float
    ratio: float
    ratio_error: float


def rows(results):
    """What was measured of figure 2's models: a list of `Row` in the data sets' usual order."""
    found = []
    for experiment in (run.experiment for run in of_figure2(read_runs(results))):
        path = runs_folder(results) / experiment.id / FILE
        if not path.exists():
            continue
        variances = read(path)["variances"]
        found += [_row(experiment, v, variances) for v in variances]
    return sorted(found, key=_order)


def read(path):
    """What was measured of one run.

    Raises:
        DamagedFileError: if the file is not what was written, or lacks an estimator.
    """
    way_out = f"Delete it to have it measured again by `{COMMAND}`"
    info = read_json(path, SHAPE, way_out)
    places = {(v["samples"], v["parameters"]) for v in info["variances"]}
    found = {(v["samples"], v["parameters"], v["estimator"]) for v in info["variances"]}
    for place, estimator in itertools.product(sorted(places), ESTIMATORS):
        if (*place, estimator) not in found:
            raise DamagedFileError(
                f"Expected {path} to have the variance of {', '.join(ESTIMATORS)} in "
                f"{place[1]} after {place[0]} samples. Received: none of {estimator}. {way_out}"
            )
    return info


@lock.one_writer("gradient_variance")
def build(results):
    """Writes the tables to `results/gradient_variance` from the measurements in the run folders.

    Args:
        results: folder of the results.

    Returns:
        Paths of `table.md` and `table.csv`.

    Raises:
        ReplicationError: if nothing was measured.
    """
    measured = rows(results)
    if not measured:
        raise ReplicationError(
            f"Expected {FILE} in a run folder below {runs_folder(results)}. Received: none. "
            f"Measure it with `{COMMAND}`"
        )
    rows_of_csv = map(_csv_row, measured)
    return write_tables("gradient_variance", results, _markdown(measured), COLUMNS, rows_of_csv)


def _order(row):
    e = row.experiment
    return list(NAMES).index(e.dataset), e.latent_dim, e.id, row.parameters, row.samples


def _row(experiment, variance, variances):
    place = ("samples", "parameters")
    reference = next(
        v
        for v in variances
        if v["estimator"] == REFERENCE and all(v[name] == variance[name] for name in place)
    )
    ratio = variance["variance"] / reference["variance"]
    relative = [v["standard_error"] / v["variance"] for v in (variance, reference)]
    error = 0.0 if variance is reference else ratio * math.hypot(*relative)
    return Row(experiment, **variance, ratio=ratio, ratio_error=error)


def _csv_row(row):
    e = row.experiment
    return {
        "run": e.id,
        "dataset": e.dataset,
        "latent_dim": e.latent_dim,
        "samples": row.samples,
        "parameters": row.parameters,
        "estimator": row.estimator,
        "num_repeats": row.num_repeats,
        "variance": f"{row.variance:.6g}",
        "standard_error": f"{row.standard_error:.3g}",
        "ratio_to_b": f"{row.ratio:.6g}",
        "ratio_error": f"{row.ratio_error:.3g}",
    }


def _markdown(measured):
    header = ["data set", "N_z", "step size", "gradient in", "training samples"]
    header += ["B", "A", "A / B", "score function", "score function / B"]
    by_line = {}
    for row in measured:
        line = by_line.setdefault((row.experiment, row.parameters, row.samples), {})
        line[row.estimator] = row
    lines = [
        [
            NAMES[e.dataset],
            str(e.latent_dim),
            f"{e.step_size:g}",
            PARAMETERS[parameters],
            count(samples) if samples else "0",
            with_error(line["B"].variance, line["B"].standard_error),
            with_error(line["A"].variance, line["A"].standard_error),
            with_error(line["A"].ratio, line["A"].ratio_error),
            with_error(line["score function"].variance, line["score function"].standard_error),
            with_error(line["score function"].ratio, line["score function"].ratio_error),
        ]
        for (e, parameters, samples), line in by_line.items()
    ]
    return f"{INTRODUCTION}\n{markdown(header, lines, left=1)}\n"


def with_error(value, error):
    """A positive number and its standard error, with two digits of the error.

    Example:
        >>> with_error(1.1319, 0.0912), with_error(823495.0, 7693.9), with_error(2.72e-4, 3.4e-6)
        ('1.132 ± 0.091', '(8.235 ± 0.077)·10⁵', '(2.720 ± 0.034)·10⁻⁴')
    """
    exponent = math.floor(math.log10(value))
    if exponent in range(-2, 4):
        return _decimals(value, error)
    power = str(exponent).translate(_SUPERSCRIPTS)
    return f"({_decimals(value / 10**exponent, error / 10**exponent)})·10{power}"


def _decimals(value, error):
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
