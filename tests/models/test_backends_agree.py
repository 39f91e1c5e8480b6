"""One program, two backends: fixed weights and fixed noise give the same numbers."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

PROGRAM = """
import keras, numpy as np
import keras_aevb as kv
from keras import ops
from keras_aevb._backend import tfp

tfd = tfp.distributions

class FixedNormal(tfd.Normal):
    '''loc + scale · ε with the same ε on every backend.'''
    def _sample_n(self, n, seed=None):
        shape = (int(n), *self.batch_shape)
        epsilon = np.random.default_rng(len(shape)).normal(size=shape).astype("float32")
        return self.loc + self.scale * epsilon

def fixed(p):
    normal = p.distribution
    return tfd.Independent(FixedNormal(normal.loc, normal.scale), 1)

class Posterior(kv.DiagonalNormal):
    def distribution(self, *parameters):
        return fixed(super().distribution(*parameters))

class Likelihood(kv.Normal):
    def distribution(self, *parameters):
        return fixed(super().distribution(*parameters))

class Prior(kv.StandardNormal):
    def distribution(self):
        return fixed(super().distribution())

dense = lambda units: keras.Sequential(
    [keras.layers.Dense(units, "tanh", kernel_regularizer=keras.regularizers.L2(0.01))]
)
x = np.random.default_rng(0).random((7, 6)).astype("float32")
results = {}
for algorithm, likelihood, kl in (
    (kv.AEVB, kv.Bernoulli, "analytic"),
    (kv.AEVB, Likelihood, "sampled"),
    (kv.WakeSleep, Likelihood, "sampled"),  # it samples x, which is fixed for `Likelihood` alone
):
    model = algorithm(
        dense(5), dense(4), Posterior(2), likelihood(6), Prior(2), kv.ELBO(3, kl), seed=0
    )
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    name = f"{algorithm.__name__} {likelihood.__name__} {kl}"
    results[name + " bound"] = model.elbo(x, num_samples=3)
    model.compile(keras.optimizers.SGD(0.1))
    logs = model.fit(x, batch_size=len(x), shuffle=False, verbose=0).history
    for key, value in logs.items():
        results[f"{name} {key}"] = value
    for i, variable in enumerate(model.trainable_variables):
        results[f"{name} weight {i}"] = variable.numpy()
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of the program in this process, and under the other backend in another process."""
    (other,) = {"jax", "tensorflow"} - {keras.backend.backend()}
    pytest.importorskip(other)
    path, root = tmp_path_factory.mktemp("backends") / "results.npz", Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", f"{PROGRAM}\nnp.savez({str(path)!r}, **results)"],
        env={**os.environ, "KERAS_BACKEND": other, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    here = {}
    exec(PROGRAM, here)
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-3000:]
    return here["results"], dict(np.load(path))


@pytest.mark.parametrize(
    "name",
    [
        "AEVB Bernoulli analytic",
        "AEVB Likelihood sampled",
        "WakeSleep Likelihood sampled",
    ],
)
def test_backends_agree(results, name):
    here, there = results
    assert set(here) == set(there)
    keys = [key for key in here if key.startswith(f"{name} ")]
    assert len([key for key in keys if "weight" in key]) >= 10
    for key in keys:
        # float32 in another order; atol: an entry that is small because its terms cancel
        scale = np.abs(here[key]).max()
        np.testing.assert_allclose(here[key], there[key], rtol=1e-4, atol=1e-6 * scale, err_msg=key)
