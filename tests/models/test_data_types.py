"""Every method gives the same numbers for arrays of any type as for their values in float32."""

import keras
import numpy as np
import pytest

import keras_aevb as kv

X = np.random.default_rng(0).integers(0, 100, (12, 3))
LARGE = X * 2**32 + 1  # more than 32 bits


@pytest.fixture(scope="module")
def model():
    """A model whose encoder scales x by 10⁻¹², and whose likelihood has a scale of 10¹¹."""
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        keras.Sequential([keras.layers.Rescaling(1e-12), keras.layers.Dense(4)]),
        keras.Sequential([keras.layers.Dense(4)]),
        kv.DiagonalNormal(2),
        kv.Normal(3, scale=1e11),
        seed=0,
    )
    model.compile(keras.optimizers.SGD(0.0))
    return model


def numbers(model, x):
    """Yields the names and results of methods that take x, with all noise fixed by a seed."""
    batch = x if isinstance(x, np.ndarray) else x.to_numpy("float64")  # Keras makes object arrays
    yield "elbo", model.elbo(x, seed=0)
    yield "log_likelihood", model.log_likelihood(x, 10, seed=0)
    yield "predict", model.predict(x, verbose=0)
    yield "predict, stream", model.predict(iter([(batch,)]), verbose=0)
    yield "predict_on_batch", model.predict_on_batch(x)
    yield "encode", model.encode(x).mean()
    yield "posterior_parameters", model.posterior_parameters(x)["mean"]
    steps = {
        "fit": lambda: model.fit(x, batch_size=12, verbose=0).history["elbo"],
        "fit, stream": lambda: model.fit(iter([(batch,)]), verbose=0).history["elbo"],
        "evaluate": lambda: model.evaluate(x, batch_size=12, verbose=0),
        "test_on_batch": lambda: model.test_on_batch(x),
    }
    for name, step in steps.items():
        model.seed_generator.state.assign(np.zeros_like(model.seed_generator.state))
        yield name, step()


def nullable(x):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({str(i): pandas.array(column) for i, column in enumerate(x.T)})


VALUES = {"small": X, "large": LARGE, "binary": X > 50}


@pytest.fixture(scope="module")
def values(request):
    return request.param


@pytest.fixture(scope="module")
def expected(values, model):
    return dict(numbers(model, VALUES[values].astype("float32")))


CONVERTED = [
    pytest.param("large", LARGE, id="int64"),
    pytest.param("large", LARGE.astype("uint64"), id="uint64"),
    pytest.param("large", LARGE.astype(">f8"), id="big-endian float64"),
    pytest.param("small", X.astype(">i4"), id="big-endian int32"),
    pytest.param("small", X.astype("uint8"), id="uint8"),
    pytest.param("binary", X > 50, id="bool"),
    pytest.param("large", nullable(LARGE), id="nullable DataFrame"),
    pytest.param("small", np.ma.masked_array(X, np.zeros_like(X)), id="nothing masked"),
]


@pytest.mark.parametrize("values, x", CONVERTED, indirect=["values"], scope="module")
def test_types_do_not_change_numbers(x, expected, model):
    for name, value in numbers(model, x):
        np.testing.assert_allclose(value, expected[name], rtol=1e-6, err_msg=name)
        assert np.isfinite(value).all()


def test_masked_values_are_refused(model):
    x = np.ma.masked_array(X, X > 90)
    for call in (model.fit, model.evaluate, model.predict, model.elbo, model.encode):
        with pytest.raises(ValueError, match=r"masked values.*x.filled\(np.nan\)"):
            call(x)


def test_columns_that_are_not_numbers_are_named(model):
    frame = nullable(X).rename(columns={"1": "species"}).astype({"species": str})
    with pytest.raises(ValueError, match=r"columns \['species'\]"):
        model.elbo(frame)
