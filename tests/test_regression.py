"""The four unsupervised algorithms, trained from scratch for a fixed budget, reach stored values.

Both backends start from the same weights and use the same order of examples, with different noise.
Both are compared with a reference from JAX, a mean of five runs with different noise. The
difference exceeds 5 standard errors by chance with probability 1e-3. On a given backend and machine
the outcome is always the same.
"""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_aevb as kv
from replication.train import datasets

REFERENCES = Path(__file__).parent / "references"
NUM_RUNS = 5
EPOCHS = {"digits": 100, "mnist": 40}
MCEM_EPOCHS = {"digits": 20, "mnist": 10}
N_TRAIN, N_TEST, BATCH_SIZE = 1000, 200, 100
ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM]
ANNEALED = kv.AnnealedImportanceSampling(num_samples=5, num_steps=50)


def build(algorithm, x_dim):
    bare = algorithm is kv.MonteCarloEM
    parts = kv.networks.bernoulli_mlp(x_dim, 5, hidden_units=50, seed=0, recognition=not bare)
    settings = {"n_train": N_TRAIN, "num_leapfrog_steps": 5} if bare else {}
    model = algorithm(**parts, **settings, seed=0)
    model.compile(
        keras.optimizers.Adam(0.005),
        steps_per_execution=10,
        jit_compile=True if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    return model


def values_of_runs(model, data):
    """Trains one model repeatedly, which compiles once; returns dicts of final values.

    They include another term than log p(x) or its bound: near the maximum, a wrong weight of the
    divergence changes the bound only to second order, but the divergence to first.
    """
    variables = model.variables + model.optimizer.variables
    before = [variable.numpy() for variable in variables]
    weights = [
        w
        for name in ("encoder", "decoder", "posterior", "likelihood")
        for w in getattr(getattr(model, name, None), "trainable_variables", ())
    ]
    for run in range(NUM_RUNS):
        rng = np.random.default_rng(0)
        for variable, value in zip(variables, before):
            variable.assign(value)
        for weight in weights:
            weight.assign(rng.normal(0, 0.1, weight.shape))
        model.seed_generator.state.assign(keras.random.SeedGenerator(run).state)
        epochs = (MCEM_EPOCHS if isinstance(model, kv.MonteCarloEM) else EPOCHS)[data.name]
        model.fit(data.train[:N_TRAIN], batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
        x = data.test[:N_TEST]
        if isinstance(model, kv.VariationalModel):
            bound = model.elbo(x, num_samples=5, seed=run).mean()
            other = "kl"
        else:
            bound = model.log_likelihood(x[: N_TEST // 8], method=ANNEALED, seed=run).mean()
            other = "log_joint"
        yield {"": bound, f" {other}": model.evaluate(x, verbose=0, return_dict=True)[other]}


@pytest.mark.slow
@pytest.mark.parametrize("name", EPOCHS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bound_after_a_fixed_budget(name, algorithm):
    if name == "mnist" and "AEVB_DATA_DIR" not in os.environ:
        pytest.skip("AEVB_DATA_DIR is not a folder with the data")
    data = datasets.load(name)
    runs = list(values_of_runs(build(algorithm, data.train.shape[1]), data))
    for term in runs[0]:
        values = [values[term] for values in runs]
        path = REFERENCES / f"{name}.json"
        kv.testing.assert_unchanged(values, path, f"{algorithm.__name__}{term}")
