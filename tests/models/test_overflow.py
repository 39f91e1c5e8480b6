"""Training warns of overflow in half precision."""

import keras
import numpy as np
import pytest

import keras_aevb as kv


def build(make_model):
    model = make_model(likelihood=kv.Normal(6))
    model.compile(keras.optimizers.SGD(0.01))
    return model


def test_training_that_overflows_float16_warns(mixed_float16, make_model, x):
    """Keras skips such steps silently."""
    model = build(make_model)
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"No step of epoch 1 changed.*overflowed in float16"):
        model.fit(1e5 * x, epochs=1, verbose=0)
    for actual, desired in zip(model.get_weights(), before):
        np.testing.assert_array_equal(actual, desired)


def test_other_training_does_not_warn(mixed_float16, make_model, x, recwarn):
    build(make_model).fit(x, epochs=2, verbose=0)
    assert not [w for w in recwarn if "No step" in str(w.message)]
