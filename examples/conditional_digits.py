"""A model of digits given their labels, p(x|y): `fit(x, y)`, then samples with a chosen label.

The encoder and the decoder also receive the one-hot label.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_aevb as kv
from keras_aevb.networks import Joined


def main(epochs=50):
    pixels, labels = load_digits(return_X_y=True)
    x = (pixels / 16).astype("float32")
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=Joined(keras.Sequential([keras.layers.Dense(64, "relu")])),
        decoder=Joined(keras.Sequential([keras.layers.Dense(64, "relu")])),
        posterior=kv.DiagonalNormal(4),
        likelihood=kv.Bernoulli(64),
        condition=kv.Condition(num_classes=10),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    model.fit(x[:1500], labels[:1500], epochs=epochs, batch_size=100, verbose=0)
    test, y = x[1500:], labels[1500:]
    right = model.elbo(test, condition=y, seed=0).mean()
    wrong = model.elbo(test, condition=(y + 1) % 10, seed=0).mean()
    threes = model.sample(5, condition=np.full(5, 3), seed=0)
    return {
        "bound given the label": right,
        "bound given a wrong label": wrong,
        "mean pixel of sampled threes": threes.mean(),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
