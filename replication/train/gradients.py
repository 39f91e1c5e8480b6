"""The variance of gradient estimators for an untrained and a trained model."""

import json

import keras_aevb as kv
from replication.measurements import files, lock, provenance
from replication.measurements.records import read_run, runs_folder
from replication.measurements.variances import FILE, read_variances
from replication.train.model import build, trained

# Estimators and their numbers of repeats: A and B are so close that their ratio needs many.
ESTIMATORS = {
    "A": (kv.ELBO(kl="sampled"), 500),
    "B": (kv.ELBO(kl="analytic"), 500),
    "score function": (kv.ScoreFunctionELBO(), 100),
}


def measure(experiment, dataset, results):
    """Measures the variances of the gradient in φ and θ, and writes them to the run's folder.

    They are measured with L = 1 on a minibatch of the first training images, for the untrained and
    for the trained model, unless the file already has them for the run's number of samples.

    Args:
        experiment: `Experiment` of AEVB, trained.
        dataset: `Dataset`.
        results: folder of the results.

    Returns:
        Path of the file.

    Raises:
        ReplicationError: if the run's weights are missing.
        DamagedFileError: if the file of an earlier measurement or of the run is damaged.
        BusyError: if another command trains or measures the run.
    """
    folder = runs_folder(results) / experiment.id
    path = folder / FILE
    with lock.runs([folder]):
        if path.exists() and read_variances(path)["samples"] == read_run(folder).info["samples"]:
            return path
        model, samples = trained(experiment, dataset, results)
        used = dataset.first(experiment.n_train)
        x = used.train[: experiment.batch_size]
        untrained = build(experiment, used)
        info = {
            "samples": samples,
            "examples": len(x),
            "variances": _variances(untrained, x, samples=0) + _variances(model, x, samples),
            "session": provenance.session(),
        }
        files.write(path, json.dumps(info, indent=1) + "\n")
    return path


def _variances(model, x, samples):
    """A dict for each estimator and each of φ and θ."""
    rows = []
    # The noise of estimators is independent.
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
