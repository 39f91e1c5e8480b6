"""Models in float64, in a separate process, since JAX must enable it before its first array."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import math
import keras, numpy as np
from scipy import special, stats

import keras_aevb as kv
[getattr(kv, name) for name in kv.__all__]  # importing everything must not fix the float type
TO_FLOATX
from keras import ops
from keras_aevb._backend import tfd
from keras_aevb.marginal_likelihood import log_mean_exp
from keras_aevb.marginal_likelihood.log_mean import RunningMean
from keras_aevb.scikit_learn import EncodingTransformer
from keras_aevb.training import inputs, sources

if keras.backend.backend() == "jax":  # traces only: compiling each operation takes seconds
    import jax
    types_of = lambda f, x: jax.eval_shape(lambda x: [*f(x)], x)
else:
    types_of = lambda f, x: f(x)
rng = np.random.default_rng(0)
exact = {"rtol": 1e-13, "atol": 1e-13}

# Data, in every way into a model: float32 has 1000.00001 and 1000.00002 as one number.
x = 1000 + 1e-3 * rng.normal(size=(20, 3))
zero = keras.initializers.Zeros()
layer = lambda n, bias=0.0: keras.layers.Dense(
    n, kernel_initializer=zero, bias_initializer=keras.initializers.Constant(bias)
)
likelihood = kv.Normal(3, mean=layer(3, 1000.0), scale=1e-3)
posterior = kv.DiagonalNormal(2, mean=layer(2), log_variance=layer(2))
networks = [keras.Sequential([keras.layers.Identity()]) for _ in range(2)]
model = kv.AEVB(*networks, posterior, likelihood, seed=0)
model.compile(keras.optimizers.SGD(0.0))
log_p = stats.norm(1000, 1e-3).logpdf(x).sum(1)  # q = p(z), and x does not depend on z
weights = rng.random(20)
batches = [(x[:12], None, weights[:12]), (x[12:], None, weights[12:])]
mean = np.average(log_p, weights=weights)
tolerance = {"rtol": 1e-9}  # float64's rounding of 1e-16, times 1000 / 1e-3 in (x - mean) / scale
for value in (
    model.elbo(x), model.elbo(iter([(x,)])), model.elbo(x, batch_size=7),
    model.log_likelihood(x, 7), model.log_likelihood(x, method="annealed", num_samples=2),
    kv.evaluation.elbo_terms(model, x)["reconstruction"],
):
    np.testing.assert_allclose(value, log_p, **tolerance)
loss = -np.mean(weights * log_p)
logs = {
    "fit": model.fit(x, sample_weight=weights, batch_size=12, verbose=0).history,
    "stream": model.fit(iter(batches), verbose=0).history,
    "evaluate": model.evaluate(x, sample_weight=weights, batch_size=7, verbose=0, return_dict=True),
    "train": model.train_on_batch(x, None, weights, return_dict=True),
    "test": model.test_on_batch(x, None, weights, return_dict=True),
}
for name, log in logs.items():
    np.testing.assert_allclose(log["elbo"], mean, **tolerance, err_msg=name)
    np.testing.assert_allclose(log["loss"], loss, rtol=LOSS, err_msg=name)

np.testing.assert_array_equal(sources.checked(model, x, None, weights)[2], weights)
np.testing.assert_array_equal(inputs.class_weights([0, 1], {0: 0.1, 1: 0.7}, None), [0.1, 0.7])
covariate = kv.Condition().checked(x[:, 0], len(x))
np.testing.assert_array_equal(covariate, x[:, 0])
named = kv.Conditions({"a": kv.Condition(), "b": kv.Condition()})
np.testing.assert_array_equal(named.packed({"a": x[:, 0], "b": x[:, 1]}), x[:, :2])
build = lambda num_features, seed: model
transformer = EncodingTransformer(build, epochs=1, random_state=0).fit(x)
np.testing.assert_allclose(transformer.score(x), np.mean(log_p), **tolerance)

# Fixed parameters and settings that no binary number equals.
p = kv.Unconditional("Normal", 1, loc=0.1, scale=0.3).distribution()
np.testing.assert_allclose(p.log_prob([1.7]), stats.norm(0.1, 0.3).logpdf(1.7), **exact)
counts = [0.0, 9.0, 11.0, 99.0, 101.0, 1e6]
poisson = kv.Unconditional("Poisson", 1, log_rate=math.log(12.3)).distribution()
log_p = [poisson.log_prob([n]) for n in counts]
np.testing.assert_allclose(log_p, stats.poisson(12.3).logpmf(counts), rtol=1e-12, atol=1e-12)

# Families with fixed and trained parameters.
def check_types(family, prior):
    family.build((4, 3))

    def draws(features):
        for p in (family.distribution(*family(features)), prior.distribution()):
            z = p.sample(seed=model.next_seed(0))
            yield from (z, p.log_prob(z))

    values = types_of(draws, ops.convert_to_tensor(rng.normal(size=(4, 3))))
    assert {keras.backend.standardize_dtype(v.dtype) for v in values} == {"float64"}, family

for name, fixed in (
    ("Pareto", {"scale": 0.1}),
    ("StudentT", {"df": 4.0}),
    ("Triangular", {"low": 0.1, "high": 0.7}),
    ("MultivariateStudentT", {"df": 4.0}),
    ("RelaxedBernoulli", {"temperature": 0.3}),
):
    check_types(kv.Conditional(name, 2, **fixed), kv.Unconditional(name, 2, **fixed))
t = kv.Unconditional("StudentT", 1, df=4.1).distribution()
(loc, scale), z = (np.asarray(t.distribution.loc), np.asarray(t.distribution.scale)), [1.7]
np.testing.assert_allclose(t.log_prob(z), stats.t(4.1, loc, scale).logpdf(z).sum(), **exact)

# Bounds, against NumPy with the bound's own samples.
small = kv.AEVB(
    keras.Sequential([keras.layers.Dense(4)]), keras.Sequential([keras.layers.Dense(4)]),
    kv.DiagonalNormal(2), kv.Observed(kv.Normal(6), fill=0.1), seed=0,
)
x = rng.normal(size=(5, 6))
x[0, 0] = np.nan
q, prior = small.encode(x), small.prior_distribution()
seed = small.next_seed(3)
z = q.sample(7, seed=seed)
log_x = np.asarray(small.decode(z).log_prob(x))
ratio = np.asarray(q.log_prob(z)) - stats.norm.logpdf(np.asarray(z)).sum(-1)
terms = lambda bound: bound(x, q, prior, small.decode, seed)
sampled = terms(kv.ELBO(7, kl="sampled", beta=0.3))
np.testing.assert_allclose(sampled["elbo"], (log_x - ratio).mean(0), **exact)
np.testing.assert_allclose(sampled["objective"], (log_x - 0.3 * ratio).mean(0), **exact)
k_samples = terms(kv.ImportanceWeightedBound(7))
np.testing.assert_allclose(
    k_samples["iw_elbo"], special.logsumexp(log_x - ratio, axis=0) - math.log(7), **exact
)
np.testing.assert_allclose(k_samples["elbo"], (log_x - ratio).mean(0), **exact)
np.testing.assert_allclose(terms(kv.ScoreFunctionELBO(7))["elbo"], (log_x - ratio).mean(0), **exact)

m, s = np.asarray(q.mean()), np.asarray(q.stddev())
kl = 0.5 * (m**2 + s**2 - 1) - np.log(s)
np.testing.assert_allclose(kv.evaluation.elbo_terms(small, x)["kl"], kl.sum(1), **exact)
x = np.nan_to_num(x)
trained = kv.AEVB(
    keras.Sequential([keras.layers.Dense(4, "tanh")]),
    keras.Sequential([keras.layers.Dense(4, "tanh")]),
    kv.FlowPosterior(kv.DiagonalNormal(2), [kv.Autoregressive(4), kv.Coupling(4)]),
    kv.Normal(6), bound=kv.ELBO(kl="sampled"), seed=0,
)
trained.compile("adam", run_eagerly=keras.backend.backend() == "tensorflow")
trained.fit(x, batch_size=5, verbose=0, validation_data=(x, None))
for value in (
    trained.elbo(x), trained.reconstruct(x), trained.sample(2), trained.log_likelihood(x, 2),
    *trained.posterior_parameters(x).values(),
):
    assert value.dtype == "float64" and np.isfinite(value).all()

# The mean of weights, in one and in several parts.
log_weights = rng.normal(size=(9, 4))
log_mean, error = log_mean_exp(ops.convert_to_tensor(log_weights))
running = RunningMean.empty(4, "float64")
for part in np.split(log_weights, 3):
    running = running.updated(ops.convert_to_tensor(part), ops.ones(3, "bool"))
expected = special.logsumexp(log_weights, axis=0) - math.log(9)
w = np.exp(log_weights)
np.testing.assert_allclose(log_mean, expected, **exact)
np.testing.assert_allclose(running.log_mean, expected, **exact)
np.testing.assert_allclose(running.standard_error, w.std(0, ddof=1) / w.mean(0) / 3, **exact)
"""


# With the policy alone, Keras' own mean of the loss is in float32.
@pytest.mark.parametrize(
    "setting, loss",
    [
        pytest.param('keras.config.set_floatx("float64")', "1e-9", id="floatx"),
        pytest.param('keras.config.set_dtype_policy("float64")', "1e-6", id="policy"),
    ],
)
def test_no_number_is_rounded_to_float32(setting, loss):
    program = PROGRAM.replace("TO_FLOATX", setting).replace("LOSS", loss)
    outcome = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "JAX_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr[-3000:]
