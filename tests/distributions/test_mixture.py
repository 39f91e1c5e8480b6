"""Mixture priors."""

import keras
import numpy as np
import pytest
from scipy import special, stats

import keras_aevb as kv

Z = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")


def test_a_mixture_is_the_weighted_mean_of_its_components():
    prior = kv.MixturePrior("Normal", 2, num_components=3, scale=0.5)
    loc = np.asarray(prior.trainable_variables[1], "float64")
    assert len({tuple(row) for row in loc}) == 3  # equal components would stay equal
    prior.logits.assign(np.array([0.3, -1.0, 0.2]))
    log_weights = special.log_softmax([0.3, -1.0, 0.2])
    components = stats.norm(loc, 0.5).logpdf(Z[:, None]).sum(-1)  # [4, 3]
    expected = special.logsumexp(components + log_weights, axis=1)
    np.testing.assert_allclose(prior.distribution().log_prob(Z), expected, rtol=1e-5)


def vamp(make_model, x, **parts):
    prior = kv.VampPrior(3, initializer=keras.initializers.Constant(x[:3]))
    return make_model(kv.AEVB, prior=prior, bound=kv.ELBO(kl="sampled"), **parts)


def test_a_vamp_prior_is_the_mean_of_posteriors(make_model, x):
    model = vamp(make_model, x)
    q = model.encode(x[:3])
    components = np.stack([np.asarray(q.log_prob(z)) for z in Z]).astype("float64")  # [4, 3]
    expected = special.logsumexp(components, axis=1) - np.log(3)
    np.testing.assert_allclose(model.prior.distribution().log_prob(Z), expected, rtol=1e-5)


def test_the_encoder_of_a_vamp_prior_belongs_to_the_posterior(make_model, x):
    """φ and θ share no variable, and the pseudo-inputs are θ's."""
    model = vamp(make_model, x)
    phi, theta = ({id(v) for v in variables} for variables in (model.phi, model.theta))
    assert not phi & theta
    assert id(model.prior.pseudo_inputs) in theta
    assert len(phi | theta) == len(model.trainable_variables)
    assert model.prior.trainable_variables == [model.prior.pseudo_inputs]


def test_a_vamp_prior_belongs_to_one_model(make_model, x):
    """A second model is refused, unless it has the encoder and posterior that the prior uses."""
    model = vamp(make_model, x)
    before = model.elbo(x, seed=0)
    with pytest.raises(ValueError, match="VampPrior of another model"):
        make_model(kv.AEVB, prior=model.prior, bound=kv.ELBO(kl="sampled"))
    parts = {n: getattr(model, n) for n in ("encoder", "decoder", "posterior", "likelihood")}
    kv.WakeSleep(**parts, prior=model.prior)
    np.testing.assert_array_equal(model.elbo(x, seed=0), before)
    assert model.prior.trainable_variables == [model.prior.pseudo_inputs]


def test_a_vamp_prior_takes_no_condition(make_model):
    with pytest.raises(ValueError, match="VampPrior takes no condition"):
        make_model(kv.AEVB, prior=kv.VampPrior(2), condition=kv.Condition(num_classes=3))


def test_a_vamp_prior_is_no_part_of_another_prior():
    prior, level = kv.VampPrior(3), kv.DiagonalNormal(2)
    with pytest.raises(ValueError, match="Expected another prior as base"):
        kv.FlowPrior(prior, [kv.Reverse()])
    with pytest.raises(ValueError, match="Expected another prior as level 2"):
        kv.HierarchicalPrior([level, prior])


def test_a_vamp_prior_needs_a_model():
    with pytest.raises(ValueError, match="part of a model with an encoder"):
        kv.VampPrior(3).distribution()


PRIORS = {
    "mixture": lambda x: kv.MixturePrior("Normal", 2, num_components=3),
    "mixture on the half line": lambda x: kv.MixturePrior("Gamma", 2, num_components=2),
    "VampPrior": lambda x: kv.VampPrior(3),
}


@pytest.mark.parametrize("name", PRIORS)
def test_training_and_saving(name, make_model, x, tmp_path):
    posterior = kv.Conditional("LogNormal", 2) if "half" in name else kv.DiagonalNormal(2)
    model = make_model(
        kv.AEVB, prior=PRIORS[name](x), posterior=posterior, bound=kv.ELBO(kl="sampled")
    )
    model.compile(keras.optimizers.Adam(0.05), jit_compile=keras.backend.backend() == "jax")
    before = model.elbo(x, num_samples=20, seed=0).mean()
    model.fit(x, batch_size=len(x), epochs=10, verbose=0)
    after = model.elbo(x, num_samples=20, seed=0)
    assert after.mean() > before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, num_samples=20, seed=0), after)
    assert len(loaded.trainable_variables) == len(model.trainable_variables)
    assert model.sample(3).shape == (3, 6)
