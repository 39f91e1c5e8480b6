"""Building a model from incompatible parts raises an error that explains the reason."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions


class Family(kv.ConditionalDistribution):
    """A user's distribution with one head."""

    make = staticmethod(lambda value: tfd.Independent(tfd.Normal(value, 1.0), 1))

    def __init__(self, event_shape, value=None, **kwargs):
        super().__init__(event_shape, {"value": value}, **kwargs)

    def distribution(self, value):
        return self.make(value)


class FixedPrior(kv.Prior):
    make = staticmethod(lambda: tfd.Independent(tfd.Normal(ops.zeros(2), 1.0), 1))

    def distribution(self):
        return self.make()


def family(make, size=2, base=Family):
    class Of(base):
        pass

    Of.make = staticmethod(make)
    return Of(size)


def prior(make, size=2):
    return family(make, size, FixedPrior)


ONES = (1.0, 1.0)
PRIORS = {
    "normal": lambda: tfd.Independent(tfd.Normal(ops.zeros(2), 1.0), 1),
    "exponential": lambda: tfd.Independent(tfd.Exponential(ops.ones(2)), 1),
    "gamma": lambda: tfd.Independent(tfd.Gamma(2 * ops.ones(2), 1.0), 1),
    "uniform": lambda: tfd.Independent(tfd.Uniform(ops.zeros(2), 1.0), 1),
    "half line from 1": lambda: tfd.Independent(
        tfd.TransformedDistribution(tfd.Exponential(ops.ones(2)), tfp.bijectors.Shift(1.0)), 1
    ),
    "mixture": lambda: tfd.MixtureSameFamily(
        tfd.Categorical(logits=ops.zeros(3)),
        tfd.Independent(tfd.Normal(ops.zeros((3, 2)), 1.0), 1),
    ),
    "coins": lambda: tfd.Independent(tfd.Bernoulli(logits=ops.zeros(2), dtype="float32"), 1),
}
POSTERIORS = {
    "normal": lambda v: tfd.Independent(tfd.Normal(v, 1.0), 1),
    "log-normal": lambda v: tfd.Independent(tfd.LogNormal(v, 1.0), 1),
    "gamma": lambda v: tfd.Independent(tfd.Gamma(ops.exp(v), 1.0), 1),
    "beta": lambda v: tfd.Independent(tfd.Beta(ops.exp(v), 1.0), 1),
    "coins": lambda v: tfd.Independent(tfd.Bernoulli(logits=v, dtype="float32"), 1),
}
# For each posterior, the priors whose support contains that of the posterior.
FITS = {
    "normal": {"normal", "mixture"},
    "log-normal": {"normal", "mixture", "exponential", "gamma"},
    "gamma": {"normal", "mixture", "exponential", "gamma"},
    "beta": {"normal", "mixture", "exponential", "gamma", "uniform"},
    "coins": {"coins"},
}


@pytest.mark.parametrize("q", POSTERIORS)
@pytest.mark.parametrize("p", PRIORS)
def test_supports(q, p, make_model):
    parts = {"posterior": family(POSTERIORS[q]), "prior": prior(PRIORS[p])}
    bound = kv.ELBO(kl="sampled")
    if p in FITS[q]:
        model = make_model(kv.WakeSleep, **parts, bound=bound)
        model.compile(run_eagerly=True)  # nothing to compile for one batch
        assert np.isfinite(model.elbo(np.full((3, 6), 0.5), seed=0)).all()
        return
    with pytest.raises(ValueError, match=r"same z.*(inside the support|both discrete)") as error:
        make_model(kv.WakeSleep, **parts, bound=bound)
    for word in ("posterior", "prior", "(2,)", "Received"):
        assert word in str(error.value)


def test_a_likelihood_without_event_dimensions(make_model):
    """With as many examples as pixels in a batch, broadcasting once hid the error."""
    likelihood = family(lambda v: tfd.Bernoulli(logits=v), 6)
    with pytest.raises(ValueError, match=r"likelihood.*event shape \(6,\).*tfd.Independent") as e:
        make_model(likelihood=likelihood)
    assert "Received: batch shape (3, 6) and event shape ()" in str(e.value)


def test_posterior_and_prior_of_wrong_batch_shapes(make_model):
    with pytest.raises(ValueError, match=r"posterior.*Received: batch shape \(3, 2\)"):
        make_model(posterior=family(lambda v: tfd.Normal(v, 1.0)))
    with pytest.raises(ValueError, match=r"prior.*Received: batch shape \(2,\)"):
        make_model(prior=prior(lambda: tfd.Normal(ops.zeros(2), 1.0)))


