"""The private names of Keras that the library uses; a failing test names the changed one."""

import sys
import warnings

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb._backend import keras_private


@pytest.fixture
def model():
    model = kv.AEVB(**kv.networks.bernoulli_mlp(4, 2, 3, seed=0), seed=0)
    model.compile()
    return model


def test_variable_value():
    variable = keras.Variable([1.0, 2.0])
    (value,) = keras_private.values([variable])
    np.testing.assert_array_equal(value, [1, 2])
    keras_private.set_values([variable], [value + 1])
    np.testing.assert_array_equal(variable.numpy(), [2, 3])


def test_named_inputs():
    x = keras.Input((2,), name="x")
    assert keras_private.named_inputs(keras.Model({"x": x}, x)) == ["x"]
    assert keras_private.named_inputs(keras.Model([x], x)) == []
    assert keras_private.named_inputs(keras.Sequential([x])) == []


def test_initial_epoch_of_backup_and_restore(model, tmp_path):
    keras_private.forget_restored_epoch(model)
    assert keras_private.restored_epoch(model) is None
    callback = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    assert not keras_private.has_backup(callback)
    model.fit(np.ones((6, 4)), epochs=2, verbose=0, callbacks=[callback])
    assert keras_private.has_backup(callback)
    callback.set_model(model)
    callback.on_train_begin()
    assert keras_private.restored_epoch(model) == 2


def test_set_by_compile(model):
    assert {*vars(model)} - {*vars(keras.Model())} > keras_private.SET_BY_COMPILE


def test_all_layers(model):
    layers = keras_private.all_layers(model)
    for layer in (model, model.encoder, model.encoder.layers[0], model.posterior.heads["mean"]):
        assert any(layer is other for other in layers)
    assert len({id(layer) for layer in layers}) == len(layers)


def test_object_sharing_scope():
    assert not keras_private.in_shared_object_scope()
    layer = keras.layers.Dense(2)
    with keras_private.ObjectSharingScope():
        assert keras_private.in_shared_object_scope()
        configs = [keras.saving.serialize_keras_object(layer) for _ in range(2)]
        first, second = map(keras.saving.deserialize_keras_object, configs)
    assert first is second
    assert not keras_private.in_shared_object_scope()


def test_epoch_iterator():
    def iterator(**settings):
        stream = (batch for batch in [(np.zeros(3),), (np.ones(2),)])
        return keras_private.EpochIterator(stream, steps_per_execution=2, **settings)

    with pytest.warns(UserWarning, match="ran out of data"):
        list(iterator(steps_per_epoch=3))
    with warnings.catch_warnings(action="error"):
        ((first, _, batches),) = list(iterator())
    assert first == 0
    assert [len(x) for (x,) in batches] == [3, 2]


def test_endpoint_function():
    tf = pytest.importorskip("tensorflow")
    archive = keras.export.ExportArchive()
    rows = tf.TensorSpec([None], "float32", name="x")
    function = keras_private.endpoint_function(archive, "twice", lambda x: 2 * x, [rows])
    np.testing.assert_array_equal(function(tf.constant([1.0, 2.0])), [2, 4])


def test_without_loading_tensorflow(monkeypatch):
    monkeypatch.setattr(keras_private.module_utils.tensorflow, "_available", None)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    with keras_private.without_loading_tensorflow():
        assert keras_private.module_utils.tensorflow.available is False
    assert keras_private.module_utils.tensorflow._available is None
