"""Models in float64, in a separate process, since JAX must enable it before its first array."""

import os
import subprocess
import sys

PROGRAM = """
import keras, numpy as np
keras.config.set_floatx("float64")
import keras_aevb as kv

x = np.random.default_rng(0).random((20, 6))

def network():
    return keras.Sequential([keras.layers.Dense(4, "tanh")])

gamma = {"posterior": kv.Conditional("Gamma", 2), "prior": kv.Unconditional("Gamma", 2)}
for parts in ({"posterior": kv.DiagonalNormal(2)}, gamma):
    model = kv.AEVB(network(), network(), likelihood=kv.Normal(6), seed=0, **parts)
    model.compile("adam")
    model.fit(x, batch_size=10, verbose=0, validation_data=(x, None))
    log_p = model.log_likelihood(x, 2)
    for values in (model.elbo(x), model.reconstruct(x), model.sample(2), log_p):
        assert values.dtype == "float64" and np.isfinite(values).all()

# KL(N(m, s²) ‖ N(0, 1)) with more digits than float32 has
model = kv.AEVB(network(), network(), kv.DiagonalNormal(2), kv.Bernoulli(6), seed=0)
q = model.encode(x)
m, s = np.asarray(q.mean()), np.asarray(q.stddev())
kl = (0.5 * (m**2 + s**2 - 1) - np.log(s)).sum(1)
np.testing.assert_allclose(kv.evaluation.elbo_terms(model, x)["kl"], kl, rtol=1e-12)
"""


def test_float64():
    environment = {**os.environ, "JAX_ENABLE_X64": "1"}
    outcome = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr[-3000:]
