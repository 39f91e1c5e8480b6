"""The claim about the noise of gradient estimators."""

import dataclasses
import math

from replication.claims.rules import (
    DATASETS,
    SIGMAS,
    Claim,
    Estimate,
    Finding,
    Number,
    Verdict,
    ahead,
)
from replication.figures.text import NAMES, count
from replication.measurements.variances import MODEL, variances

FAR = 10.0


def _judge(evidence):
    table = variances(evidence.results)
    table = table[(table.parameters == "phi") & table.dataset.isin(DATASETS)]
    if table.empty:
        return [Finding("gradient variance", Verdict.TOO_SMALL, note="not run")]
    return [
        finding
        for model, rows in table.groupby(MODEL, observed=True)
        for finding in _findings(dict(zip(MODEL, model)), rows.set_index("estimator"))
    ]


def _findings(model, rows):
    samples = model["samples"]
    trained = f"after {count(samples)}" if samples else "untrained"
    name = f"{NAMES[model['dataset']]}, N_z = {model['latent_dim']}, step {model['step_size']:g}, "
    name += f"seed {model['seed']}, {trained}"
    variances = {
        estimator: Estimate(row.variance, row.standard_error, "draws of the gradient")
        for estimator, row in rows.iterrows()
    }
    for more, less, times in (
        ("A", "B", 1),
        ("score function", "A", FAR),
        ("score function", "B", FAR),
    ):
        yield _less(name, variances, samples, more, less, times)


def _less(model, variances, samples, more, less, times):
    """Whether one estimator's variance is more than `times` another's."""
    ratio = _ratio(variances[more], variances[less])
    verdict = ahead(dataclasses.replace(ratio, value=ratio.value - times))
    number = Number(f"variance of {more} / {less}", ratio, f"> {times:g}", samples)
    return Finding(f"{model}: {more} above {less}", verdict, (number,))


def _ratio(a, b):
    """The ratio of independent estimates, its error to first order."""
    value = a.value / b.value
    return Estimate(value, value * math.hypot(a.error / a.value, b.error / b.value), a.over)


GRADIENTS = Claim(
    "Less noise in estimator B",
    "Estimator B typically has less variance than estimator A (sec. 2.3); the score function's "
    "gradient exhibits very high variance (sec. 2.2).",
    f"""The variance of the gradient in φ, summed over its entries, on one minibatch with L = 1, for
an untrained and a trained model. (In θ, A and B have the same gradient.) B has less than A if the
ratio of A's variance to B's is above 1 by more than {SIGMAS} standard errors; the score function's
is far above both if the ratios to theirs are above {FAR:g} by as much. Replicated: for every model
measured; partly: for some.""",
    _judge,
)
