"""A program that trains, evaluates and predicts, to be run on one device and on several."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Noise that is the same on every device: half a standard deviation.
PARTS = """
import contextlib, json, sys
import keras
import numpy as np
from keras import ops
import keras_aevb as kv
from keras_aevb._backend import tfp
from keras_aevb.models import weight_posterior

class Steady(tfp.distributions.Normal):
    def _sample_n(self, n, seed=None):
        value = self.loc + 0.5 * self.scale
        return ops.broadcast_to(value, (n, *ops.shape(value)))

def steady(base):
    class Part(base):
        def distribution(self, *parameters):
            normal = super().distribution(*parameters).distribution
            return tfp.distributions.Independent(Steady(normal.loc, normal.scale), 1)
    return Part

def steady_normal(mean, scale, event_shape):
    return tfp.distributions.Independent(Steady(mean, scale), len(event_shape))

weight_posterior.diagonal_normal = steady_normal  # the weights' noise, of FullVB

def build(algorithm, recognition=True, **settings):
    keras.utils.set_random_seed(1)
    parts = {
        "decoder": keras.Sequential([keras.layers.Dense(4, "tanh")]),
        "likelihood": steady(kv.Normal)(12),
        "prior": steady(kv.StandardNormal)(2),
    }
    if recognition:
        parts["encoder"] = keras.Sequential([keras.layers.Dense(6, "tanh")])
        parts["posterior"] = steady(kv.DiagonalNormal)(2)
    model = algorithm(**parts, seed=0, **settings)
    model.compile(keras.optimizers.SGD(0.01), steps_per_execution=4)
    return model

def num_sharded(model):
    # How many variables are divided between devices.
    variables = [*model.variables, *model.optimizer.variables]
    return sum("model" in v.value.sharding.spec for v in variables)

X = np.random.default_rng(0).random((90, 12)).astype("float32")
WEIGHTS = np.linspace(0, 2, 90, dtype="float32")

def run(scope, n, batch_size, name, is_sharded=False):
    x, weights = X[:n], WEIGHTS[:n]
    recognition = name != "MonteCarloEM"
    with scope:
        model = build(getattr(kv, name), recognition)
        assert not is_sharded or num_sharded(model)
        history = model.fit(x, batch_size=batch_size, sample_weight=weights, epochs=2, verbose=0,
                            validation_data=(X[:7], None)).history
        results = [list(history.values()), model.evaluate(x, verbose=0)]
        if recognition:
            results.append(model.predict(x, verbose=0))
    return [np.asarray(a).tolist() for a in (*model.get_weights(), *results)]

"""


def environment(**variables):
    """The environment of a program that runs in a separate process."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run_program(program):
    """Runs a program in a separate process, since a backend's devices are fixed when it starts."""
    return subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True
    )
