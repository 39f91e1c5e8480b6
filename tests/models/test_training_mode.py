"""Layers inside of heads train as layers of the encoder and the decoder do."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv

ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM]


class Mode(keras.layers.Layer):
    """Counts the calls in training mode."""

    def __init__(self):
        super().__init__()
        self.count = self.add_weight((), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.count.assign_add(1.0)
        return x


def head(*layers):
    return keras.Sequential([*layers, keras.layers.Dense(6)])


def build(algorithm, posterior_layer, likelihood_layer):
    keras.utils.set_random_seed(1)
    parts = {
        "decoder": keras.Sequential([keras.layers.Dense(4, "tanh")]),
        "likelihood": kv.Bernoulli(6, logits=head(likelihood_layer)),
        "prior": kv.StandardNormal(6),
    }
    if algorithm is not kv.MonteCarloEM:
        parts["encoder"] = keras.Sequential([keras.layers.Dense(5, "tanh")])
        parts["posterior"] = kv.DiagonalNormal(6, mean=head(posterior_layer))
    model = algorithm(**parts, seed=0)
    model.compile(keras.optimizers.SGD(0.01))
    return model


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_heads_see_training_mode_in_fit_and_not_elsewhere(algorithm, x):
    posterior_layer, likelihood_layer = Mode(), Mode()
    model = build(algorithm, posterior_layer, likelihood_layer)
    model.fit(x, batch_size=13, epochs=2, verbose=0)
    counts = [float(layer.count.numpy()) for layer in (posterior_layer, likelihood_layer)]
    expected = {
        kv.AEVB: [2, 2],
        kv.WakeSleep: [4, 4],  # in both phases
        kv.FullVB: [2, 2],
        kv.MonteCarloEM: [0, 10],  # five updates a batch; transitions do not train
    }
    assert counts == expected[algorithm]
    model.evaluate(x, verbose=0)
    model.sample(3)
    assert [float(layer.count.numpy()) for layer in (posterior_layer, likelihood_layer)] == counts


@pytest.mark.parametrize("algorithm", ALGORITHMS[:3])
def test_batch_normalisation_in_a_head_learns(algorithm, x):
    norms = [keras.layers.BatchNormalization(momentum=0.0) for _ in range(2)]
    model = build(algorithm, *norms)
    model.fit(x, batch_size=13, verbose=0)
    for norm in norms:
        assert np.abs(norm.moving_mean.numpy()).max() > 0


def test_batch_normalisation_in_a_head_learns_the_mean_of_its_inputs(x):
    norm = keras.layers.BatchNormalization(momentum=0.75)
    model = build(kv.AEVB, norm, keras.layers.Identity())
    features = model.encoder(x)
    model.fit(x, batch_size=13, verbose=0)
    expected = 0.25 * np.asarray(features).mean(0)
    # float32 sums in another order
    np.testing.assert_allclose(norm.moving_mean.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_dropout_in_a_head_drops_in_training_alone(x):
    model = build(kv.AEVB, keras.layers.Dropout(0.5, seed=0), keras.layers.Identity())
    means = [np.asarray(model.encode(x, training=t).mean()) for t in (False, False, True, True)]
    np.testing.assert_array_equal(means[0], means[1])
    assert np.any(means[0] != means[2])
    assert np.any(means[2] != means[3])


def test_a_layer_without_a_training_argument_serves_as_a_head(x):
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