def test_distributions_of_another_library(make_model):
    with pytest.raises(ValueError, match=f"distribution of `{tfp.__name__}`.*Received: builtins"):
        make_model(prior=prior(lambda: "normal"))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="jax has no float64 by default")
def test_different_precisions(make_model):
    double = prior(lambda: tfd.Independent(tfd.Normal(np.zeros(2), 1.0), 1))
    with pytest.raises(ValueError, match=r"of one dtype.*float32.*float64"):
        make_model(prior=double)
    with pytest.raises(ValueError, match="likelihood with float64, prior with float32"):
        make_model(likelihood=kv.Bernoulli(6, dtype="float64"))


@pytest.mark.parametrize("bound", ["elbo", None.__class__, kv.ELBO])
def test_invalid_bounds(bound, make_model):
    with pytest.raises(ValueError, match=r"Expected `bound` to be a Bound. Received"):
        make_model(bound=bound)


def test_a_custom_bound_needs_reparameterisation_unless_declared_otherwise(make_model):
    class Own(kv.Bound):
        def __call__(self, x, q, prior, decode, seed):
            z = q.sample(self.num_samples, seed=seed)
            elbo = ops.mean(decode(z).log_prob(x) + prior.log_prob(z) - q.log_prob(z), axis=0)
            return {"elbo": elbo, "reconstruction": elbo, "kl": elbo}

    class OwnScoreFunction(Own):
        reparameterized = False

    parts = {"posterior": family(POSTERIORS["coins"]), "prior": prior(PRIORS["coins"])}
    with pytest.raises(ValueError, match=r"Own needs a reparameterisable posterior"):
        make_model(bound=Own(), **parts)
    make_model(bound=OwnScoreFunction(), **parts)
    make_model(kv.WakeSleep, bound=Own(), **parts)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_networks_are_keras_layers(name, make_model):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be a Keras model or layer"):
        make_model(**{name: lambda x: x})


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_networks_with_a_dict_of_inputs_are_refused(name, make_model):
    """Keras would take x for the input whose name is first in the alphabet."""
    x, label = (keras.Input((6,), name=name) for name in ("x", "label"))
    network = keras.Model({"x": x, "label": label}, keras.layers.Subtract()([x, label]))
    with pytest.raises(ValueError, match=f"inputs of `{name}` in a list.*a dict of 'x', 'label'"):
        make_model(**{name: network}, condition=kv.Condition(num_classes=6))


# Data outside the support of a user's likelihood


LIKELIHOODS = {
    "categorical": (
        lambda v: tfd.Independent(tfd.Categorical(logits=v[..., None] * 1.0 + ops.zeros(4)), 1),
        [7, -1],
    ),
    "poisson": (lambda v: tfd.Independent(tfd.Poisson(log_rate=v), 1), [-1, 0.5]),
    "beta": (lambda v: tfd.Independent(tfd.Beta(ops.exp(v), 1.0), 1), [-0.5, 1.5]),
    "gamma": (lambda v: tfd.Independent(tfd.Gamma(ops.exp(v), 1.0), 1), [-1.0]),
    "exponential": (lambda v: tfd.Independent(tfd.Exponential(ops.exp(v)), 1), [-1.0]),
}


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_values_outside_of_the_support_are_refused(name, make_model):
    make, values = LIKELIHOODS[name]
    model = make_model(likelihood=family(make, 6))
    model.compile()
    good = np.full((5, 6), 0.5 if name in ("beta", "gamma", "exponential") else 1.0, "float32")
    assert np.isfinite(model.fit(good, verbose=0).history["loss"]).all()
    for value in values:
        bad = good.copy()
        bad[2, 3] = value
        stream = ((batch,) for batch in (good, bad))
        for method, x in ((model.fit, bad), (model.evaluate, bad), (model.fit, stream)):
            with pytest.raises(ValueError, match=r"probability zero.*Received"):
                method(x, verbose=0)
    assert np.isfinite(model.elbo(good, seed=0)).all()


def test_terms_without_the_objective_are_refused(make_model):
    class OnlyItsOwn(kv.ELBO):
        terms = ("distance",)

    with pytest.raises(ValueError, match=r"OnlyItsOwn\.terms.*'elbo'.*\*kv\.Bound\.terms"):
        make_model(bound=OnlyItsOwn())
