"""A user's own family of distributions, from which TFP makes no composite tensor."""

import numpy as np

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions


class Own(tfd.Distribution):
    """N(loc, 1), of a class that TFP cannot make a composite tensor."""

    def __init__(self, loc, name="Own"):
        self.loc = loc
        kind = tfd.FULLY_REPARAMETERIZED
        super().__init__(loc.dtype, kind, False, True, {"loc": loc}, name=name)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"loc": tfp.util.ParameterProperties()}

    def _event_shape(self):
        return ()

    def _log_prob(self, z):
        return tfd.Normal(self.loc, 1.0).log_prob(z)

    def _sample_n(self, n, seed=None):
        return tfd.Normal(self.loc, 1.0).sample(n, seed=seed)


class OwnPart(kv.ConditionalDistribution):
    def __init__(self, event_shape):
        super().__init__(event_shape, {"loc": None})

    def distribution(self, loc):
        return tfd.Independent(Own(loc), 1)


def test_dimensions_of_a_users_own_family(make_model, x):
    """Free bits, missing values and parameters are those of the normal distribution."""
    own, normal = (
        make_model(
            posterior=posterior,
            likelihood=kv.Observed(likelihood),
            bound=kv.ELBO(free_bits=0.1, kl="sampled"),
        )
        for posterior, likelihood in (
            (OwnPart(2), OwnPart(6)),
            (kv.Conditional("Normal", 2, scale=1.0), kv.Conditional("Normal", 6, scale=1.0)),
        )
    )
    own.set_weights(normal.get_weights())
    incomplete = np.where(np.arange(6) == 2, np.nan, x).astype("float32")
    for values in (x, incomplete):
        np.testing.assert_allclose(own.elbo(values, seed=0), normal.elbo(values, seed=0), 1e-5)
        (actual, _), (desired, _) = (m.objective(values, training=True) for m in (own, normal))
        np.testing.assert_allclose(actual, desired, 1e-5)
        actual, desired = (kv.evaluation.kl_by_dimension(m, values, seed=0) for m in (own, normal))
        assert actual.shape == desired.shape == (len(x), 2)
    parameters = own.posterior_parameters(x)
    np.testing.assert_allclose(parameters["loc"], normal.posterior_parameters(x)["loc"], 1e-5)
