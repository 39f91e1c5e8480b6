"""A custom bound: training aims at a divergence of C nats, the logs report the bound.

The objective of Burgess et al. (2018), arXiv:1804.03599, eq. 8, is reconstruction - γ |KL - C| with
a growing C. `surrogate` names the term that training maximises.
"""

import keras
from keras import ops
from sklearn.datasets import load_digits

import keras_aevb as kv


@keras.saving.register_keras_serializable("examples")
class CapacityELBO(kv.Bound):
    """The evidence lower bound, trained towards a divergence of `capacity` nats.

    Args:
        capacity: C, a number or a schedule of the training step.
        gamma: γ.
    """

    surrogate = "towards_capacity"

    def __init__(self, capacity, gamma=10.0, **kwargs):
        super().__init__(**kwargs)
        self.capacity = self.scheduled("capacity", capacity)
        self.gamma = gamma

    def __call__(self, x, q, prior, decode, seed):
        z = q.sample(self.num_samples, seed=seed)
        reconstruction = ops.mean(decode(z).log_prob(x), axis=0)
        kl = q.kl_divergence(prior)
        distance = ops.abs(kl - ops.cast(self.now(self.capacity), kl.dtype))
        return {
            "elbo": reconstruction - kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "towards_capacity": reconstruction - self.gamma * distance,
        }

    def get_config(self):
        capacity = keras.saving.serialize_keras_object(self.capacity)
        return {**super().get_config(), "capacity": capacity, "gamma": self.gamma}


def main(epochs=60):
    x = (load_digits().data[:1500] / 16).astype("float32")
    growing = keras.optimizers.schedules.PolynomialDecay(0.0, 500, 6.0)
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        decoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        posterior=kv.DiagonalNormal(6),
        likelihood=kv.Bernoulli(64),
        bound=CapacityELBO(growing),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, epochs=epochs, batch_size=100, verbose=0).history
    return {name: history[name][-1] for name in ("elbo", "kl")}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
