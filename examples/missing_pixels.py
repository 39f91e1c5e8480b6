"""Images with missing pixels: training ignores NaN, and `impute` fills it in.

The error of the imputed pixels is compared with the error of each pixel's mean over the images.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_aevb as kv


def main(epochs=100):
    x = (load_digits().data[:1500] / 16).astype("float32")
    missing = np.random.default_rng(0).random(x.shape) < 0.3
    incomplete = np.where(missing, np.nan, x)
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        decoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        posterior=kv.DiagonalNormal(6),
        likelihood=kv.Observed(kv.Bernoulli(64), fill=0.3),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    model.fit(incomplete, epochs=epochs, batch_size=100, verbose=0)
    means = np.broadcast_to(np.nanmean(incomplete, axis=0), x.shape)

    def error(filled):
        return np.sqrt(np.mean((filled - x)[missing] ** 2))

    return {"RMSE": error(model.impute(incomplete)), "RMSE of the pixels' means": error(means)}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
