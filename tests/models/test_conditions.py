"""Named inputs: dicts with x and the condition, and several conditions side by side."""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb.networks import Joined

LABELS = np.arange(13) % 3
AGES = np.linspace(-1, 1, 13).astype("float32")
PLACES = np.random.default_rng(0).normal(size=(13, 2)).astype("float32")
Y = {"label": LABELS, "age": AGES, "place": PLACES}
# All conditions as columns, for a model with a single vector condition.
COLUMNS = np.concatenate([np.eye(3)[LABELS], AGES[:, None], np.tanh(PLACES)], axis=1)


def several():
    return kv.Conditions(
        {
            "label": kv.Condition(num_classes=3),
            "age": kv.Condition(),
            "place": kv.Condition(2, network=keras.layers.Activation("tanh")),
        }
    )


def build(condition):
    keras.utils.set_random_seed(1)
    model = kv.AEVB(
        encoder=Joined(keras.Sequential([keras.layers.Dense(5, "tanh")])),
        decoder=Joined(keras.Sequential([keras.layers.Dense(4, "tanh")])),
        posterior=kv.DiagonalNormal(2),
        likelihood=kv.Bernoulli(6),
        prior=kv.DiagonalNormal(2),
        condition=condition,
        seed=0,
    )
    model.compile(keras.optimizers.Adagrad(0.1))
    return model


@pytest.fixture(scope="module")
def models():
    """The same model with several conditions, and with a single one that has all their columns."""
    return build(several()), build(kv.Condition(6))


def test_features_are_those_of_each(models):
    named, plain = (np.asarray(m.condition(y)) for m, y in zip(models, (Y, COLUMNS)))
    np.testing.assert_allclose(named, plain, rtol=1e-6)  # float32


def test_features_of_symbolic_inputs():
    """In a functional model, whose values are not known when it is built."""
    inputs = {name: keras.Input(y.shape[1:], name=name) for name, y in Y.items()}
    features = keras.Model(inputs, several()(inputs))
    np.testing.assert_allclose(features(Y), COLUMNS, rtol=1e-6)  # float32


def test_methods_take_the_dict(models, x):
    named, plain = models
    for condition in (Y, named.condition.packed(Y)):
        received = named.elbo(x, seed=0, condition=condition)
        np.testing.assert_allclose(received, plain.elbo(x, seed=0, condition=COLUMNS), rtol=1e-5)
    together = {"x": x, **Y}
    expected = plain.elbo(x, seed=0, condition=COLUMNS)
    np.testing.assert_allclose(named.elbo(together, seed=0), expected, rtol=1e-5)
    np.testing.assert_allclose(named.elbo({"x": x, "condition": Y}, seed=0), expected, rtol=1e-5)
    mean = plain.encode(x, condition=COLUMNS).mean()
    np.testing.assert_allclose(named.encode(together).mean(), mean, rtol=1e-5, atol=1e-6)
    draws = plain.sample(13, seed=0, condition=COLUMNS)
    np.testing.assert_array_equal(named.sample(13, seed=0, condition=Y), draws)
    expected = plain.reconstruct(x, condition=COLUMNS)
    for received in (
        named.reconstruct(x, condition=Y),
        named.reconstruct(together),
        named.predict(together, batch_size=5, verbose=0),
        named.predict_on_batch(together),
        plain.predict({"x": x, "condition": COLUMNS}, verbose=0),
        named({"x": x, "condition": Y}),
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-5)


def rows(start, end):
    return {name: values[start:end] for name, values in Y.items()}


def streams(x):
    """Four ways to name the inputs, in the same batches."""
    cuts = [(0, 5), (5, 10), (10, 13)]
    yield {"x": {"x": x, **Y}, "batch_size": 5, "shuffle": False}
    yield {"x": x, "y": Y, "batch_size": 5, "shuffle": False}
    yield {"x": (({"x": x[a:b], **rows(a, b)},) for _ in range(2) for a, b in cuts)}
    yield {"x": ((x[a:b], rows(a, b)) for _ in range(2) for a, b in cuts)}


@pytest.mark.slow
def test_an_encoding_takes_the_dict(models, x):
    """Called on arrays, and on symbolic inputs of any batch size."""
    model, _ = models
    expected = model.encode(x, condition=Y).mean()
    np.testing.assert_allclose(model.encoding("mean")([x, Y]), expected, rtol=1e-6)
    shapes = {"label": (), "age": (), "place": (2,)}
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    pixels = keras.Input((6,), name="x")
    outer = keras.Model({"x": pixels, **inputs}, model.encoding("mean")([pixels, inputs]))
    actual = outer.predict({"x": x, **Y}, batch_size=5, verbose=0)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_fit_and_evaluate(x):
    model = build(several())
    model.optimizer.build(model.trainable_variables)
    variables = model.variables + model.optimizer.variables
    start = [variable.numpy() for variable in variables]
    weights = []
    for data in streams(x):
        for variable, value in zip(variables, start):
            variable.assign(value)
        steps = {} if "batch_size" in data else {"steps_per_epoch": 3}
        held_out = {"x": x, **Y}
        held_out = {"validation_data": (held_out,), "validation_batch_size": 5}
        model.fit(**data, **steps, epochs=2, verbose=0, **held_out)
        weights.append(model.get_weights())
        logs = model.evaluate({"x": x, **Y}, verbose=0, return_dict=True)
        assert set(logs) <= {"loss", "elbo", "kl", "reconstruction"}
    for other in weights[1:]:
        for actual, desired in zip(weights[0], other):
            np.testing.assert_array_equal(actual, desired)


def test_a_file_keeps_the_names(models, x, tmp_path):
    named, _ = models
    named.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert list(loaded.condition.conditions) == ["label", "age", "place"]
    actual, desired = (m.elbo({"x": x, **Y}, seed=0) for m in (named, loaded))
    np.testing.assert_array_equal(actual, desired)


def test_errors(models, x, make_model):
    named, plain = models
    with pytest.raises(ValueError, match=r"Expected a dict with 'x' and 'label', 'age', 'place'"):
        named.elbo({"x": x, "label": LABELS})
    with pytest.raises(ValueError, match=r"Expected a condition with .*Received: \['label'\]"):
        named.elbo(x, condition={"label": LABELS})
    with pytest.raises(ValueError, match="lengths"):
        named.elbo(x, condition={**Y, "age": AGES[:3]})
    with pytest.raises(ValueError, match="classes from 0 to 2"):
        named.elbo(x, condition={**Y, "label": LABELS + 1})
    with pytest.raises(ValueError, match="classes from 0 to 2"):
        packed = named.condition.packed(Y)
        packed[0, 0] = 7
        named.elbo(x, condition=packed)
    with pytest.raises(ValueError, match="and no other y"):
        named.fit({"x": x, **Y}, Y)
    with pytest.raises(ValueError, match="needs a condition y for each example"):
        plain.predict(x, verbose=0)
    without = make_model()
    without.compile("adam")
    for method in (without.fit, without.predict, without.elbo):
        with pytest.raises(ValueError, match="only a model with a condition has named inputs"):
            method({"x": x})
    for conditions in ({}, {"x": kv.Condition()}, {"age": 3}, [kv.Condition()]):
        with pytest.raises(ValueError, match="dict from names"):
            kv.Conditions(conditions)
