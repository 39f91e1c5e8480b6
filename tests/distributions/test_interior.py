"""Samples stay inside the open support, where densities and gradients are finite."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb._backend import tfp
from keras_aevb.distributions.family import Family
from keras_aevb.tfp_classes.interior import INTERIORS

tfd = tfp.distributions
NUM_DRAWS = 20_000
SLOW_ON_JAX = [pytest.mark.slow] * (keras.backend.backend() == "jax")  # compiles for a minute
# Parameters with which TFP rounds more than one of a thousand draws onto an edge.
EXTREMES = {
    "Beta": {"concentration1": 0.3, "concentration0": 0.1},
    "Chi": {"df": 0.02},
    "Chi2": {"df": 0.02},
    "Dirichlet": {"concentration": [0.02, 0.1, 1.0]},
    "F": {"df1": 0.02, "df2": 0.02},
    "Gamma": {"concentration": 0.02, "rate": 1.0},
    "InverseGamma": {"concentration": 0.02, "scale": 1.0},
    "Kumaraswamy": {"concentration1": 0.3, "concentration0": 0.1},
    "LogLogistic": {"loc": 0.0, "scale": 30.0},
    "LogNormal": {"loc": 0.0, "scale": 40.0},
    "LogitNormal": {"loc": 5.0, "scale": 30.0},
    "RelaxedBernoulli": {"temperature": 0.1, "logits": 5.0},
    "RelaxedOneHotCategorical": {"temperature": 0.05, "logits": [5.0, 0.0, 0.0]},
    "Weibull": {"concentration": 0.02, "scale": 1.0},
}


def tensors(parameters):
    return {name: ops.convert_to_tensor(value, "float32") for name, value in parameters.items()}


def on_edge(draws):
    return (draws == 0) | (draws == 1) | ~np.isfinite(draws)


def test_extremes_of_every_family():
    assert EXTREMES.keys() == INTERIORS.keys()


@pytest.mark.parametrize("name", EXTREMES)
def test_draws_have_finite_densities_and_gradients(name):
    """At parameters that make TFP's own samples fail this test: 20 000 samples, seed 0."""
    cls = Family(name, (3,), {}).cls
    variables = {key: keras.Variable(value) for key, value in tensors(EXTREMES[name]).items()}

    def mean_log_density():
        q = cls(**{key: ops.convert_to_tensor(value) for key, value in variables.items()})
        draws = q.sample(NUM_DRAWS, seed=_backend.fixed_seed(0, 0))
        return ops.mean(q.log_prob(1 * draws))  # a new tensor, whose inverse TFP does not cache

    gradients = _backend.gradients(mean_log_density, list(variables.values()))
    assert all(np.isfinite(ops.convert_to_numpy(gradient)).all() for gradient in gradients)
    assert np.isfinite(float(mean_log_density()))
    q = cls(**tensors(EXTREMES[name]))
    draws, log_prob = q.experimental_sample_and_log_prob(NUM_DRAWS, seed=_backend.fixed_seed(0, 0))
    assert not on_edge(ops.convert_to_numpy(draws)).any()
    assert np.isfinite(ops.convert_to_numpy(log_prob)).all()


CDFS = {
    "Beta": ({"concentration1": 0.7, "concentration0": 2.0}, stats.beta(0.7, 2)),
    "Chi": ({"df": 0.7}, stats.chi(0.7)),
    "Chi2": ({"df": 3.0}, stats.chi2(3)),
    "F": ({"df1": 3.0, "df2": 1.5}, stats.f(3, 1.5)),
    "Gamma": ({"concentration": 0.3, "rate": 2.0}, stats.gamma(0.3, scale=0.5)),
    "Gamma, log rate": ({"concentration": 4.0, "log_rate": 0.0}, stats.gamma(4)),
    "InverseGamma": ({"concentration": 0.7, "scale": 2.0}, stats.invgamma(0.7, scale=2)),
    "Kumaraswamy": ({"concentration1": 0.7, "concentration0": 1.0}, stats.beta(0.7, 1)),
    "Kumaraswamy, b": ({"concentration1": 1.0, "concentration0": 0.4}, stats.beta(1, 0.4)),
    "LogLogistic": ({"loc": 0.0, "scale": 0.5}, stats.fisk(2)),
    "LogNormal": ({"loc": 0.0, "scale": 2.0}, stats.lognorm(2)),
    "Weibull": ({"concentration": 0.7, "scale": 2.0}, stats.weibull_min(0.7, scale=2)),
}


