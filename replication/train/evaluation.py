"""Evaluation of a model on fixed examples, with fixed noise.

Symbols: N examples; all values are nats per example.
"""

import warnings

import numpy as np

import keras_aevb as kv

SEED = 0
BOUND_EXAMPLES = 10_000
LIKELIHOOD_EXAMPLES = 1000  # section 5: the first 1000 of either set
UNTRAINED_EXAMPLES = 100  # log p(x) of an untrained model hardly varies between examples

ANNEALED_EXAMPLES = 100

# Section 5, figure 3: 50 samples from HMC with 4 leapfrog steps.
DENSITY = kv.PosteriorDensity(
    num_samples=50, num_chains=5, num_burnin_steps=15, num_leapfrog_steps=4
)
IMPORTANCE = kv.ImportanceSampling(num_samples=500)
ANNEALED = kv.AnnealedImportanceSampling(num_samples=10, num_steps=300)


def measure(model, experiment, dataset, at_start=False, at_end=False):
    """Evaluates the quantities of the experiment, without affecting training.

    - `"bound"` (figure 2): `train_elbo` and `test_elbo`, the mean bound, with `*_sem`, its standard
      error over examples.
    - `"likelihood"` (figure 3): `*_density`, the mean of App. D's estimate of log p(x), with
      `*_density_error`, its Monte Carlo standard error; and for models with an encoder the bound,
      `*_elbo`. Before training they cover the first 100 examples only. At the end of training there
      is a second estimate of log p(x). For models with an encoder it is `*_importance`. For others
      it is `*_annealed`, the mean of App. D's estimates plus the mean difference of the two
      estimates on the first 100 examples.

    Args:
        model: `LatentVariableModel`.
        experiment: `Experiment`.
        dataset: `Dataset`.
        at_start: whether the model is untrained.
        at_end: whether this is the end of training.

    Returns:
        Dict from names to floats.
    """
    metrics: dict[str, float] = {}
    for split, x in examples(experiment, dataset).items():
        if experiment.measure == "bound":
            metrics |= _bound(model, split, x)
        else:
            x = x[:UNTRAINED_EXAMPLES] if at_start else x
            metrics |= _likelihood(model, split, x, at_end)
    return metrics


def has_final_measurements(experiment, row):
    """Whether a row of a run has the measurements made only at the end of training."""
    return experiment.measure == "bound" or bool({"train_importance", "train_annealed"} & {*row})


def examples(experiment, dataset):
    """The fixed training and test examples of an experiment's evaluations."""
    n = BOUND_EXAMPLES if experiment.measure == "bound" else LIKELIHOOD_EXAMPLES
    return {"train": dataset.train[:n], "test": dataset.test[:n]}


def _bound(model, split, x):
    values = model.elbo(x, num_samples=1, seed=SEED, verbose=0).astype("float64")
    sem = values.std(ddof=1) / np.sqrt(len(values))
    return {f"{split}_elbo": float(values.mean()), f"{split}_sem": float(sem)}


def _likelihood(model, split, x, at_end):
    density = _log_likelihood(model, x, DENSITY)
    metrics = _mean(f"{split}_density", *density)
    recognition = isinstance(model, kv.VariationalModel)
    if recognition:
        name = f"{split}_elbo"
        metrics[name] = _bound(model, split, x)[name]
    if at_end and recognition:
        metrics |= _mean(f"{split}_importance", *_log_likelihood(model, x, IMPORTANCE))
    elif at_end:
        n = ANNEALED_EXAMPLES
        values, errors = _log_likelihood(model, x[:n], ANNEALED)
        differences = values - density[0][:n]
        metrics |= _mean(
            f"{split}_annealed", differences + density[0].mean(), np.hypot(errors, density[1][:n])
        )
    return metrics


def _log_likelihood(model, x, estimator):
    """Estimates of log p(x) and their standard errors, each of shape `[N]`."""
    with warnings.catch_warnings():
        # Estimators are compared with each other, so the warning is not needed.
        warnings.filterwarnings("ignore", "The importance weights", UserWarning)
        estimates = model.log_likelihood(
            x, method=estimator, seed=SEED, return_standard_error=True, verbose=0
        )
    return [values.astype("float64") for values in estimates]


def _mean(name, values, errors):
    # The noise of examples is independent, so squared errors add.
    error = np.sqrt(np.square(errors).sum()) / len(errors)
    return {name: float(values.mean()), f"{name}_error": float(error)}
