"""Exported files, loaded and run in processes that do not import keras_aevb."""

import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_aevb as kv

JAX = keras.backend.backend() == "jax"
Y = np.arange(13) % 3

# Runs the endpoints of a SavedModel on batches of 13 and of 1, with TensorFlow only.
RUN_SAVED_MODEL = """
import sys
import numpy as np
import tensorflow as tf

folder, data, results = sys.argv[1:]
served = tf.saved_model.load(folder)
data = {name: tf.constant(array) for name, array in np.load(data).items()}
x, z, y = data["x"], data["z"], [data["y"]] if "y" in data else []
found = {
    "serve": served.serve(x, *y),
    "one": served.serve(x[:1], *(part[:1] for part in y)),
    "default": served.signatures["serving_default"](
        x=x, **({"condition": y[0]} if y else {})
    )["output_0"],
    "decode": served.decode(z, *y),
}
for name, values in served.encode(x, *y).items():
    found[name] = values
draw = (lambda n, seed: served.sample(seed, y[0][:n])) if y else served.sample
found |= {"sample": draw(13, 0), "again": draw(13, 0), "other": draw(13, 1), "three": draw(3, 0)}
found["elbo"] = tf.stack([served.elbo(x, seed, *y) for seed in range(200)])
assert not {"keras_aevb", "tensorflow_probability"} & {*sys.modules}
np.savez(results, **{name: value.numpy() for name, value in found.items()})
"""


RUN_ONNX = """
import sys
import numpy as np
import onnxruntime

path, data, results = sys.argv[1:]
session = onnxruntime.InferenceSession(path)
data = np.load(data)
outputs = session.run(None, {i.name: data[i.name] for i in session.get_inputs()})
assert not {"keras", "tensorflow", "jax"} & {*sys.modules}
names = [output.name for output in session.get_outputs()]
np.savez(results, **dict(zip(names, outputs)))
"""
RUN_LITERT = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

