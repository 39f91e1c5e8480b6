"""Monte Carlo EM's batches."""

import keras_aevb as kv
from keras_aevb.batches import row_numbers


class WholeTrainingSet(kv.RowBatches):
    """The training set as one batch, again and again, as Monte Carlo EM takes it.

    Args:
        x: array of shape `[N, D]`.
        length: how many times.
    """

    def __init__(self, x, length):
        super().__init__((x, row_numbers(len(x))))
        self.length = length

    def __len__(self):
        return self.length

    def rows(self, i):
        return row_numbers(self.num_rows)
