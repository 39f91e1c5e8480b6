"""Errors of data, parts and imports: the message names the expected and the received value."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from streams import Batches

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions

BOTH = pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep])


@pytest.fixture(scope="module")
def model(make_model):
    model = make_model()
    model.compile()
    return model


# Data


def as_tf_dataset(x):
    return pytest.importorskip("tensorflow").data.Dataset.from_tensor_slices(x).batch(5)


STREAMS = {
    "tf.data": as_tf_dataset,
    "PyDataset": lambda x: Batches([(x,)]),
    "generator": lambda x: (batch for batch in [(x, None)]),
}


def test_a_normal_likelihood_takes_any_finite_number(make_model, x):
    model = make_model(likelihood=kv.Normal(6))
    model.compile()
    assert np.isfinite(model.evaluate(100 * x - 50, verbose=0)).all()
    with pytest.raises(ValueError, match=r"finite.*78 NaN"):
        model.evaluate(x * np.nan, verbose=0)


def test_wrong_event_shape_of_encode_and_decode(model):
    with pytest.raises(ValueError, match=r"x with event shape \(6,\).*\(5,\)"):
        model.encode(np.zeros((4, 5), "float32"))
    with pytest.raises(ValueError, match=r"z with event shape \(2,\).*\(3,\)"):
        model.decode(np.zeros((4, 3), "float32"))


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_sample_weight_beside_a_stream_is_refused(stream, model, x):
    """The error names the argument that was given."""
    with pytest.raises(ValueError, match="`sample_weight"):
        model.fit(stream(x), sample_weight=np.ones(len(x)), verbose=0)


# Incompatible parts


class UniformBits(kv.Prior):
    def distribution(self):
        return tfd.Independent(tfd.Bernoulli(logits=ops.zeros(2), dtype="float32"), 1)


def test_aevb_needs_a_reparameterisable_posterior(make_model):
    parts = {
        "posterior": kv.Bernoulli(2),
        "prior": UniformBits(2),
        "bound": kv.ELBO(kl="sampled"),
    }
    with pytest.raises(
        ValueError, match=r"needs a reparameterisable.*Received:.*Bernoulli.*WakeSleep"
    ):
        make_model(kv.AEVB, **parts)
    make_model(kv.WakeSleep, **parts)


@BOTH
@pytest.mark.parametrize("part, size", [("encoder", 7), ("decoder", 3)])
def test_parts_that_do_not_accept_their_input(part, size, algorithm, make_model):
    wrong = keras.Sequential([keras.Input((size,)), keras.layers.Dense(4)])
    with pytest.raises(ValueError, match=f"expected.*{size}"):
        make_model(algorithm, **{part: wrong})


@pytest.mark.parametrize("base", [kv.ConditionalDistribution(2, {}), kv.Prior(2)])
def test_base_classes_have_no_distribution(base):
    with pytest.raises(NotImplementedError):
        base.distribution()


def test_base_class_has_no_objective(make_model, x):
    with pytest.raises(NotImplementedError):
        make_model(kv.VariationalModel).objective(x, True)


# Imports that cannot work

BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")

sys.meta_path.insert(0, Block())
import keras_aevb
"""


MISSING = {
    "tensorflow": ("tf_keras", ("tensorflow backend", "tf-keras", "keras-aevb[tensorflow]")),
    "jax": ("tensorflow_probability", ("jax backend", "probability", "keras-aevb[jax]")),
}[keras.backend.backend()]


@pytest.fixture(scope="module")
def import_errors():
    """The last lines of failing imports, in separate processes that run concurrently."""
    module, _ = MISSING
    cases = {"numpy": "import keras_aevb", keras.backend.backend(): BLOCK.format(module=module)}
    root, pipe = Path(__file__).parents[2], subprocess.PIPE
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(root)},
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        for backend, program in cases.items()
    ]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    return [error.strip().splitlines()[-1] for error in errors]


@pytest.mark.slow
def test_other_backends_are_refused(import_errors):
    message, _ = import_errors
    assert message.startswith("ImportError")
    for word in ("'tensorflow' and 'jax'", "Received: 'numpy'", "KERAS_BACKEND"):
        assert word in message


@pytest.mark.slow
def test_errors_name_the_missing_package_and_how_to_install_it(import_errors):
    (_, message), (module, words) = import_errors, MISSING
    assert message.startswith("ImportError")
    for word in (f"No module named {module!r}", "pip install", *words):
        assert word in message


def test_an_optimizer_of_another_model(make_model):
    optimizer = keras.optimizers.Adam()
    make_model().compile(optimizer)
    with pytest.raises(ValueError, match="new optimizer for every model"):
        make_model().compile(optimizer)
    model = make_model()
    model.compile(optimizer := keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD()))
    model.encoder.trainable = False
    if keras.backend.backend() == "tensorflow":
        model.compile(optimizer)  # a subset of its variables
    else:
        with pytest.raises(ValueError, match=r"with state for .*dense"):
            model.compile(optimizer)
