"""The paper's minibatches: drawn at random, with replacement."""

import keras
import numpy as np


class RandomMinibatches(keras.utils.PyDataset):
    """Batches number `first`, `first + 1`, … of an endless stream that `seed` determines.

    Each batch is drawn from its own number, so that a stream can be taken up anywhere.

    Args:
        x: array of shape `[N, D]`.
        batch_size: M, examples per batch.
        seed: integer.
        first: number of the first batch.
        length: how many batches.
    """

    def __init__(self, x, batch_size, seed, first, length):
        super().__init__()
        self.x = x
        self.batch_size = batch_size
        self.seed = seed
        self.first = first
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, self.first + index])
        return (self.x[rng.integers(len(self.x), size=self.batch_size)],)
