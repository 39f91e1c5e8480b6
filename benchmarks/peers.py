"""Programs that train the same model on the same work; one process runs one of them.

The work is the paper's MNIST model with N_z = 20: 784-500-20-500-784, tanh, Bernoulli pixels,
Adagrad, batches of 100 float32 examples, one sample of z. Each peer is a generator: it compiles
and warms up, then yields the samples per second of one epoch after another.
"""

import time

import numpy as np

BATCH, X_DIM, HIDDEN, LATENT = 100, 784, 500, 20


def examples(n):
    return np.random.default_rng(0).random((n, X_DIM), dtype="float32")


def keras_fit(n, **compile_options):
    """`keras_aevb.AEVB.fit` on an array."""
    import keras

    import keras_aevb as kv

    parts = kv.networks.bernoulli_mlp(X_DIM, LATENT, HIDDEN, n_train=n, seed=0)
    model = kv.AEVB(**parts, seed=0)
    optimizer = keras.optimizers.Adagrad(0.01, initial_accumulator_value=0.0, epsilon=1e-8)
    model.compile(optimizer, **compile_options)
    x = examples(n)
    model.fit(x, batch_size=BATCH, epochs=1, verbose=0)

    class Rate(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.value = n / (time.perf_counter() - self.start)

    rate = Rate()
    while True:
        model.fit(x, batch_size=BATCH, epochs=1, verbose=0, callbacks=[rate])
        yield rate.value


def jax_scan(n):
    """Plain JAX: `lax.scan` over an epoch of shuffled, device-resident data."""
    import jax
    import jax.numpy as jnp

    def dense(key, inputs, outputs):
        return {"w": 0.01 * jax.random.normal(key, (inputs, outputs)), "b": jnp.zeros(outputs)}

    keys = jax.random.split(jax.random.key(0), 5)
    shapes = {
        "hidden": (X_DIM, HIDDEN),
        "mean": (HIDDEN, LATENT),
        "log_variance": (HIDDEN, LATENT),
        "decoder": (LATENT, HIDDEN),
        "logits": (HIDDEN, X_DIM),
    }
    parameters = {name: dense(k, *shape) for k, (name, shape) in zip(keys, shapes.items())}

    def affine(layer, x):
        return x @ layer["w"] + layer["b"]

    def loss(p, x, key):
        h = jnp.tanh(affine(p["hidden"], x))
        mean, log_variance = affine(p["mean"], h), affine(p["log_variance"], h)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
        logits = affine(p["logits"], jnp.tanh(affine(p["decoder"], z)))
        log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), -1)
        kl = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), -1)
        penalty = 0.5 / n * sum(jnp.sum(layer["w"] ** 2) for layer in p.values())
        return jnp.mean(kl - log_likelihood) + penalty

    def step(state, batch):
        parameters, accumulators, key = state
        key, noise_key = jax.random.split(key)
        value, gradients = jax.value_and_grad(loss)(parameters, batch, noise_key)
        accumulators = jax.tree.map(lambda a, g: a + g**2, accumulators, gradients)
        parameters = jax.tree.map(
            lambda p, a, g: p - 0.01 * g / jnp.sqrt(a + 1e-8), parameters, accumulators, gradients
        )
        return (parameters, accumulators, key), value

    @jax.jit
    def epoch(state, x, order):
        return jax.lax.scan(step, state, x[order].reshape(-1, BATCH, X_DIM))

    x = jnp.asarray(examples(n))
    state = (parameters, jax.tree.map(jnp.zeros_like, parameters), jax.random.key(1))
    rng = np.random.default_rng(0)
    state, _ = epoch(state, x, rng.permutation(n))
    while True:
        start = time.perf_counter()
        state, losses = epoch(state, x, rng.permutation(n))
        losses.block_until_ready()
        yield n / (time.perf_counter() - start)
