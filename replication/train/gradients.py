"""Measures how noisy three estimators of the bound's gradient are, before and after training."""

import json

import keras_aevb as kv
from replication.measurements import files, lock, provenance
from replication.measurements.records import read_run, runs_folder
from replication.measurements.variances import FILE, read_variances
from replication.train.model import build, trained

# Each with its number of repeats: A and B are so close that their ratio takes many.
ESTIMATORS = {
    "A": (kv.ELBO(kl="sampled"), 500),
    "B": (kv.ELBO(kl="analytic"), 500),
    "score function": (kv.ScoreFunctionELBO(), 100),
}


def measure_gradients(experiment, dataset, results):
    """Writes the variances of the gradient in φ and in θ to the run's folder.

    On the first images of the training set, as many as in a minibatch, with L = 1: for the
    untrained model and for the trained one. Nothing is measured again if the file is there for as
    many training samples as the run has.

    Args:
        experiment: `Experiment` of AEVB, trained.
        dataset: `Dataset`.
        results: folder of the results.

    Returns:
        Path of the file.

    Raises:
        MissingCheckpointError: if the run's weights are not there.
        DamagedFileError: if an earlier measurement or the run cannot be read.
        BusyError: if another command trains or measures the run.
    """
    folder = runs_folder(results) / experiment.id
    with lock.runs([folder]):
        return _measure(experiment, dataset, results, folder)


def _measure(experiment, dataset, results, folder):
    path = folder / FILE
    if path.exists() and read_variances(path)["samples"] == read_run(folder).info["samples"]:
        return path
    model, samples = trained(experiment, dataset, results)
    used = dataset.first(experiment.n_train)
    x = used.train[: experiment.batch_size]
    untrained = build(experiment, used)
    variances = _variances(untrained, x, samples=0) + _variances(model, x, samples)
    info = {
        "samples": samples,
        "examples": len(x),
        "variances": variances,
        "session": provenance.session(),
    }
    files.write(path, json.dumps(info, indent=1) + "\n")
    return path


def _variances(model, x, samples):
    """A dict for each estimator and each of φ and θ."""
    rows = []
    # Each estimator has noise of its own: the errors of two are independent.
    for seed, (name, (bound, num_repeats)) in enumerate(ESTIMATORS.items()):
        measured = kv.gradient_variance(model, x, bound, num_repeats, seed)
        for parameters, variance in measured._asdict().items():
            rows.append(
                {
                    "samples": samples,
                    "estimator": name,
                    "parameters": parameters,
                    "variance": variance.total,
                    "standard_error": variance.standard_error,
                    "num_repeats": num_repeats,
                }
            )
    return rows
