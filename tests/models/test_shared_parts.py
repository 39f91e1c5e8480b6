"""A prior that contains the encoder (VampPrior): the encoder's weights belong to φ only."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions


@keras.saving.register_keras_serializable("tests")
class Vamp(kv.Prior):
    """A mixture of q(z|u_k) over K trained pseudo-inputs u_k."""

    def __init__(self, encoder, posterior, size=3, **kwargs):
        super().__init__(posterior.event_shape, **kwargs)
        self.encoder = encoder
        self.posterior = posterior
        self.size = size
        self.inputs = self.add_weight((size, 6), initializer="random_uniform")

    def distribution(self):
        components = self.posterior.distribution(*self.posterior(self.encoder(self.inputs)))
        mixture = tfd.Categorical(logits=ops.zeros(self.size))
        return tfd.MixtureSameFamily(mixture, components)

    def get_config(self):
        parts = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in ("encoder", "posterior")
        }
        config = {**super().get_config(), **parts, "size": self.size}
        del config["event_shape"]
        return config

    @classmethod
    def from_config(cls, config):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("encoder", "posterior")
        }
        return cls(**{**config, **parts})


@pytest.fixture
def build():
    def build(algorithm=kv.AEVB):
        keras.utils.set_random_seed(1)
        encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, "tanh")])
        posterior = kv.DiagonalNormal(2)
        posterior.build((None, 5))
        model = algorithm(
            encoder=encoder,
            decoder=keras.Sequential([keras.layers.Dense(4, "tanh")]),
            posterior=posterior,
            likelihood=kv.Bernoulli(6),
            prior=Vamp(encoder, posterior),
            bound=kv.ELBO(kl="sampled"),
            seed=0,
        )
        model.compile(keras.optimizers.SGD(0.1))
        return model

    return build


def test_every_variable_belongs_to_phi_or_theta(build):
    model = build()
    groups = [{id(v) for v in group} for group in (model.phi, model.theta)]
    assert not groups[0] & groups[1]
    assert groups[0] | groups[1] == {id(v) for v in model.trainable_variables}
    assert id(model.prior.inputs) in groups[1]
    assert len(model.phi) == len(model.trainable_variables) - 5  # decoder, logits, pseudo-inputs


def test_gradient_variance_counts_the_encoder_once(build, x, gradients, noise):
    model = build()
    result = kv.gradient_variance(model, x, num_repeats=10, seed=0)
    assert result.phi.total > 0
    assert not result.phi.by_variable.keys() & result.theta.by_variable.keys()
    # Against gradients taken one by one, of all variables at once.
    draws = [
        gradients(
            lambda r=r: ops.mean(
                model.bound(
                    ops.convert_to_tensor(x),
                    model.encode(ops.convert_to_tensor(x)),
                    model.prior.distribution(),
                    model.decode,
                    model.next_seed(0, r),
                )["elbo"]
            ),
            model.phi,
        )
        for r in range(10)
    ]
    expected = sum(np.var(np.float64(g), axis=0, ddof=1).sum() for g in zip(*draws))
    np.testing.assert_allclose(result.phi.total, expected, rtol=1e-3)  # float32 gradients


def test_full_vb_has_no_distribution_over_the_encoder(build, x):
    model = build(kv.FullVB)
    assert {id(v) for v in model.weight_posterior.means} == {id(v) for v in model.theta}
    model.fit(x, verbose=0)


@pytest.mark.slow
def test_configs_keep_the_encoder_shared(build, x, tmp_path):
    model = build()
    copies = [kv.AEVB.from_config(model.get_config()), keras.models.clone_model(model)]
    model.save(tmp_path / "model.keras")
    copies.append(keras.saving.load_model(tmp_path / "model.keras"))
    for copy in copies:
        assert copy.prior.encoder is copy.encoder
        assert copy.prior.posterior is copy.posterior
        assert len(copy.trainable_variables) == len(model.trainable_variables)
        assert json.dumps(copy.get_config()) == json.dumps(model.get_config())
    np.testing.assert_array_equal(copies[-1].elbo(x, seed=0), model.elbo(x, seed=0))
