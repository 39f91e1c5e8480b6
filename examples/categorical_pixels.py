"""Pixels as classes: each of the 17 grey levels of scikit-learn's digits has a logit of its own.

Nothing says that level 8 lies between 7 and 9; `DiscretizedLogisticMixture` does, with fewer
parameters. Both bounds are on the log probability of the same integers.
"""

import keras
from sklearn.datasets import load_digits

import keras_aevb as kv


def fitted(likelihood, x, epochs):
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Rescaling(1 / 16), keras.layers.Dense(64, "relu")]),
        decoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        posterior=kv.DiagonalNormal(6),
        likelihood=likelihood,
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, epochs=epochs, batch_size=100, verbose=0).history
    return history["elbo"][-1]


def main(epochs=30):
    x = load_digits().data.astype("float32")
    categorical = kv.Conditional("Categorical", 64, num_classes=17)
    logistic = kv.DiscretizedLogisticMixture(64, num_components=3, low=0, high=16)
    return {
        "bound, classes": fitted(categorical, x, epochs),
        "bound, discretised logistics": fitted(logistic, x, epochs),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
