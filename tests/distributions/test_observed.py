"""Missing values: the likelihood ignores them, and `impute` estimates them."""

import keras
import numpy as np
import pytest
from scipy import special

import keras_aevb as kv

ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM]


@pytest.fixture(scope="module")
def incomplete(x):
    missing = np.random.default_rng(1).random(x.shape) < 0.3
    missing[:, 0] = False
    return np.where(missing, np.nan, x).astype("float32")


def make(make_model, algorithm=kv.AEVB, base=None, fill=0.0):
    parts = {"likelihood": kv.Observed(base or kv.Bernoulli(6), fill)}
    if algorithm is kv.MonteCarloEM:
        keras.utils.set_random_seed(1)
        decoder = keras.Sequential([keras.layers.Dense(4, "tanh")])
        return kv.MonteCarloEM(decoder, prior=kv.StandardNormal(2), seed=0, **parts)
    return make_model(algorithm, **parts)


def test_the_density_is_that_of_observed_values(make_model, incomplete):
    model = make(make_model)
    z = np.random.default_rng(0).normal(size=(13, 2)).astype("float32")
    p = model.decode(z)
    logits = np.asarray(p.distribution.logits, "float64")
    log_probs = incomplete * special.log_expit(logits) + (1 - incomplete) * special.log_expit(
        -logits
    )
    np.testing.assert_allclose(p.log_prob(incomplete), np.nansum(log_probs, 1), rtol=1e-5)
    complete = np.nan_to_num(incomplete)
    plain = make_model()
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.elbo(complete, seed=0), plain.elbo(complete, seed=0))


def test_elements_that_are_mixtures(make_model):
    """The density of x without some values is that of a likelihood without them."""
    x = np.random.default_rng(0).integers(0, 10, (13, 6)).astype("float32")
    base = kv.DiscretizedLogisticMixture(6, 2, 0, 9)
    model = make(make_model, base=base)
    z = np.zeros((13, 2), "float32")
    elements = np.asarray(model.decode(z).distribution.log_prob(x))
    missing = np.arange(6) >= 4
    actual = model.decode(z).log_prob(np.where(missing, np.nan, x).astype("float32"))
    np.testing.assert_allclose(actual, elements[:, :4].sum(1), rtol=1e-5)
    assert np.isfinite(model.elbo(np.where(missing, np.nan, x))).all()
    assert model.impute(np.where(missing, np.nan, x)).shape == x.shape


def test_the_encoder_gets_the_fill(make_model, incomplete):
    model = make(make_model, fill=0.5)
    expected = model.encoder(np.where(np.isnan(incomplete), np.float32(0.5), incomplete))
    loc, _ = model.posterior(expected)
    np.testing.assert_array_equal(model.encode(incomplete).mean(), loc)


def test_gradients_are_finite(make_model, incomplete, gradients):
    """The likelihood's density is not finite at NaN, or at 0."""
    model = make(make_model, base=kv.Conditional("Gamma", 6), fill=1.0)
    gradient = gradients(
        lambda: keras.ops.sum(model.objective(incomplete, training=True)[0]),
        model.trainable_variables,
    )
    assert all(np.isfinite(g).all() for g in gradient)
    assert any(np.abs(g).max() > 0 for g in gradient)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains(algorithm, make_model, incomplete):
    model = make(make_model, algorithm)
    model.compile(keras.optimizers.Adagrad(0.05), jit_compile=keras.backend.backend() == "jax")
    losses = model.fit(incomplete, batch_size=13, epochs=10, verbose=0).history
    (first, *_, last) = losses[model.maximize[0] if model.maximize else "loss"]
    assert np.isfinite([first, last]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    if algorithm is kv.AEVB:
        assert last > first


def test_imputation(make_model, incomplete, tmp_path):
    model = make(make_model)
    model.compile()
    filled = model.impute(incomplete)
    observed = ~np.isnan(incomplete)
    np.testing.assert_array_equal(filled[observed], incomplete[observed])
    reconstructed = np.asarray(model.decode(model.encode(incomplete).mean()).mean())
    np.testing.assert_allclose(filled[~observed], reconstructed[~observed], rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.impute(incomplete), filled)


def test_log_likelihood_of_observed_values(make_model, incomplete):
    """Importance sampling and annealed importance sampling agree."""
    model = make(make_model)
    results = {
        method: model.log_likelihood(
            incomplete, num_samples, method=method, seed=0, return_standard_error=True
        )
        for method, num_samples in (("importance", 500), ("annealed", 50))
    }
    (actual, error), (desired, other) = results.values()
    # Two estimates; 13 examples at 4 standard errors fail with a probability of about 1 in 1000.
    assert (np.abs(actual - desired) < 4 * np.hypot(error, other) + 1e-3).all()


def test_refusals(make_model, incomplete):
    model = make(make_model)
    nothing = np.full_like(incomplete, np.nan)
    with pytest.raises(ValueError, match=r"observed value in every example.*13 of 13"):
        model.elbo(nothing)
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\]"):
        model.elbo(incomplete + 2)
    with pytest.raises(ValueError, match="finite data"):
        model.elbo(np.where(np.isnan(incomplete), np.inf, incomplete))
    with pytest.raises(ValueError, match="independent elements"):
        make(make_model, base=kv.Conditional("Dirichlet", 6), fill=1 / 6)
    with pytest.raises(ValueError, match="`fill`"):
        kv.Observed(kv.Bernoulli(6), fill=np.nan)
    with pytest.raises(ValueError, match="NaN"):  # without `Observed`
        make_model().elbo(incomplete)


def test_methods_that_sample_nothing_do_not_advance_the_seed(make_model, x):
    model = make_model(likelihood=kv.Observed(kv.Bernoulli(6)))
    before = np.asarray(model.seed_generator.state)
    model.impute(x)
    model.posterior_parameters(x)
    model.encode(x, batch_size=4)
    kv.evaluation.posterior_mean_variances(model, x)
    np.testing.assert_array_equal(model.seed_generator.state, before)
    model.elbo(x)
    assert not np.array_equal(model.seed_generator.state, before)
