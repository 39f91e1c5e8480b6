"""Streams whose batches are rows of arrays."""

import keras
import numpy as np
import pytest

import keras_aevb as kv

X = np.arange(50, dtype="float32")[:, None]


def batches(first, length, seed=0):
    stream = kv.RandomMinibatches(X, 20, seed, first, length)
    return np.stack([stream[i][0] for i in range(len(stream))])


def test_a_stream_can_resume_anywhere():
    np.testing.assert_array_equal(batches(0, 10)[4:], batches(4, 6))


def test_batches_contain_their_row_indices():
    x, index = kv.RandomMinibatches(X, 20, 0, 0, 1)[0]
    np.testing.assert_array_equal(x, X[index])


def test_seeds_and_batches_differ():
    assert not np.array_equal(batches(0, 1), batches(0, 1, seed=1))
    assert not np.array_equal(batches(0, 1), batches(1, 1))


def test_samples_uniformly_with_replacement():
    drawn = batches(0, 5000)
    assert any(len(np.unique(batch)) < 20 for batch in drawn)
    counts = np.bincount(drawn.astype(int).ravel(), minlength=50)
    # χ² with 49 degrees of freedom exceeds 112 with probability 8e-7
    assert ((counts - 2000) ** 2 / 2000).sum() < 112


def test_epochs_hold_every_row_once():
    stream = kv.EpochMinibatches((X, 2 * X), batch_size=20, seed=0)
    orders = []
    for _ in range(2):
        stream.on_epoch_begin()
        x, y = (np.concatenate(arrays) for arrays in zip(*(stream[i] for i in range(len(stream)))))
        assert [len(stream[i][0]) for i in range(3)] == [20, 20, 10]
        np.testing.assert_array_equal(y, 2 * x)
        np.testing.assert_array_equal(np.sort(x, axis=0), X)
        orders.append(x)
    assert np.any(orders[0] != orders[1])


def test_epochs_in_order():
    stream = kv.EpochMinibatches((X,), batch_size=20, shuffle=False)
    stream.on_epoch_begin()
    np.testing.assert_array_equal(np.concatenate([batch for (batch,) in stream]), X)


def test_seeds_fix_the_orders():
    def order(seed):
        stream = kv.EpochMinibatches((X,), batch_size=50, seed=seed)
        stream.on_epoch_begin()
        return stream.rows(0)

    np.testing.assert_array_equal(order(1), order(1))
    assert np.any(order(1) != order(2))
    expected = np.random.default_rng([1, 0]).permutation(50)  # of epoch 0
    np.testing.assert_array_equal(order(1), expected)
    assert np.any(order(None) != order(None))
    keras.utils.set_random_seed(1)
    first = order(None)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(order(None), first)


def test_tensors_of_the_backend():
    stream = kv.RandomMinibatches(keras.ops.convert_to_tensor(X), 20, 0, 0, 1)
    np.testing.assert_array_equal(stream[0][0], kv.RandomMinibatches(X, 20, 0, 0, 1)[0][0])


def test_arrays_of_different_lengths():
    with pytest.raises(ValueError, match=r"one length. Received: lengths \[3, 50\]"):
        kv.EpochMinibatches((X, X[:3]))


def test_fit_keeps_the_order_of_a_stream(make_model):
    """Keras shuffles a `PyDataset` by default, with its own seed."""

    def weights(global_seed):
        keras.utils.set_random_seed(global_seed)
        model = make_model()
        model.compile(keras.optimizers.SGD(0.1))
        x = np.random.default_rng(0).random((40, 6), dtype="float32")
        model.fit(kv.RandomMinibatches(x, 5, 0, 0, 20), verbose=0)
        return model.get_weights()

    for actual, desired in zip(weights(1), weights(2)):
        np.testing.assert_array_equal(actual, desired)
