"""The claim about the noise of gradient estimators."""

import dataclasses
import math

from replication.claims.claim import Claim, Finding, Number, Verdict
from replication.claims.estimate import Estimate
from replication.claims.rules import SIGMAS, ahead
from replication.figures.gradient_variance import rows
from replication.figures.tables import NAMES, count

FAR = 10.0


def _judge(evidence):
    models = {}
    for row in rows(evidence.results):
        if row.parameters == "phi" and row.experiment.dataset in ("mnist", "frey"):
            estimate = Estimate(row.variance, row.standard_error, "draws of the gradient")
            models.setdefault((row.experiment, row.samples), {})[row.estimator] = estimate
    if not models:
        return [Finding("gradient variance", Verdict.TOO_SMALL, note="not run")]
    return [
        _less(_name(*model), variances, model[1], more, less, times)
        for model, variances in models.items()
        for more, less, times in (
            ("A", "B", 1.0),
            ("score function", "A", FAR),
            ("score function", "B", FAR),
        )
    ]


def _name(experiment, samples):
    e = experiment
    model = f"{NAMES[e.dataset]}, N_z = {e.latent_dim}, step {e.step_size:g}, seed {e.seed}"
    return f"{model}, {f'after {count(samples)}' if samples else 'untrained'}"


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
