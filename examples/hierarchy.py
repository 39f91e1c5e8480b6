"""Two levels of latent variables, p(z₂) p(z₁|z₂) p(x|z₁), with a divergence for each in the logs.

The posterior is sampled top-down, q(z₂|x) q(z₁|z₂, x). Free bits prevent the collapse of a level
early in training.
"""

import keras
from sklearn.datasets import load_digits

import keras_aevb as kv
from keras_aevb.networks import Elements


def normal(size):
    """A level: a normal distribution whose mean comes from a small network."""
    mean = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(size)])
    return kv.DiagonalNormal(size, mean=mean)


def main(epochs=50):
    x = (load_digits().data[:1500] / 16).astype("float32")
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        decoder=keras.Sequential([Elements(8), keras.layers.Dense(64, "relu")]),
        posterior=kv.HierarchicalPosterior([normal(8), normal(3)], top_down=True),
        prior=kv.HierarchicalPrior([normal(8), kv.StandardNormal(3)]),
        likelihood=kv.Bernoulli(64),
        bound=kv.HierarchicalELBO(2, free_bits=0.5),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, epochs=epochs, batch_size=100, verbose=0).history
    return {name: history[name][-1] for name in ("elbo", "kl", "kl_1", "kl_2")}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
