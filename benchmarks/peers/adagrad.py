"""The optimizer's part of a training step, in JAX: Adagrad's update of all weights.

With `roots=False`, it reads and writes memory like an update, but takes no roots.
"""

import jax
from jax import numpy as jnp
from peers.jax_scan import initial


def epochs(work, roots=True):
    """Yields after one update, then after every epoch of `examples // batch_size` updates."""

    def updated(p, a, g):
        a = a + g**2
        return p - 0.01 * g * (jax.lax.rsqrt(a + 1e-8) if roots else a), a

    @jax.jit
    def update(parameters, accumulators, gradients, n):
        def body(_, state):
            pairs = [updated(*weights) for weights in zip(*state, gradients)]
            return tuple(map(list, zip(*pairs)))

        return jax.lax.fori_loop(0, n, body, (parameters, accumulators))

    parameters = jax.tree.leaves(initial(work))
    accumulators = [jnp.ones_like(p) for p in parameters]
    gradients = [1e-3 * p for p in parameters]
    jax.block_until_ready(update(parameters, accumulators, gradients, 1))
    while True:
        yield
        jax.block_until_ready(
            update(parameters, accumulators, gradients, work.examples // work.batch_size)
        )
