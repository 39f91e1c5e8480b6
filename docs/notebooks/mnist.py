# %% [markdown]
# # MNIST in five minutes
#
# A variational autoencoder of handwritten digits: data, model, training, pictures, numbers.
# Without a copy of MNIST, the notebook uses scikit-learn's small digits, which need no download.

# %%
from pathlib import Path

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

import keras_aevb as kv

EPOCHS = 60

# %% [markdown]
# ## Data
#
# `keras.datasets.mnist.load_data()` downloads MNIST once, into the folder that this cell reads.

# %%
if (Path.home() / ".keras" / "datasets" / "mnist.npz").exists():
    (x_train, _), (x_test, y_test) = keras.datasets.mnist.load_data()
    x_train, x_test = (x_train / 255).astype("float32"), (x_test / 255).astype("float32")
else:
    digits = load_digits()
    images, labels = (digits.images / 16).astype("float32"), digits.target
    x_train, x_test, y_test = images[:1500], images[1500:], labels[1500:]
print(x_train.shape, x_test.shape)

# %% [markdown]
# ## Model
#
# Two latent variables, so that the whole latent space can be plotted.

# %%
keras.utils.set_random_seed(0)
model = kv.AEVB(
    encoder=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(200, "relu")]),
    decoder=keras.Sequential([keras.layers.Dense(200, "relu")]),
    posterior=kv.DiagonalNormal(2),
    likelihood=kv.Bernoulli(x_train.shape[1:]),
    seed=0,
)
model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=15)

# %% [markdown]
# ## Training
#
# `elbo` is the bound on log p(x), in nats per image; `val_elbo` is the bound of held-out images.

# %%
history = model.fit(
    x_train, batch_size=100, epochs=EPOCHS, validation_data=(x_test, None), verbose=0
).history

_, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(history["elbo"], label="training")
ax.plot(history["val_elbo"], label="test")
ax.set(xlabel="epochs", ylabel="bound, nats")
ax.legend()
plt.show()

# %% [markdown]
# ## Pictures
#
# Left: the decoded latent plane, in which every tile covers the same mass of p(z). Right: the
# encoded test images, whose classes are not used in training.

# %%
_, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
kv.plots.manifold(model, ax=axes[0])
kv.plots.encoded(model, x_test[:2000], y_test[:2000], ax=axes[1])
plt.show()

# %% [markdown]
# Test images, each above its reconstruction:

# %%
kv.plots.reconstructions(model, x_test[:20])
plt.show()

# %% [markdown]
# ## Numbers
#
# The bound, its two terms, and a tighter estimate of log p(x):

# %%
print(model.report(x_test[:200], num_samples=200, seed=0, verbose=False))
