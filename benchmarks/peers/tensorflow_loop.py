"""Plain TensorFlow, written by hand: an XLA loop over an epoch of shuffled, device-resident
data."""

import numpy as np
import tensorflow as tf


def epochs(work):
    x = tf.constant(work.data())
    parameters = initial(work)
    accumulators = [tf.Variable(tf.zeros_like(p)) for p in tf.nest.flatten(parameters)]
    rng = np.random.default_rng(0)

    @tf.function(jit_compile=True, autograph=False)
    def epoch(rows, seed, n):
        def step(i, _):
            noise = tf.random.stateless_normal([work.batch_size, work.latent_dim], [seed, i])
            with tf.GradientTape() as tape:
                value = loss(parameters, tf.gather(x, rows[i]), noise, work.examples)
            variables = tf.nest.flatten(parameters)
            for p, a, g in zip(variables, accumulators, tape.gradient(value, variables)):
                a.assign_add(g**2)
                p.assign_sub(0.01 * g / tf.sqrt(a + 1e-8))
            return i + 1, value

        return tf.while_loop(lambda i, _: i < n, step, (0, 0.0))[1]

    def train(n):
        rows = rng.permutation(work.examples).reshape(-1, work.batch_size)
        return epoch(tf.constant(rows), tf.constant(rng.integers(2**31, dtype="int32")), n).numpy()

    train(tf.constant(1))
    while True:
        yield
        train(tf.constant(work.examples // work.batch_size))


def initial(work):
    """The weights at the start."""
    return {
        name: {
            "w": tf.Variable(tf.random.stateless_normal(shape, [0, i], stddev=0.01)),
            "b": tf.Variable(tf.zeros(shape[1])),
        }
        for i, (name, shape) in enumerate(work.layers.items())
    }


def affine(layer, x):
    return x @ layer["w"] + layer["b"]


def loss(p, x, noise, n_train):
    h = tf.tanh(affine(p["hidden"], x))
    mean, log_variance = affine(p["mean"], h), affine(p["log_variance"], h)
    z = mean + tf.exp(0.5 * log_variance) * noise
    logits = affine(p["logits"], tf.tanh(affine(p["decoder"], z)))
    log_likelihood = -tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits), -1)
    kl = -0.5 * tf.reduce_sum(1 + log_variance - mean**2 - tf.exp(log_variance), -1)
    penalty = 0.5 / n_train * sum(tf.reduce_sum(layer["w"] ** 2) for layer in p.values())
    return tf.reduce_mean(kl - log_likelihood) + penalty
