"""What both backends do behind the same names."""

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend


def test_gradients_are_zero_where_nothing_depends_on_a_variable(gradients):
    a, b = keras.Variable([1.0, 2.0]), keras.Variable([3.0])
    by_a, by_b = gradients(lambda: ops.sum(a * a), [a, b])
    np.testing.assert_array_equal(by_a, [2, 4])
    np.testing.assert_array_equal(by_b, [0])


def test_gradients_in_a_program_follow_the_other_variables(make_model):
    model = make_model()
    bias, kernel = model.encoder.trainable_variables[1], model.decoder.trainable_variables[0]

    def gradient(factor):
        def f():
            return factor * ops.sum(bias * bias) * ops.sum(kernel)

        return _backend.gradients(f, [bias], model.variables)[0]

    program = _backend.compiled(model, gradient)
    for value in (1.0, 2.0):
        bias.assign(ops.full(bias.shape, value))
        kernel.assign(ops.full(kernel.shape, 3 * value))
        # d/db of f Σb² Σk, with 2 · 4 weights in the kernel
        expected = np.full(bias.shape, 2.0 * 2 * value * 8 * 3 * value)
        np.testing.assert_allclose(program(np.float32(2)), expected, rtol=1e-6)  # float32
