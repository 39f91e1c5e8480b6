# %% [markdown]
# # Your own data, with a convolutional net
#
# Synthetic colour images: a disc of random position, size and colour. Any array of shape
# `[N, height, width, 3]` works.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_aevb as kv

EPOCHS = 30

# %%
rng = np.random.default_rng(0)
n, size = 2200, 16
rows, columns = np.mgrid[:size, :size]
centre = rng.uniform(4, size - 4, (n, 2, 1, 1))
radius = rng.uniform(2, 4, (n, 1, 1))
distance = np.hypot(rows - centre[:, 0], columns - centre[:, 1])
disc = 1 / (1 + np.exp(2 * (distance - radius)))  # 1 inside, 0 outside
colour = rng.dirichlet([1, 1, 1], n)[:, None, None]
x = (disc[..., None] * colour).astype("float32")
x_train, x_test = x[:2000], x[2000:]
kv.plots.mosaic(x_test[:24], columns=12)
plt.show()

# %% [markdown]
# ## Model
#
# The encoder ends before the layers of z, and the decoder before the last layer: these belong to
# the posterior and to the likelihood. The likelihood here is a normal distribution with one trained
# standard deviation; a discretised logistic mixture or another likelihood could replace it.

# %%
keras.utils.set_random_seed(0)
model = kv.AEVB(
    encoder=keras.Sequential(
        [
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        ]
    ),
    decoder=keras.Sequential(
        [
            layers.Dense(4 * 4 * 32, "relu"),
            layers.Reshape((4, 4, 32)),
            layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        ]
    ),
    posterior=kv.DiagonalNormal(6),
    likelihood=kv.Normal(
        (size, size, 3),
        mean=layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
        log_variance=kv.Trainable((), initializer=keras.initializers.Constant(-3.0)),
    ),
    seed=0,
)
model.compile(keras.optimizers.Adam(2e-3), steps_per_execution=20)

# %% [markdown]
# ## Training, with pictures
#
# The callback writes pictures every ten epochs, with the same noise each time.

# %%
pictures = kv.callbacks.Pictures("pictures", every=10, x=x_test, kinds=["samples"])
history = model.fit(
    x_train,
    batch_size=100,
    epochs=EPOCHS,
    validation_data=(x_test, None),
    verbose=0,
    callbacks=[pictures],
).history
print(f"bound on test images: {history['val_elbo'][-1]:.1f} nats")

# %%
paths = sorted(pictures.folder.glob("samples/*.png"))
_, axes = plt.subplots(1, len(paths), figsize=(3 * len(paths), 3.2), layout="constrained")
for ax, path in zip(axes, paths):
    ax.imshow(plt.imread(path))
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## The latent variables
#
# A row for each latent variable, from the lowest to the highest quantile of the prior, around the z
# of a test image:

# %%
z = kv.pictures.encoded(model, x_test[:1])[0]
kv.plots.traversals(model, z, num_values=12)
plt.show()

# %% [markdown]
# Position, size and the two degrees of freedom of the colour are five numbers. The divergence of
# each dimension measures its information about them:

# %%
_, ax = plt.subplots(figsize=(5, 3), layout="constrained")
kv.plots.kl_by_dimension(model, x_test, ax=ax)
plt.show()
