"""Memory of the estimators: only random keys, and App. D's samples, grow with L."""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb._backend import tfp

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX reports the memory of a compiled program"
)

METHODS = {
    "importance": kv.ImportanceSampling,
    "annealed": lambda n: kv.AnnealedImportanceSampling(n, num_steps=3),
    "density": lambda n: kv.PosteriorDensity(n, num_burnin_steps=2),
}


def bytes_of_intermediate_values(method, noise):
    import jax

    tfd = tfp.distributions
    x = np.zeros((5, 200), "float32")
    weights = np.ones((2, 200), "float32")
    prior = tfd.Independent(tfd.Normal(np.zeros(2, "float32"), 1.0), 1)
    q = tfd.BatchBroadcast(prior, [5])

    def estimate(x):
        def decode(z):
            return tfd.Independent(tfd.Normal(z @ weights, 1.0), 1)

        return method(x, q, prior, decode, noise(0))["log_likelihood"]

    return jax.jit(estimate).lower(x).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("name", METHODS)
def test_memory_does_not_grow_with_the_number_of_samples(name, noise):
    """From 100 to 20 000 samples."""
    few, many = (bytes_of_intermediate_values(METHODS[name](n), noise) for n in (100, 20_000))
    keys = 20_000 // 50 * 8  # bytes of the random keys, one for each chunk of 50 samples
    # App. D keeps its samples, two coordinates of both groups of chains for each example, and
    # takes a few copies of them; nothing else grows.
    samples = 10 * 4 * 2 * 2 * 20_000 * 5 if name == "density" else 0
    assert many < 1.1 * few + keys + samples
