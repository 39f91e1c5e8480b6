"""Layers in heads train like layers of the encoder and the decoder."""

import keras
import numpy as np
from keras import ops

import keras_aevb as kv


def build(layer):
    """The layer is in the head of the posterior's mean."""
    keras.utils.set_random_seed(1)
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Dense(5, "tanh")]),
        decoder=keras.Sequential([keras.layers.Dense(4, "tanh")]),
        posterior=kv.DiagonalNormal(6, mean=keras.Sequential([layer, keras.layers.Dense(6)])),
        likelihood=kv.Bernoulli(6),
        seed=0,
    )
    model.compile(keras.optimizers.SGD(0.01))
    return model


def test_batch_normalisation_in_a_head_learns_the_mean_of_its_inputs(x):
    norm = keras.layers.BatchNormalization(momentum=0.75)
    model = build(norm)
    features = model.encoder(x)
    model.fit(x, batch_size=13, verbose=0)
    expected = 0.25 * np.asarray(features).mean(0)
    # float32 sums in another order
    np.testing.assert_allclose(norm.moving_mean.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_dropout_in_a_head_drops_only_in_training(x):
    model = build(keras.layers.Dropout(0.5, seed=0))
    means = [np.asarray(model.encode(x, training=t).mean()) for t in (False, False, True, True)]
    np.testing.assert_array_equal(means[0], means[1])
    assert np.any(means[0] != means[2])
    assert np.any(means[2] != means[3])


def test_a_layer_without_a_training_argument_can_be_a_head(x):
    class Doubled(keras.layers.Layer):
        def call(self, features):
            return ops.concatenate([features, features], axis=1)[:, :6]

    parts = {"posterior": kv.DiagonalNormal(6, mean=Doubled(), log_variance=Doubled())}
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Dense(3)]),
        decoder=keras.Sequential([keras.layers.Dense(4)]),
        likelihood=kv.Bernoulli(6),
        **parts,
    )
    model.compile()
    assert np.isfinite(model.fit(x, verbose=0).history["loss"]).all()
