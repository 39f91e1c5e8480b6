"""A custom likelihood: for each pixel a mixture of two normal distributions.

Distributions come from the build of TensorFlow Probability for the Keras backend. A subclass of
`ConditionalDistribution` names its heads, gives their shapes if these differ from the event shape,
and builds the distribution. Families of TFP need no class: `kv.Conditional("Laplace", 64)`.
"""

import keras
from keras import ops
from sklearn.datasets import load_digits

import keras_aevb as kv

if keras.backend.backend() == "jax":
    from tensorflow_probability.substrates import jax as tfp
else:
    import tensorflow_probability as tfp

tfd = tfp.distributions


@keras.saving.register_keras_serializable("examples")
class TwoNormals(kv.ConditionalDistribution):
    """Independent pixels, each π N(μ₁, σ²) + (1 - π) N(μ₂, σ²).

    Args:
        event_shape: shape of x.
        scale: σ.
    """

    def __init__(self, event_shape, scale=0.1, logits=None, mean=None, **kwargs):
        super().__init__(event_shape, {"logits": logits, "mean": mean}, **kwargs)
        self.scale = scale

    def parameter_shape(self, name):
        return (*self.event_shape, 2)

    def distribution(self, logits, mean):
        components = tfd.Normal(mean, ops.full_like(mean, self.scale))
        pixels = tfd.MixtureSameFamily(tfd.Categorical(logits), components)
        return tfd.Independent(pixels, len(self.event_shape))

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


def main(epochs=50):
    x = (load_digits().data[:1500] / 16).astype("float32")
    keras.utils.set_random_seed(0)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        decoder=keras.Sequential([keras.layers.Dense(64, "relu")]),
        posterior=kv.DiagonalNormal(6),
        likelihood=TwoNormals(64),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.003))
    history = model.fit(x, epochs=epochs, batch_size=100, verbose=0).history
    return {"bound": history["elbo"][-1], "mean of samples": model.sample(100, seed=0).mean()}


if __name__ == "__main__":
    for name, value in main().items():
        print(f"{name}: {value:.4g}")
