"""Images with holes: NaN pixels do not count in training, and `impute` fills them.

The error of the imputed pixels is compared with that of each pixel's mean over the images.
"""

import keras
import numpy as np
from sklearn.datasets import load_digits

import keras_aevb as kv


def main(epochs=100):
    x = (load_digits().data / 16).astype("float32")
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
    mean = np.broadcast_to(np.nanmean(incomplete, axis=0), x.shape)
    errors = {"imputed": model.impute(incomplete), "mean of the pixel": mean}
    return {
        f"RMSE, {name}": np.sqrt(np.mean((filled - x)[missing] ** 2))
        for name, filled in errors.items()
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
