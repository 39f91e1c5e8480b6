"""Monte Carlo EM's batches."""

import numpy as np

from replication.train.model import WholeTrainingSet


def test_the_whole_training_set_comes_in_order():
    x = np.arange(50, dtype="float32")[:, None]
    stream = WholeTrainingSet(x, 3)
    assert len(stream) == 3
    np.testing.assert_array_equal(stream[2][0], x)
    np.testing.assert_array_equal(stream[2][1], np.arange(50))
