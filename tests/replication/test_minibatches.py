"""The stream of random minibatches."""

import numpy as np

from replication.minibatches import RandomMinibatches, WholeTrainingSet

X = np.arange(50, dtype="float32")[:, None]


def batches(first, length, seed=0):
    stream = RandomMinibatches(X, 20, seed, first, length)
    return np.stack([stream[i][0] for i in range(len(stream))])


def test_a_stream_can_be_taken_up_anywhere():
    np.testing.assert_array_equal(batches(0, 10)[4:], batches(4, 6))


def test_batches_tell_which_images_they_hold():
    x, index = RandomMinibatches(X, 20, 0, 0, 1)[0]
    np.testing.assert_array_equal(x, X[index])


def test_the_whole_training_set_comes_in_order():
    stream = WholeTrainingSet(X, 3)
    assert len(stream) == 3
    np.testing.assert_array_equal(stream[2][0], X)
    np.testing.assert_array_equal(stream[2][1], np.arange(50))


def test_seeds_and_batches_differ():
    assert not np.array_equal(batches(0, 1), batches(0, 1, seed=1))
    assert not np.array_equal(batches(0, 1), batches(1, 1))


def test_draws_with_replacement_and_uniformly():
    drawn = batches(0, 5000)
    assert any(len(np.unique(batch)) < 20 for batch in drawn)
    counts = np.bincount(drawn.astype(int).ravel(), minlength=50)
    # χ² with 49 degrees of freedom exceeds 112 with probability 5e-7
    assert ((counts - 2000) ** 2 / 2000).sum() < 112
