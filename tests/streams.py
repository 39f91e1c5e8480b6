"""Data sets that tests pass to `fit`."""

import keras


class Batches(keras.utils.PyDataset):
    """A list of batches."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]
