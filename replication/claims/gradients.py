"""The claim about the noise of gradient estimators."""

import numpy as np
import pandas as pd

from replication.claims.rules import (
    SIGMAS,
    Claim,
    Estimate,
    Finding,
    Number,
    Verdict,
    ahead,
)
from replication.claims.seeds import Spreads
from replication.figures.text import NAMES, count
from replication.measurements.variances import ROW_KEYS, variances
from replication.plan.experiment import PAPER_DATASETS

FAR = 10.0
# The noisier estimator, the other one, and the least ratio of their variances.
PAIRS = (("A", "B", 1.0), ("score function", "A", FAR), ("score function", "B", FAR))


def _judge(evidence):
    table = variances(evidence.results)
    table = table[(table.parameters == "phi") & table.dataset.isin(PAPER_DATASETS)]
    if table.empty:
        return [Finding("gradient variance", Verdict.TOO_SMALL, note="not run")]
    # The models, without their seeds.
    curve = [f"N_z = {n}, step {step:g}" for n, step in zip(table.latent_dim, table.step_size)]
    table = table.assign(kind=table.dataset.map(NAMES).astype(str), curve=curve)
    ratios = {pair: _ratios(table, *pair[:2]) for pair in PAIRS}
    spreads = {pair: Spreads(rows) for pair, rows in ratios.items()}
    points = table.drop_duplicates(["kind", "curve", "samples"])[["kind", "curve", "samples"]]
    return [
        _finding(point, pair, ratios[pair], spreads[pair])
        for point in points.itertuples(index=False, name=None)
        for pair in PAIRS
    ]


def _ratios(table, more, less):
    """For each seed, the logarithm of the ratio of variances, as `value` with its `error`."""
    index = [*ROW_KEYS, "kind", "curve"]
    wide = table.pivot(index=index, columns="estimator", values=["variance", "standard_error"])
    relative = wide["standard_error"] / wide["variance"]
    ratios = pd.DataFrame(
        {
            "value": np.log(wide["variance"][more] / wide["variance"][less]),
            "error": np.hypot(relative[more], relative[less]),
        }
    )
    return ratios.reset_index()


def _finding(point, pair, ratios, spreads):
    """Whether one estimator's variance exceeds another's by a factor."""
    (kind, curve, samples), (more, less, factor) = point, pair
    ratio = _ratio(ratios, spreads, *point)
    verdict = ahead(ratio, by=factor)
    number = Number(f"variance of {more} / {less}", ratio, f"> {factor:g}", samples)
    trained = f"after {count(samples)}" if samples else "untrained"
    part = f"{kind}, {curve}, {trained}: {more} above {less}"
    return Finding(part, verdict, (number,))


def _ratio(ratios, spreads, kind, curve, samples):
    """The geometric mean over seeds, with the error from seeds and samples to first order."""
    point = (ratios.kind == kind) & (ratios.curve == curve) & (ratios.samples == samples)
    seeds = ratios[point]
    spread, source = spreads.of(kind, curve, samples)
    value = float(np.exp(seeds.value.mean()))
    error = float(np.sqrt((spread**2 + (seeds.error**2).mean()) / len(seeds)))
    return Estimate(value, value * error, (source, "samples of z"))


GRADIENTS = Claim(
    "Less noise in estimator B",
    "Estimator B typically has less variance than estimator A, and the score function's gradient "
    "has a very high variance",
    "secs. 2.2 and 2.3",
    "comparisons",
    f"""Each part compares the variance of the gradient in φ, summed over its entries, on one
minibatch with L = 1, for models before and after training. (In θ, A and B have the same gradient.)
Ratios of variances are geometric means over seeds. A above B: the ratio exceeds 1 by more than
{SIGMAS} standard errors. Score function far above both: its ratio to each exceeds {FAR:g} by more
than {SIGMAS} standard errors.""",
    _judge,
)