@pytest.mark.parametrize("name", CDFS)
def test_distributions_of_draws(name):
    """20 000 samples, seed 0: a Kolmogorov-Smirnov p < 10⁻⁴ has probability 10⁻⁴."""
    parameters, expected = CDFS[name]
    q = Family(name.split(",")[0], (), {}).cls(**tensors(parameters))
    draws = ops.convert_to_numpy(q.sample(NUM_DRAWS, seed=_backend.fixed_seed(0, 0)))
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-4


# (parameter, its value), the other parameters, d E[z] / d parameter.
MEAN_GRADIENTS = {
    "Beta": (("concentration1", 0.5), {"concentration0": 1.5}, 1.5 / 2.0**2),
    "Chi2": (("df", 0.5), {}, 1.0),
    "Dirichlet": (("concentration", [0.5, 0.5, 1.0]), {}, np.array([3, -1, -1]) / 8),
    "Gamma": (("concentration", 0.3), {"rate": 2.0}, 0.5),
    "InverseGamma": (("scale", 2.0), {"concentration": 4.0}, 1 / 3),
    "Kumaraswamy": (("concentration1", 0.5), {"concentration0": 1.0}, 1 / 1.5**2),
    "LogNormal": (("loc", 0.0), {"scale": 0.5}, np.exp(0.125)),
    "Weibull": (("scale", 2.0), {"concentration": 1.0}, 1.0),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW_ON_JAX) for name in MEAN_GRADIENTS])
def test_gradients_of_means(name):
    """20 batches of 2000 draws, within four standard errors; Dirichlet: the first element."""
    (parameter, value), others, expected = MEAN_GRADIENTS[name]
    variable = keras.Variable(np.float32(value))
    cls = Family(name, (3,), {}).cls

    def mean(batch):
        q = cls(**tensors(others), **{parameter: ops.convert_to_tensor(variable)})
        z = q.sample(2000, seed=_backend.fixed_seed(0, batch))
        return ops.mean(z[..., 0] if name == "Dirichlet" else z)

    batches = [_backend.gradients(lambda b=b: mean(b), [variable])[0] for b in range(20)]
    batches = np.stack([ops.convert_to_numpy(gradient) for gradient in batches])
    error = batches.std(axis=0, ddof=1) / 20**0.5
    assert (abs(batches.mean(axis=0) - expected) <= 4 * error + 1e-6).all()


BOUNDS = {
    "elbo": lambda: kv.ELBO(20, kl="sampled"),
    "importance-weighted": lambda: kv.ImportanceWeightedBound(20, "dreg"),
    "score": lambda: kv.ScoreFunctionELBO(20, "leave-one-out"),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW_ON_JAX) for name in BOUNDS])
def test_bounds_and_their_gradients_are_finite(name, make_model, x):
    """q and p are Beta(0.2, 0.2) at the start: of 20 · 3 · 13 draws TFP rounds some to an edge."""
    heads = {
        f"concentration{i}": keras.layers.Dense(
            3, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(-1.5)
        )
        for i in (0, 1)
    }
    model = make_model(
        kv.AEVB,
        posterior=kv.Conditional("Beta", 3, **heads),
        prior=kv.Unconditional("Beta", 3, concentration1=0.2, concentration0=0.2),
        bound=BOUNDS[name](),
    )
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(x, batch_size=len(x), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for variable in model.trainable_variables:
        assert np.isfinite(ops.convert_to_numpy(variable)).all(), variable.path
    assert np.isfinite(model.elbo(x, num_samples=1000, seed=0)).all()


def test_sampled_divergence_of_beta_densities():
    """E_q[log q(z) - log p(z)] of 10⁵ draws is TFP's closed form, within 4 standard errors."""
    cls = Family("Beta", (), {}).cls
    q = cls(**tensors({"concentration1": 0.7, "concentration0": 0.7}))
    p = cls(**tensors({"concentration1": 2.0, "concentration0": 0.7}))
    z = q.sample(100_000, seed=_backend.fixed_seed(0, 0))
    terms = ops.convert_to_numpy(q.log_prob(z) - p.log_prob(z))
    error = abs(terms.mean() - float(tfd.kl_divergence(q, p)))
    assert error < 4 * terms.std() / len(terms) ** 0.5
