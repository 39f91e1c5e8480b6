"""Models with convolutions, whose gradients XLA makes slow in loops of a program on a CPU."""

import keras
import numpy as np

import keras_aevb as kv
from keras_aevb._backend.groups import has_convolutions

X = np.random.default_rng(0).random((7, 4, 4, 1), dtype="float32")


def convolutional():
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = kv.AEVB(
        encoder=keras.Sequential([layers.Conv2D(2, 3, strides=2, activation="relu")]),
        decoder=keras.Sequential([layers.Dense(4, "relu"), layers.Reshape((2, 2, 1))]),
        posterior=kv.DiagonalNormal(2),
        likelihood=kv.Bernoulli(
            (4, 4, 1), logits=layers.Conv2DTranspose(1, 3, strides=2, padding="same")
        ),
        seed=0,
    )
    return model


def trained(steps_per_execution):
    """Weights and logs after two epochs of batches of 2, 2, 2 and 1."""
    model = convolutional()
    model.compile("adam", jit_compile=True, steps_per_execution=steps_per_execution)
    history = model.fit(X, batch_size=2, epochs=2, verbose=0).history
    return [*model.get_weights(), *history.values(), model.evaluate(X, verbose=0)]


def test_steps_alone_equal_steps_in_groups():
    for one, several in zip(trained(1), trained(3), strict=True):
        np.testing.assert_array_equal(several, one)


def test_convolutions_are_found(make_model):
    assert has_convolutions(convolutional())
    assert not has_convolutions(make_model())
