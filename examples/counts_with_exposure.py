"""Counts proportional to an exposure, such as insurance claims to insured years.

The log exposure is the condition y. The decoder adds it to the logits of a negative binomial
distribution, whose mean is total_count exp(logits): twice the exposure, twice the mean.
"""

import keras
import numpy as np
from keras import ops

import keras_aevb as kv


@keras.saving.register_keras_serializable("examples")
class LogRates(keras.layers.Layer):
    """The encoder: features of log(1 + x) - log exposure."""

    def build(self, shapes):
        self.dense = keras.layers.Dense(16, "relu")
        self.dense.build(shapes[0])

    def call(self, values):
        x, log_exposure = values
        return self.dense(ops.log1p(x) - log_exposure)


@keras.saving.register_keras_serializable("examples")
class WithExposure(keras.layers.Layer):
    """The decoder: logits of the counts, an affine map of z, plus the log exposure."""

    def __init__(self, num_counts, **kwargs):
        super().__init__(**kwargs)
        self.num_counts = num_counts

    def build(self, shapes):
        self.dense = keras.layers.Dense(self.num_counts)
        self.dense.build(shapes[0])

    def call(self, values):
        z, log_exposure = values
        return self.dense(z) + log_exposure

    def get_config(self):
        return {**super().get_config(), "num_counts": self.num_counts}


def data(n=500, num_counts=10):
    rng = np.random.default_rng(0)
    exposure = rng.gamma(5.0, 1.0, size=n)
    rates = np.exp(rng.normal(size=(n, 2)) @ rng.normal(size=(2, num_counts)))
    return rng.poisson(rates * exposure[:, None]).astype("float32"), np.log(exposure)


def main(epochs=100):
    x, log_exposure = data()
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=LogRates(),
        decoder=WithExposure(10),
        posterior=kv.DiagonalNormal(2),
        likelihood=kv.Conditional(
            "NegativeBinomial", 10, logits=keras.layers.Identity(), total_count=kv.Trainable()
        ),
        condition=kv.Condition(),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(x, log_exposure, epochs=epochs, batch_size=50, verbose=0).history
    z = np.zeros((1, 2), "float32")
    once, twice = (model.decode(z, condition=[y]).mean() for y in (0.0, np.log(2.0)))
    return {
        "bound": history["elbo"][-1],
        "mean at twice the exposure / mean": float(np.mean(np.divide(twice, once))),
    }


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
