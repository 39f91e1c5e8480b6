"""The machine's rate: float32 matrix products in JAX.

`shape="square"` multiplies 2048 × 2048 matrices, `shape="model"` computes the eleven products of a
training step of the work.
"""

import jax
from jax import numpy as jnp


def epochs(work, shape="square"):
    """At each turn, performs the operations of an epoch's matrix products, to a whole product."""
    flop = work.flop_per_sample * work.examples
    if shape == "square":
        n = 2048
        pairs = [(jnp.ones((n, n)), jnp.ones((n, n)))]
        rounds = max(1, round(flop / (2 * n**3)))
    else:
        pairs = [(jnp.ones(a), jnp.ones(b)) for a, b in products(work)]
        rounds = work.examples // work.batch_size

    @jax.jit
    def multiply(pairs, n):
        def body(_, results):
            # Each product enters the next round, so that XLA cannot remove it.
            return [(a + 0 * r[0, 0]) @ b for (a, b), r in zip(pairs, results)]

        return jax.lax.fori_loop(0, n, body, [jnp.zeros((len(a), b.shape[1])) for a, b in pairs])

    jax.block_until_ready(multiply(pairs, 1))
    while True:
        yield
        jax.block_until_ready(multiply(pairs, rounds))


def products(work):
    """Shapes of the factors, for every layer: forward, backward to weights, backward to inputs."""
    layers = [
        (work.x_dim, work.hidden_units),
        (work.hidden_units, 2 * work.latent_dim),
        (work.latent_dim, work.hidden_units),
        (work.hidden_units, work.x_dim),
    ]
    m = work.batch_size
    for i, (inputs, outputs) in enumerate(layers):
        yield (m, inputs), (inputs, outputs)
        yield (inputs, m), (m, outputs)
        if i > 0:
            yield (m, outputs), (outputs, inputs)
