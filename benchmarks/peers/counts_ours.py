"""A model of keras_aevb with the networks and the density of `counts_scvi`.

As there, log(1 + x) enters the encoder, and each gene has one dispersion. The decoder gives logits;
scVI's softmax gives proportions of the cell's total count.
"""

import keras
from keras import ops
from peers.ours import train

import keras_aevb as kv


class LogCounts(keras.layers.Layer):
    def call(self, x):
        return ops.log1p(x)


def epochs(work, **compile_options):
    layers = keras.layers

    def block():
        return [layers.Dense(work.hidden_units), layers.BatchNormalization(), layers.ReLU()]

    model = kv.AEVB(
        encoder=keras.Sequential([LogCounts(), *block(), layers.Dropout(0.1)]),
        decoder=keras.Sequential(block()),
        posterior=kv.DiagonalNormal(work.latent_dim),
        likelihood=kv.Conditional("NegativeBinomial", work.x_dim, total_count=kv.Trainable()),
        seed=0,
    )
    model.compile("adam", **compile_options)
    yield from train(model, work)
