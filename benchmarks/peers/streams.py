"""`fit` of the paper's model from arrays on the device, and from streams of the same examples."""

import tempfile

import keras
import numpy as np
from peers import ours
from peers.turns import turns

from keras_aevb.training import epochs as limits


def epochs(work, source, **compile_options):
    """One long `fit`, which waits at the end of each epoch."""
    model = ours.build(work, 0, **compile_options)
    data, settings = SOURCES[source](work)

    def train(pause):
        callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: pause())
        model.fit(data, epochs=10**6, verbose=0, callbacks=[callback], **settings)

    yield from turns(train)


def device_resident(work):
    return work.data(), {"batch_size": work.batch_size}


def memory_mapped(work):
    """A memory-mapped file; with the limit set to 0, `fit` sends batches, as for larger arrays."""
    limits.HOST_BYTES = 0
    x = work.data()
    with tempfile.NamedTemporaryFile() as file:
        x.tofile(file)
        file.flush()
        # It stays valid after the file is deleted.
        data = np.memmap(file.name, x.dtype, "r", shape=x.shape)
    return data, {"batch_size": work.batch_size}


def tf_data(work):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(work.data())
    data = data.shuffle(work.examples, seed=0).batch(work.batch_size)
    return data.prefetch(tf.data.AUTOTUNE), {}


class Batches(keras.utils.PyDataset):
    """Batches of shuffled rows."""

    def __init__(self, work, **kwargs):
        super().__init__(**kwargs)
        self.x, self.batch_size = work.data(), work.batch_size
        self.rng = np.random.default_rng(0)
        self.on_epoch_end()

    def __len__(self):
        return len(self.x) // self.batch_size

    def __getitem__(self, i):
        return (self.x[self.order[i * self.batch_size : (i + 1) * self.batch_size]],)

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.x))


def generator(work):
    batches = Batches(work)

    def endless():
        while True:
            yield from (batches[i] for i in range(len(batches)))
            batches.on_epoch_end()

    return endless(), {"steps_per_epoch": len(batches)}


SOURCES = {
    "arrays": device_resident,
    "memory-mapped array": memory_mapped,
    "tf.data": tf_data,
    "PyDataset": lambda work: (Batches(work), {}),
    "PyDataset, 2 workers": lambda work: (Batches(work, workers=2), {}),
    "generator": generator,
}
