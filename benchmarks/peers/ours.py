"""`fit` of keras_aevb, its replicas, and the same model under Keras' own `fit`."""

import keras
import numpy as np

import keras_aevb as kv


def build(work, seed, bound=None, **compile_options):
    parts = kv.networks.bernoulli_mlp(
        work.x_dim, work.latent_dim, work.hidden_units, n_train=work.examples, seed=seed
    )
    model = kv.AEVB(**parts, bound=bound or kv.ELBO(work.num_samples), seed=seed)
    optimizer = keras.optimizers.Adagrad(0.01, initial_accumulator_value=0.0, epsilon=1e-8)
    model.compile(optimizer, **compile_options)
    return model


class OneBatch(kv.RowBatches):
    def __init__(self, arrays, batch_size):
        super().__init__(arrays)
        self.batch_size = batch_size

    def __len__(self):
        return 1

    def rows(self, i):
        return np.arange(self.batch_size)


def epochs(work, **compile_options):
    """`fit` on a tensor, which stays on the device."""
    yield from train(build(work, 0, **compile_options), work)


def importance_weighted_epochs(work, **compile_options):
    """The same with the importance-weighted bound."""
    bound = kv.ImportanceWeightedBound(work.num_samples)
    yield from train(build(work, 0, bound, **compile_options), work)


def train(model, work):
    """`fit` of any model: one step, then an epoch at each turn."""
    x = keras.ops.convert_to_tensor(work.data())
    model.fit(OneBatch((x,), work.batch_size), verbose=0)
    while True:
        yield
        model.fit(x, batch_size=work.batch_size, verbose=0)


def keras_epochs(work, **compile_options):
    """The same model under `keras.Model.fit`: a program for each step, on arrays of the host."""
    model = build(work, 0, **compile_options)
    x = work.data()
    keras.Model.fit(model, x[: work.batch_size], batch_size=work.batch_size, verbose=0)
    while True:
        yield
        keras.Model.fit(model, x, batch_size=work.batch_size, verbose=0)


def replica_epochs(work, **compile_options):
    """`Replicas` of as many models as the work asks for."""
    models = [build(work, seed, **compile_options) for seed in range(work.replicas)]
    replicas = kv.Replicas(models)
    x = keras.ops.convert_to_tensor(work.data())
    replicas.fit([OneBatch((x,), work.batch_size)] * work.replicas, verbose=0)
    streams = [kv.EpochMinibatches((x,), work.batch_size, seed=i) for i in range(work.replicas)]
    while True:
        yield
        replicas.fit(streams, verbose=0)
