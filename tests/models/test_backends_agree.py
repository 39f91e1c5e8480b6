"""One program, two backends: fixed weights and fixed noise give the same numbers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import sys
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
for algorithm in (kv.AEVB, kv.WakeSleep):
    for likelihood in (kv.Bernoulli, Likelihood):
        if algorithm is kv.WakeSleep and likelihood is kv.Bernoulli:
            continue  # its dreams are binary draws of the backend's own
        for kl in ("analytic", "sampled"):
            model = algorithm(
                dense(5), dense(4), Posterior(2), likelihood(6), Prior(2), kv.ELBO(3, kl), seed=0
            )
            rng = np.random.default_rng(1)
            for variable in model.trainable_variables:
                variable.assign(rng.normal(0, 0.5, variable.shape))
            name = f"{algorithm.__name__} {likelihood.__name__} {kl}"
            results[name + " bound"] = model.elbo(x, num_samples=3)
            model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
            logs = model.fit(x, batch_size=len(x), shuffle=False, verbose=0).history
            for key, value in logs.items():
                results[f"{name} {key}"] = value
            for i, variable in enumerate(model.trainable_variables):
                results[f"{name} weight {i}"] = variable.numpy()
np.savez(sys.argv[1], **results)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the program saves under each backend; the two processes run side by side."""
    folder, root = tmp_path_factory.mktemp("backends"), Path(__file__).parents[2]
    processes = {}
    for backend in ("jax", "tensorflow"):
        pytest.importorskip(backend)
        env = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", PROGRAM, str(folder / f"{backend}.npz")]
        processes[backend] = subprocess.Popen(
            command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    outputs = {backend: process.communicate() for backend, process in processes.items()}
    for backend, process in processes.items():
        assert process.returncode == 0, outputs[backend][1][-3000:]
    return [np.load(folder / f"{backend}.npz") for backend in processes]


@pytest.mark.parametrize("name", ["AEVB Bernoulli", "AEVB Likelihood", "WakeSleep Likelihood"])
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_backends_agree(results, name, kl):
    jax, tensorflow = results
    keys = [key for key in jax.files if key.startswith(f"{name} {kl} ")]
    assert set(jax.files) == set(tensorflow.files)
    assert len([key for key in keys if "weight" in key]) >= 10
    for key in keys:
        # float32 in another order; atol: an entry that is small because its terms cancel
        scale = np.abs(jax[key]).max()
        np.testing.assert_allclose(
            jax[key], tensorflow[key], rtol=1e-4, atol=1e-6 * scale, err_msg=key
        )
