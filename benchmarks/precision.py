"""The effect of TF32 and bfloat16 matrix products on the bound, in training and in evaluation.

Accelerators may round the factors of a float32 product to 10 bits of the mantissa (TF32) or 7
(bfloat16), and add in float32. This program rounds each factor on any device, in the backward pass
too. It shows the accuracy, not the speed.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

MANTISSA_BITS = {"float32": 23, "TF32": 10, "bfloat16": 7}
SAMPLES = 1_000_000


def rows():
    """A row for each precision, measured in a new process on JAX."""
    program = [sys.executable, Path(__file__).resolve()]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    output = subprocess.run(program, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(output.stdout.splitlines()[-1])


def measured():
    """Trains MNIST, N_z = 20, in each precision, and evaluates the float32 model in each."""
    from replication.plan.experiment import Experiment
    from replication.train.datasets import load

    experiment = Experiment("mnist", "aevb", latent_dim=20, step_size=0.01)
    dataset = load("mnist", os.environ.get("AEVB_DATA_DIR"))
    models = {name: trained(experiment, dataset, bits) for name, bits in MANTISSA_BITS.items()}
    bounds = {name: bound(experiment, dataset, model) for name, model in models.items()}
    plain = models["float32"]
    rows = []
    for name, bits in MANTISSA_BITS.items():
        change = bound(experiment, dataset, plain, bits) - bounds["float32"]
        rows.append(
            {
                "precision": name,
                "test_bound_if_trained_at_this_precision": round(float(bounds[name].mean()), 2),
                "mean_change_if_evaluated_at_this_precision": round(float(change.mean()), 5),
                "largest_change_of_the_bound_of_one_image": round(float(abs(change).max()), 5),
            }
        )
    return rows


def trained(experiment, dataset, bits):
    import keras

    import keras_aevb as kv
    from replication.train.model import build

    with products(bits):
        model = build(experiment, dataset)
        x = keras.ops.convert_to_tensor(dataset.train)
        steps = SAMPLES // experiment.batch_size
        stream = kv.RandomMinibatches(x, experiment.batch_size, experiment.seed, 0, steps)
        model.fit(stream, verbose=0)
    return model


def bound(experiment, dataset, model, bits=MANTISSA_BITS["float32"]):
    """The bound of each test image; a new model with the same weights avoids cached programs."""
    from replication.train.model import build

    twin = build(experiment, dataset)
    twin.set_weights(model.get_weights())
    with products(bits):
        return twin.elbo(dataset.test, seed=0).astype("float64")


@contextlib.contextmanager
def products(bits):
    """A context in which Keras' matrix products round their factors to `bits` mantissa bits."""
    import jax
    from keras.src import backend

    own = mock.patch.object(backend.numpy, "matmul", rounded(backend.numpy.matmul, bits))
    with own, jax.default_matmul_precision("highest"):
        yield


def rounded(matmul, bits):
    import jax

    def digits(x):
        return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=bits)

    @jax.custom_vjp
    def product(a, b):
        return matmul(digits(a), digits(b))

    def forward(a, b):
        return product(a, b), (a, b)

    def backward(factors, upstream):
        _, pullback = jax.vjp(matmul, *map(digits, factors))
        return pullback(digits(upstream))

    product.defvjp(forward, backward)
    return lambda a, b: product(jax.numpy.asarray(a), jax.numpy.asarray(b))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    print(json.dumps(measured()))
