# %% [markdown]
# # Your own images, with a convolutional net
#
# From a folder of image files to a trained model, a saved file and pictures. The files of this page
# are synthetic: a disc of random position, size and colour in each.

# %%
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import keras_aevb as kv

EPOCHS = 30

# %%
rng = np.random.default_rng(0)
n, size = 2200, 16  # a multiple of 4, because the networks halve the sides twice
rows, columns = np.mgrid[:size, :size]
centre = rng.uniform(4, size - 4, (n, 2, 1, 1))
radius = rng.uniform(2, 4, (n, 1, 1))
distance = np.hypot(rows - centre[:, 0], columns - centre[:, 1])
disc = 1 / (1 + np.exp(2 * (distance - radius)))  # 1 inside, 0 outside
colour = rng.dirichlet([1, 1, 1], n)[:, None, None]
folder = Path("images")
folder.mkdir(exist_ok=True)
for i, pixels in enumerate(disc[..., None] * colour):
    keras.utils.save_img(folder / f"{i:04}.png", pixels, scale=True)

# %% [markdown]
# ## Data
#
# Every image becomes an array of shape `[height, width, channels]` with values in [0, 1]. Grey
# images have one channel: `color_mode="grayscale"`. [Large data](../how-to/large-data.md) is for
# folders that do not fit into memory.

# %%
channels = 3
paths = sorted(folder.glob("*.png"))
images = [keras.utils.load_img(p, color_mode="rgb", target_size=(size, size)) for p in paths]
x = np.stack([keras.utils.img_to_array(image) for image in images]) / 255
x_train, x_test = x[:2000], x[2000:]
kv.plots.mosaic(x_test[:24], columns=12)
plt.show()

# %% [markdown]
# ## Model
#
# The encoder leaves out the layers that output the parameters of q(z|x), and the decoder its output
# layer: these belong to the posterior and to the likelihood.
#
# | likelihood | pixels |
# |---|---|
# | `kv.Bernoulli` | in [0, 1], mostly near the ends: drawings, MNIST |
# | `kv.Normal` with one trained standard deviation, as here | in [0, 1]: photographs |
# | `kv.DiscretizedLogisticMixture` | whole numbers from 0 to 255, for bits per dimension |

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
            layers.Dense((size // 4) ** 2 * 32, "relu"),
            layers.Reshape((size // 4, size // 4, 32)),
            layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu"),
        ]
    ),
    posterior=kv.DiagonalNormal(6),
    likelihood=kv.Normal(
        (size, size, channels),
        mean=layers.Conv2DTranspose(channels, 3, strides=2, padding="same"),
        log_variance=kv.Trainable((), initializer=keras.initializers.Constant(-3.0)),  # σ = 0.22
    ),
    seed=0,
)
model.compile(keras.optimizers.Adam(2e-3))

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

# %% [markdown]
# Shapes appear first, colours after a few thousand steps (this page trains 600). If images of your
# own are blurred or grey,
# train longer and use more latent dimensions: see
# [Troubleshooting](../start/logs.md#troubleshooting).

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
# Each row moves one latent variable through the prior's quantiles. The others keep their values for
# a test image:

# %%
z = kv.pictures.encoded(model, x_test[:1])[0]
kv.plots.traversals(model, z, num_values=12)
plt.show()

# %% [markdown]
# Position, size and the two degrees of freedom of the colour are five numbers. The KL of each
# dimension shows which dimensions carry information about them:

# %%
_, ax = plt.subplots(figsize=(5, 3), layout="constrained")
kv.plots.kl_by_dimension(model, x_test, ax=ax)
plt.show()

# %% [markdown]
# ## Saving
#
# To load the file in another program, import `keras_aevb` first.

# %%
model.save("model.keras")
again = keras.saving.load_model("model.keras")
assert np.array_equal(again.reconstruct(x_test[:5]), model.reconstruct(x_test[:5]))
