# %% [markdown]
# # Four algorithms on the same data
#
# AEVB, wake-sleep, Monte Carlo EM and full variational Bayes train the same decoder, from the same
# weights, on the same images. They are compared by log p(x) of test images.

# %%
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import keras_aevb as kv

EPOCHS = 120

# %%
images = load_digits().data / 16
x_train, x_test = images[:1000].astype("float32"), images[1500:].astype("float32")


def parts(**settings):
    """The paper's MLPs (App. C), small, with the same decoder each time."""
    return kv.networks.bernoulli_mlp(
        64, latent_dim=3, hidden_units=64, stddev=0.1, seed=0, **settings
    )


algorithms = {
    "AEVB": kv.AEVB(**parts(), seed=0),
    "wake-sleep": kv.WakeSleep(**parts(), seed=0),
    "Monte Carlo EM": kv.MonteCarloEM(**parts(recognition=False), seed=0),
    "full VB": kv.FullVB(**parts(), seed=0),
}

# %% [markdown]
# ## Training
#
# Monte Carlo EM has no encoder. Its logs report log p(x, z) at samples of p(z|x), which is not a
# bound. Annealed importance sampling, which estimates log p(x), does not need an encoder either.

# %%
histories, rows = {}, []
for name, model in algorithms.items():
    model.compile(keras.optimizers.Adam(3e-3), steps_per_execution=10)
    start = time.perf_counter()
    histories[name] = model.fit(x_train, batch_size=100, epochs=EPOCHS, verbose=0).history
    seconds = time.perf_counter() - start
    settings = {"num_weight_samples": 4} if name == "full VB" else {}
    log_p = model.log_likelihood(x_test[:100], 5, method="annealed", seed=0, **settings)
    rows.append((name, log_p.mean(), log_p.std() / np.sqrt(len(log_p)), seconds))

print(f"{'algorithm':<16}{'log p(x), nats':>16}{'± s.e.':>8}{'seconds':>9}")
for name, mean, error, seconds in rows:
    print(f"{name:<16}{mean:>16.2f}{error:>8.2f}{seconds:>9.1f}")

# %% [markdown]
# The standard error is over images. All four algorithms share the images, so differences between
# them are more accurate. Seconds include compilation.
#
# ## The bound during training

# %%
_, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, history in histories.items():
    if "elbo" in history:
        ax.plot(history["elbo"], label=name)
ax.set(xlabel="epochs", ylabel="bound on training images, nats", ylim=(-32, None))
ax.legend()
plt.show()

# %% [markdown]
# ## Samples
#
# Means of p(x|z) at samples z ~ p(z):

# %%
_, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for ax, (name, model) in zip(axes, algorithms.items()):
    kv.plots.samples(model, 36, image_shape=(8, 8), ax=ax)
    ax.set_title(name)
plt.show()
