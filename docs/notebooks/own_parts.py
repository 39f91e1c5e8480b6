# %% [markdown]
# # A likelihood and a bound of your own
#
# Most pixels are nearly black or white, with some in between: each pixel gets a mixture of two
# normal distributions. The bound trains towards a divergence of C nats, where C grows.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

import keras_aevb as kv

if keras.backend.backend() == "jax":
    from tensorflow_probability.substrates import jax as tfp
else:
    import tensorflow_probability as tfp

tfd = tfp.distributions

EPOCHS = 60

# %% [markdown]
# ## The likelihood
#
# $$p(x_i|z) = π_i N(x_i; μ_{i1}, σ^2) + (1 - π_i) N(x_i; μ_{i2}, σ^2)$$
#
# Heads are layers from features to parameters; `None` is an affine map.


# %%
@keras.saving.register_keras_serializable("my_package")
class TwoNormals(kv.ConditionalDistribution):
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


# %% [markdown]
# ## The bound
#
# $$E_q[\log p(x|z)] - γ \, |KL(q(z|x) \,\|\, p(z)) - C|$$
#
# is the training objective; the logs still report `elbo`. Burgess et al. (2018), arXiv:1804.03599,
# eq. 8.


# %%
@keras.saving.register_keras_serializable("my_package")
class CapacityELBO(kv.Bound):
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


# %% [markdown]
# ## Training
#
# C grows from 0 to 12 nats in 600 steps, with fifteen steps per epoch.

# %%
images = (load_digits().images / 16).astype("float32")
x_train, x_test = images[:1500], images[1500:]

keras.utils.set_random_seed(0)
model = kv.AEVB(
    encoder=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(128, "relu")]),
    decoder=keras.Sequential([keras.layers.Dense(128, "relu")]),
    posterior=kv.DiagonalNormal(6),
    likelihood=TwoNormals((8, 8)),
    bound=CapacityELBO(keras.optimizers.schedules.PolynomialDecay(0.0, 600, 12.0)),
    seed=0,
)
model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=15)
history = model.fit(
    x_train, batch_size=100, epochs=EPOCHS, validation_data=(x_test, None), verbose=0
).history

# %%
_, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
axes[0].plot(history["kl"])
axes[0].set(xlabel="epochs", ylabel="KL, nats")
axes[1].plot(history["elbo"], label="training")
axes[1].plot(history["val_elbo"], label="test")
axes[1].set(xlabel="epochs", ylabel="bound, nats")
axes[1].legend()
plt.show()

# %% [markdown]
# A row for each latent dimension, along the quantiles of the prior:

# %%
kv.plots.traversals(model, num_values=10)
plt.show()

# %% [markdown]
# ## Saving and loading
#
# The decorators let `load_model` find both classes.

# %%
model.save("model.keras")
again = keras.saving.load_model("model.keras")
print(np.array_equal(again.elbo(x_test, seed=0), model.elbo(x_test, seed=0)))
