"""Pixels as classes: each of the 17 grey levels of scikit-learn's digits has its own logit.

The model does not know that level 8 lies between 7 and 9. `kv.DiscretizedLogisticMixture(64, low=0,
high=16)` does, with fewer parameters; its bound is on the log probability of the same integers.
"""

import keras
from sklearn.datasets import load_digits

import keras_aevb as kv


def main(epochs=30):
    x = load_digits().data[:1500].astype("float32")
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Rescaling(1 / 16), keras.layers.Dense(64, "relu")]),
        decoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        posterior=kv.DiagonalNormal(6),
        likelihood=kv.Conditional("Categorical", 64, num_classes=17),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, epochs=epochs, batch_size=100, verbose=0).history
    return {
        "bound": history["elbo"][-1],
        # Classes have no mean, so the most likely class represents a pixel.
        "pixels reconstructed": (model.reconstruct(x[:100]) == x[:100]).mean(),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
