"""Several devices train, evaluate and predict like one, even if batches do not divide evenly.

The tests run separate processes, since the number of devices is fixed when a backend starts.
"""

import json

import keras
import numpy as np
import pytest
from several_devices import PARTS, run_program

BACKEND = keras.backend.backend()

SETUP = {
    "jax": """
import os
os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=4"
import keras
def on_several_devices():
    devices = keras.distribution.list_devices()
    assert len(devices) == 4
    return keras.distribution.DataParallel(devices=devices).scope()
def with_sharded_weights():
    mesh = keras.distribution.DeviceMesh((2, 2), ["batch", "model"])
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*dense.*/kernel"] = (None, "model")
    return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch").scope()
""",
    "tensorflow": """
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
import keras
# One strategy for all models: two strategies on the same devices mix up their all-reduces.
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
def on_several_devices():
    return strategy.scope()
""",
}[BACKEND]

# A last batch of 10 does not divide among 4 devices; one of 1 leaves one of 2 devices empty.
SIZES = {"jax": "[(90, 16)]", "tensorflow": "[(33, 16)]"}[BACKEND]
CASES = {
    "jax": ['["AEVB", "MonteCarloEM"]', '["WakeSleep", "FullVB"]'],
    "tensorflow": ['["AEVB"]', '["WakeSleep", "FullVB"]'],
}[BACKEND]
SCOPES = ["on_several_devices", *(["with_sharded_weights"] if BACKEND == "jax" else [])]


@pytest.mark.slow
@pytest.mark.parametrize("algorithms", CASES)
@pytest.mark.parametrize("scope", SCOPES)
def test_several_devices_equal_one(scope, algorithms):
    is_sharded = scope == "with_sharded_weights"
    process = run_program(
        SETUP
        + PARTS
        + f"""
results = {{}}
for n, batch_size in {SIZES}:
    for name in {algorithms}:
        one = run(contextlib.nullcontext(), n, batch_size, name)
        several = run({scope}(), n, batch_size, name, {is_sharded})
        results[f"{{name}} {{n}} {{batch_size}}"] = one, several
print("RESULTS" + json.dumps(results))
"""
    )
    assert process.returncode == 0, process.stderr[-3000:]
    results = json.loads(process.stdout.split("RESULTS")[1])
    assert results
    for name, (one, several) in results.items():
        for value, expected in zip(several, one, strict=True):
            # float32 sums in another order, over some ten steps
            np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.slow
def test_single_batches_and_refusals_under_replicas():
    process = run_program(
        SETUP
        + PARTS
        + """

class ChangeBound(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        if epoch == 0:
            self.model.bound.weight = 0.0
            self.after = self.model.get_weights()

class Weighted(kv.ELBO):
    weight = 1.0
    def __call__(self, *arguments):
        return {name: self.weight * term for name, term in super().__call__(*arguments).items()}

alone, change = build(kv.AEVB), ChangeBound()
with on_several_devices():
    model, full, changed = build(kv.AEVB), build(kv.FullVB), build(kv.AEVB, bound=Weighted())
for call in ("test_on_batch", "train_on_batch", "test_on_batch"):
    a, b = (getattr(m, call)(X[:16], return_dict=True)["loss"] for m in (alone, model))
    assert abs(a - b) < 1e-4, (call, a, b)
np.testing.assert_allclose(model.predict_on_batch(X[:4]), alone.predict_on_batch(X[:4]), 1e-4)

# The step is compiled anew after a change of the model, also within `fit`.
before = changed.get_weights()
changed.fit(X, epochs=2, verbose=0, callbacks=[change], validation_data=(X, None))
moved = [not np.array_equal(a, b) for a, b in zip(before, changed.get_weights())]
assert any(moved[:-1]), moved
for expected, weight in zip(change.after, changed.get_weights()):
    np.testing.assert_array_equal(weight, expected)
with_nan = X[:8] * np.where(np.arange(8) == 3, np.nan, 1)[:, None]
refusals = {
    "n_train": lambda: full.evaluate(X),
    "NaN and 0 infinite values, in batch 1": lambda: model.fit((b,) for b in (X[:8], with_nan)),
}
if keras.backend.backend() == "tensorflow":
    refusals["strategy"] = lambda: kv.Replicas([model])
    refusals["XLA"] = lambda: model.compile(jit_compile=True)
    with on_several_devices():
        layers = [keras.layers.Dense(4), keras.layers.BatchNormalization()]
        parts = kv.networks.bernoulli_mlp(X.shape[1], latent_dim=2, hidden_units=4)
        normalized = kv.AEVB(**{**parts, "encoder": keras.Sequential(layers)}, seed=0)
        normalized.compile("sgd")
    refusals["batch of 1"] = lambda: normalized.fit(X[:9], batch_size=4, verbose=0)
    assert np.isfinite(normalized.evaluate(X[:9], batch_size=4, verbose=0)).all()
for word, call in refusals.items():
    try:
        call()
        raise SystemExit("not refused: " + word)
    except ValueError as error:
        assert word in str(error), error
print("ALL RIGHT")
"""
    )
    assert "ALL RIGHT" in process.stdout, process.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "tensorflow", reason="on jax, chains are one array on all devices")
def test_monte_carlo_em_refuses_replicas():
    process = run_program(
        SETUP
        + PARTS
        + """
with on_several_devices():
    model = build(kv.MonteCarloEM, recognition=False)
    try:
        model.fit(X, verbose=0)
    except ValueError as error:
        assert "MirroredStrategy" in str(error), error
        print("REFUSED", model.evaluate(X, verbose=0))
"""
    )
    assert "REFUSED" in process.stdout, process.stderr[-3000:]