path, data, results = sys.argv[1:]
run = Interpreter(model_path=path).get_signature_runner()
data = np.load(data)
outputs = run(**{name: data[name] for name in run.get_input_details()})
assert not {"keras", "tensorflow", "jax"} & {*sys.modules}
np.savez(results, **outputs)
"""


def run(program, *arguments):
    outcome = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr[-3000:]


def conditional(make_model):
    join = kv.networks.Joined
    return make_model(
        encoder=join(keras.layers.Dense(5, "tanh")),
        decoder=join(keras.layers.Dense(4, "tanh")),
        condition=kv.Condition(num_classes=3),
    )


MODELS = {
    "AEVB": lambda make_model: make_model(),
    "FullVB": lambda make_model: make_model(kv.FullVB, n_train=13),
    "Condition": conditional,
    "TotalCorrelationELBO": lambda make_model: make_model(bound=kv.TotalCorrelationELBO(3.0, 13)),
    "MaximumMeanDiscrepancyELBO": lambda make_model: make_model(
        bound=kv.MaximumMeanDiscrepancyELBO(3.0)
    ),
}


@pytest.mark.parametrize(
    "kind",
    [kind if kind == "AEVB" else pytest.param(kind, marks=pytest.mark.slow) for kind in MODELS],
)
def test_saved_model(kind, make_model, x, tmp_path):
    """Means equal Keras' to 1e-5: rounding. A seed repeats samples. Bounds agree in the mean."""
    pytest.importorskip("tensorflow")
    model = MODELS[kind](make_model)
    conditional = model.condition is not None
    y = {"condition": Y} if conditional else {}
    if kind == "AEVB":  # right after `load_model`, and without a call
        model.compile()
        model.fit(x, verbose=0)
        model.save(tmp_path / "model.keras")
        model = keras.saving.load_model(tmp_path / "model.keras")
    model.export(tmp_path / "served", verbose=False)
    z = np.random.default_rng(1).normal(size=(13, 2)).astype("float32")
    data = {"x": x, "z": z, **({"y": Y.astype("float32")} if conditional else {})}
    np.savez(tmp_path / "data.npz", **data)
    run(RUN_SAVED_MODEL, tmp_path / "served", tmp_path / "data.npz", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")

    means = model.reconstruct(x, **y)
    q, p = model.encode(x, **y), model.decode(z, **y)
    expected = {
        "serve": means,
        "default": means,
        "one": means[:1],
        "decode": p.mean(),
        "mean": q.mean(),
        "standard_deviation": q.stddev(),
        "log_variance": np.log(q.variance()),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5, err_msg=name)

    assert found["sample"].shape == (13, 6) and set(np.unique(found["sample"])) == {0, 1}
    np.testing.assert_array_equal(found["again"], found["sample"])
    assert not np.array_equal(found["other"], found["sample"])
    assert found["three"].shape == (3, 6)
    elbo = np.stack([model.elbo(x, seed=s, **y) for s in range(200 if JAX else 3)])
    if not JAX:  # the same noise
        np.testing.assert_allclose(found["elbo"][:3], elbo, rtol=1e-5)
        return
    # Means over 13 examples and 200 draws: |difference| < 5 standard errors, odds 6e-7.
    actual, desired = elbo.mean(1), found["elbo"].mean(1)
    error = np.hypot(actual.std(), desired.std()) / np.sqrt(200)
    assert abs(actual.mean() - desired.mean()) < 5 * error
    assert desired.std() > 0


@pytest.mark.slow
@pytest.mark.skipif(JAX, reason="on JAX, an exported function has its own noise for each example")
@pytest.mark.parametrize("top_down", [False, True])
def test_the_exported_bound_of_a_hierarchy(top_down, make_model, x, tmp_path):
    """Its noise is that of `elbo` with the same seed."""
    tf = pytest.importorskip("tensorflow")
    model = make_model(
        posterior=kv.HierarchicalPosterior([kv.DiagonalNormal(1), kv.DiagonalNormal(1)], top_down),
        prior=kv.HierarchicalPrior([kv.DiagonalNormal(1), kv.StandardNormal(1)]),
        bound=kv.HierarchicalELBO(2),
    )
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    np.testing.assert_allclose(served.elbo(x, 3), model.elbo(x, seed=3), rtol=1e-5)


def test_labels_keep_their_values_in_half_precision(x, tmp_path):
    """An endpoint takes y in float32: float16 has no 2049."""
    join, policy = kv.networks.Joined, "float16"
    model = kv.AEVB(
        join(keras.layers.Dense(5, "tanh", dtype=policy)),
        join(keras.layers.Dense(4, "tanh", dtype=policy)),
        kv.DiagonalNormal(2, dtype=policy),
        kv.Bernoulli(6, dtype=policy),
        condition=kv.Condition(num_classes=2050, dtype=policy),
        seed=0,
    )
    assert model.endpoints()["serve"].inputs["condition"].dtype == "float32"
    if JAX:  # exporting imports TensorFlow and compiles for it, which takes long
        return
    import tensorflow as tf

    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    y = np.full(13, 2049, "float32")
    means = np.asarray(served.serve(x, y))
    np.testing.assert_allclose(means, model.reconstruct(x, y), atol=2e-3)  # float16
    assert abs(means - np.asarray(served.serve(x, y - 1))).max() > 1e-2


FORMATS = {
    "onnx": ("onnxruntime", "model.onnx", RUN_ONNX),
    "litert": ("ai_edge_litert.interpreter", "model.tflite", RUN_LITERT),
}


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["serve", "encode", "decode"])
@pytest.mark.parametrize("kind", ["AEVB", "Condition"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.filterwarnings("ignore:In the future `np:FutureWarning")  # of tf2onnx
def test_other_formats(format, kind, endpoint, make_model, x, tmp_path):
    """The exported file's outputs equal the endpoint's to 1e-5."""
    runtime, name, program = FORMATS[format]
    pytest.importorskip(runtime)
    if JAX and format == "litert":
        pytest.skip("Keras exports LiteRT on TensorFlow only")
    exporter = pytest.importorskip("jax2onnx" if JAX else "tf2onnx") if format == "onnx" else None
    if JAX and "input_names" not in inspect.signature(exporter.to_onnx).parameters:
        pytest.skip("Keras' export needs a newer jax2onnx, which needs a newer jax")
    model = MODELS[kind](make_model)
    model.export(tmp_path / name, format=format, endpoint=endpoint, verbose=False)
    z = np.random.default_rng(1).normal(size=(13, 2)).astype("float32")
    data = {"x": x, "z": z, "condition": Y.astype("float32")}
    np.savez(tmp_path / "data.npz", **data)
    run(program, tmp_path / name, tmp_path / "data.npz", tmp_path / "found.npz")
    found = np.load(tmp_path / "found.npz")
    given = model.endpoints()[endpoint]
    expected = given.function(**{name: data[name] for name in given.inputs})
    if not isinstance(expected, dict):
        expected = {found.files[0]: expected}
    assert {*found} == {*expected}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(JAX, reason="jax2onnx raises its own errors")
def test_operations_that_onnx_lacks(make_model, tmp_path):
    pytest.importorskip("tf2onnx")
    model = make_model(posterior=kv.Conditional("Gamma", 2), prior=kv.Unconditional("Gamma", 2))
    with pytest.raises(ValueError, match=r"operations the ONNX exporter supports.*Log1p"):
        model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    assert not any(tmp_path.iterdir())


def test_parameters_of_other_posteriors(make_model, x):
    gamma = make_model(posterior=kv.Conditional("Gamma", 2), prior=kv.Unconditional("Gamma", 2))
    encoded = gamma.endpoints()["encode"].function(x)
    assert list(encoded) == ["mean", "standard_deviation", "concentration", "log_rate"]
    mean = np.asarray(encoded["concentration"]) / np.exp(encoded["log_rate"])
    np.testing.assert_allclose(encoded["mean"], mean, rtol=1e-5)
    flow = make_model(
        posterior=kv.FlowPosterior(kv.DiagonalNormal(2), [kv.Coupling(3)]),
        bound=kv.ELBO(kl="sampled"),
    )
    encoded = flow.endpoints()["encode"].function(x)
    assert list(encoded) == ["base_mean", "base_log_variance"]


def test_a_model_without_recognition_decodes_and_samples(make_model):
    parts = kv.networks.bernoulli_mlp(6, 2, 5, recognition=False)
    assert list(kv.MonteCarloEM(**parts, n_train=13).endpoints()) == ["decode", "sample"]


def test_unknown_endpoints_and_formats(make_model, tmp_path):
    model = make_model()
    for endpoint in ("encoder", "sample"):  # runtimes of ONNX have no seeds
        with pytest.raises(ValueError, match=rf"`endpoint`.*'serve'.*'decode'.*'{endpoint}'"):
            model.export(tmp_path / "model.onnx", format="onnx", endpoint=endpoint)
    with pytest.raises(ValueError, match=r"format=tfjs"):
        model.export(tmp_path / "model", format="tfjs")
