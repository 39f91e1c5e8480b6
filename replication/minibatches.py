"""The streams of batches that the experiments train on, each batch with its images' indices."""

import keras
import numpy as np


class RandomMinibatches(keras.utils.PyDataset):
    """The paper's minibatches: drawn at random, with replacement.

    Batches number `first`, `first + 1`, … of an endless stream that `seed` determines. Each batch
    is drawn from its own number, so that a stream can be taken up anywhere.

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

    def __getitem__(self, i):
        rng = np.random.default_rng([self.seed, self.first + i])
        index = rng.integers(len(self.x), size=self.batch_size)
        return self.x[index], index


class WholeTrainingSet(keras.utils.PyDataset):
    """The training set as one batch, again and again, as Monte Carlo EM takes it.

    Args:
        x: array of shape `[N, D]`.
        length: how many times.
    """

    def __init__(self, x, length):
        super().__init__()
        self.x = x
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return self.x, np.arange(len(self.x))
