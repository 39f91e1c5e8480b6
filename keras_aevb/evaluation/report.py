"""A table of a trained model's metrics."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np

from keras_aevb import arguments
from keras_aevb.evaluation.active_units import active_units
from keras_aevb.evaluation.elbo_terms import elbo_terms
from keras_aevb.evaluation.kl import kl_by_dimension
from keras_aevb.evaluation.mutual_information import mutual_information
from keras_aevb.marginal_likelihood import pareto
from keras_aevb.models import VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.typing import ArrayLike, ConditionLike, Config, Seed

NUM_ELBO_SAMPLES = 10
WIDTH, BAR_WIDTH = 64, 28


class Estimate(NamedTuple):
    """A mean over examples, and its standard error from their spread; both in nats.

    Example:
        >>> elbo = Estimate(mean=-88.25, standard_error=0.5)
        >>> mean, standard_error = elbo
    """

    mean: float
    standard_error: float


class Report(NamedTuple):
    """The metrics of a model, from `report`. `str` formats them as a table.

    Attributes:
        num_examples: N.
        elbo: `Estimate` of the evidence lower bound, reconstruction - kl.
        reconstruction: `Estimate` of E_q[log p(x|z)].
        kl: `Estimate` of KL(q(z|x) ‖ p(z)).
        log_likelihood: `Estimate` of log p(x), by importance sampling.
        inference_gap: `Estimate` of log p(x) - ELBO.
        mutual_information: `Estimate` of I(x; z) under q, which is at most log N.
        active_units: boolean array of shape `z_shape`.
        kl_by_dimension: array of shape `z_shape`, means over the examples, in nats; `None` if the
            dimensions of q(z|x) or p(z) are not independent.
        pareto_k: array of shape `[N]`.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> result = model.report(np.zeros((10, 16)), num_samples=10, seed=0, verbose=False)
        >>> gap = result.log_likelihood.mean - result.elbo.mean
        >>> result.active_units.shape, result.pareto_k.shape
        ((2,), (10,))
    """

    num_examples: int
    elbo: Estimate
    reconstruction: Estimate
    kl: Estimate
    log_likelihood: Estimate
    inference_gap: Estimate
    mutual_information: Estimate
    active_units: np.ndarray
    kl_by_dimension: np.ndarray | None
    pareto_k: np.ndarray

    def __str__(self) -> str:
        names = {
            "ELBO": self.elbo,
            "  reconstruction E_q[log p(x|z)]": self.reconstruction,
            "  KL(q(z|x) ‖ p(z))": self.kl,
            "log p(x), importance sampling": self.log_likelihood,
            "inference gap log p(x) - ELBO": self.inference_gap,
            f"I(x; z), at most log N = {math.log(self.num_examples):.2f}": self.mutual_information,
        }
        title = f"mean over {self.num_examples} examples, in nats"
        lines = [f"{title:<40}{'value':>12}{'± s.e.':>12}", "-" * WIDTH]
        lines += [f"{n:<40}{_number(e.mean)}{_number(e.standard_error)}" for n, e in names.items()]
        active = f"{self.active_units.sum()} of {self.active_units.size}"
        lines += ["-" * WIDTH, f"{'active units':<40}{active:>12}"]
        above = self.pareto_k > pareto.UNRELIABLE_ABOVE
        name, unreliable = (
            f"Pareto k̂ above {pareto.UNRELIABLE_ABOVE}",
            f"{above.sum()} of {above.size}",
        )
        lines.append(f"{name:<41}{unreliable:>12}")  # the combining hat has no width
        if above.any():
            lines.append("  where log p(x) and the inference gap are unreliable")
        if self.kl_by_dimension is not None:
            lines += ["-" * WIDTH, *_kl_lines(self.kl_by_dimension)]
        return "\n".join(lines)


def _number(value: float) -> str:
    """A column of 12 characters that begins with a space."""
    text = f"{value:.3f}"
    return f"{text if len(text) < 12 else f'{value:.5g}':>12}"


def _kl_lines(kl: np.ndarray) -> Iterator[str]:
    """A line for each latent dimension, the largest KL first."""
    yield f"{'KL by latent dimension':<40}{'nats':>12}"
    for i in np.argsort(-kl, axis=None):
        index = ", ".join(str(int(n)) for n in np.unravel_index(i, kl.shape))
        share = np.nan_to_num(kl.flat[i] / max(kl.max(), 1e-9), posinf=1.0)
        bar = "█" * round(BAR_WIDTH * share)
        yield f"{f'  z[{index}]':<12}{bar:<{BAR_WIDTH}}{_number(kl.flat[i])}"


def report(
    model: VariationalModel,
    x: ArrayLike,
    num_samples: int = 1000,
    batch_size: int = 100,
    seed: Seed = None,
    condition: ConditionLike | None = None,
    verbose: bool = True,
) -> Report:
    """Computes the metrics of a trained model and prints them as a table.

    Args:
        model: a `VariationalModel`.
        x: data of shape `[N, *event_shape]`, N ≥ 2.
        num_samples: samples of z for each example, for log p(x) and Pareto k̂.
        batch_size: examples evaluated at once.
        seed: integer that fixes the noise. Default: the model's seed generator.
        condition: y, of shape `[N, *condition.shape]`.
        verbose: whether to print the progress and the table.

    Returns:
        A `Report`. For `FullVB`, the mutual information, the active units and the KL by dimension
        use the mean of q(θ); the other values come from samples θ ~ q(θ).

    Raises:
        ValueError: if the model has no q(z|x), there is a single example, or
            `model.log_likelihood` rejects an argument.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8, seed=0))
        >>> x = np.random.default_rng(0).random((10, 16))
        >>> print(kv.evaluation.report(model, x, seed=0, verbose=False))
        mean over 10 examples, in nats                 value      ± s.e.
        ...
    """
    check_type("model", model, VariationalModel)
    arguments.boolean("verbose", verbose)
    num_samples = arguments.integer("num_samples", num_samples)
    options: Config = {"batch_size": batch_size, "seed": seed, "condition": condition}
    progress = keras.utils.Progbar(5, verbose=int(verbose), unit_name="measure")
    terms = elbo_terms(model, x, NUM_ELBO_SAMPLES, **options)
    progress.add(1)
    estimates = model.estimates(model.estimator("importance", num_samples), x, **options)
    log_p = estimates["log_likelihood"]
    progress.add(1)
    information = mutual_information(model, x, **options)
    progress.add(1)
    active = active_units(model, x, **options)
    progress.add(1)
    kl = _kl_by_dimension(model, x, options)
    progress.add(1)
    result = Report(
        num_examples=len(log_p),
        **{name: _estimate(terms[name]) for name in ("elbo", "reconstruction", "kl")},
        log_likelihood=_estimate(log_p),
        inference_gap=_estimate(log_p - terms["elbo"]),
        mutual_information=_estimate(information),
        active_units=active,
        kl_by_dimension=kl,
        pareto_k=pareto.worst_pareto_k(estimates["largest_log_weights"]),
    )
    if verbose:
        print(result)
    return result


def _kl_by_dimension(model: VariationalModel, x: ArrayLike, options: Config) -> np.ndarray | None:
    try:
        return kl_by_dimension(model, x, **options).mean(axis=0, dtype="float64")
    except ValueError:  # other arguments are valid, so the dimensions are not independent
        return None


def _estimate(values: np.ndarray) -> Estimate:
    values = values.astype("float64")
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))
