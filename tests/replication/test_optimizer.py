"""The paper's Adagrad against its definition, step by step."""

import keras
import numpy as np

from replication.train.model import Adagrad


def test_equals_its_definition():
    gradients = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    weights, accumulator = np.ones(4), np.zeros(4)
    variable = keras.Variable(weights.astype("float32"))
    optimizer = Adagrad(0.1, accumulate_only=2)
    for step, gradient in enumerate(gradients):
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        accumulator += gradient.astype("float64") ** 2
        if step >= 2:
            weights -= 0.1 * gradient / np.sqrt(accumulator + 1e-8)
        # float32 arithmetic, six steps
        np.testing.assert_allclose(np.asarray(variable), weights, rtol=1e-6)


def test_first_steps_only_accumulate():
    variable = keras.Variable(np.ones(2, "float32"))
    optimizer = Adagrad(0.1, accumulate_only=100)
    ones = keras.ops.ones(2)
    for _ in range(100):
        optimizer.apply([ones], [variable])
    np.testing.assert_array_equal(np.asarray(variable), 1.0)
    optimizer.apply([ones], [variable])
    # 101 squared gradients of one: a step of α / √101
    np.testing.assert_allclose(np.asarray(variable), 1 - 0.1 / np.sqrt(101), rtol=1e-6)
