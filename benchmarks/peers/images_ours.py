"""The convolutional VAE of keras_aevb."""

import keras
from peers.ours import train

import keras_aevb as kv


def epochs(work, **compile_options):
    layers = keras.layers
    settings = {"strides": 2, "padding": "same"}
    down = [layers.Conv2D(work.filters, 4, activation="relu", **settings) for _ in range(4)]
    up = [layers.Conv2DTranspose(work.filters, 4, activation="relu", **settings) for _ in range(3)]
    size = work.encoded_shape[0] * work.encoded_shape[1] * work.encoded_shape[2]
    model = kv.AEVB(
        encoder=keras.Sequential([*down, layers.Flatten(), layers.Dense(work.dense_units, "relu")]),
        decoder=keras.Sequential(
            [
                layers.Dense(work.dense_units, "relu"),
                layers.Dense(size, "relu"),
                layers.Reshape(work.encoded_shape),
                *up,
            ]
        ),
        posterior=kv.DiagonalNormal(work.latent_dim),
        likelihood=kv.Bernoulli(
            (work.size, work.size, 1), logits=layers.Conv2DTranspose(1, 4, **settings)
        ),
        seed=0,
    )
    model.compile("adam", **compile_options)
    yield from train(model, work)
