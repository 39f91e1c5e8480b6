"""The scikit-learn transformer."""

import pickle

import keras
import numpy as np
import pytest

import keras_aevb as kv

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from keras_aevb.scikit_learn import EncodingTransformer, build_mlp  # noqa: E402

X = np.random.default_rng(0).random((40, 8))
Y = (X[:, 0] > 0.5).astype(int)


def small(**settings):
    return EncodingTransformer(
        **{
            "build_arguments": {"hidden_units": 5},
            "epochs": 1,
            "batch_size": 20,
            "random_state": 0,
            **settings,
        }
    )


@pytest.fixture(scope="module")
def fitted():
    return small().fit(X)


def test_means(fitted):
    q = fitted.model_.encode(X.astype("float32"))
    np.testing.assert_allclose(fitted.transform(X), q.mean(), rtol=1e-5)
    assert fitted.get_feature_names_out().tolist() == ["mean_0", "mean_1"]
    pixels = fitted.model_.predict(X.astype("float32"), verbose=0)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), pixels, rtol=1e-5)
    expected = fitted.model_.elbo(X, seed=0).mean()
    np.testing.assert_allclose(fitted.score(X), expected, rtol=1e-6)


def build_model(num_features, seed, **changes):
    keras.utils.set_random_seed(seed)
    defaults = {
        "encoder": keras.Sequential([keras.layers.Dense(4)]),
        "decoder": keras.Sequential([keras.layers.Dense(4)]),
        "posterior": kv.DiagonalNormal(2),
        "likelihood": kv.Normal(num_features),
    }
    model = kv.AEVB(**{**defaults, **changes}, seed=seed)
    model.compile("adam")
    return model


@pytest.mark.parametrize("family", ["Categorical", "Cauchy"])
def test_likelihoods_without_a_mean(family):
    """`inverse_transform` uses the modes, as `reconstruct` does."""
    classes = {"num_classes": 3} if family == "Categorical" else {}
    x = np.arange(20 * 3).reshape(20, 3) % 3
    likelihood = kv.Conditional(family, 3, **classes)
    fitted = small(build=build_model, build_arguments={"likelihood": likelihood}).fit(x)
    assert fitted.model_.point_estimates["likelihood"] == "mode"
    again = fitted.inverse_transform(fitted.transform(x))
    np.testing.assert_allclose(again, fitted.model_.reconstruct(x), rtol=1e-5)


def test_other_posteriors_and_columns_are_not_decoded(fitted):
    """A posterior's first columns are its means only if it has them."""
    logit_normal = {
        "posterior": kv.Conditional("LogitNormal", 2),
        "prior": kv.Unconditional("LogitNormal", 2),
    }
    own = small(build=build_model, build_arguments=logit_normal, output="parameters").fit(X)
    with pytest.raises(ValueError, match="a posterior with a mean in the support of p"):
        own.inverse_transform(own.transform(X))
    for encoded in (np.zeros((3, 1)), np.zeros((3, 7))):
        with pytest.raises(ValueError, match="Expected the 2 columns mean_0, mean_1"):
            fitted.inverse_transform(encoded)
    for encoded in (np.zeros(2), np.full((3, 2), np.nan)):
        with pytest.raises(ValueError, match=r"Expected 2D array|contains NaN"):
            fitted.inverse_transform(encoded)


def test_a_posterior_without_a_mean():
    changes = {
        "posterior": kv.Conditional("Cauchy", 2),
        "prior": kv.Unconditional("Cauchy", 2),
        "bound": kv.ELBO(kl="sampled"),
    }
    fitted = small(build=build_model, build_arguments=changes).fit(X)
    with pytest.raises(ValueError, match="a posterior with a mean, or `output='parameters'`"):
        fitted.transform(X)
    assert np.isfinite(fitted.set_params(output="parameters").transform(X)).all()


def test_parameters(fitted):
    transformer = clone(fitted).set_params(output="parameters")
    transformer.fit(X)
    names = ["mean", "standard_deviation", "log_variance"]
    expected = [f"{name}_{i}" for name in names for i in range(2)]
    assert transformer.get_feature_names_out().tolist() == expected
    encoded = transformer.transform(X)
    np.testing.assert_array_equal(encoded[:, :2], fitted.transform(X))  # the same seed
    q = transformer.model_.encode(X.astype("float32"))
    np.testing.assert_allclose(encoded[:, 2:4], q.stddev(), rtol=1e-5)
    np.testing.assert_allclose(
        transformer.inverse_transform(encoded), fitted.inverse_transform(encoded[:, :2]), rtol=1e-5
    )


def test_images(fitted):
    """A user's function builds the model; rows are reshaped to its events."""

    def build(x_dim, seed):
        model = kv.AEVB(
            encoder=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)]),
            decoder=keras.Sequential([keras.layers.Dense(4)]),
            posterior=kv.DiagonalNormal(3),
            likelihood=kv.Bernoulli((2, x_dim // 2, 1)),
            seed=seed,
        )
        model.compile()
        return model

    transformer = small(build=build, build_arguments=None).fit(X)
    assert transformer.transform(X).shape == (40, 3)
    assert transformer.inverse_transform(transformer.transform(X)).shape == X.shape


@pytest.mark.slow
def test_a_pipeline_in_a_grid_search():
    pipeline = make_pipeline(small(), LogisticRegression())
    name = "encodingtransformer__build_arguments"
    grid = {name: [{"latent_dim": n, "hidden_units": 5} for n in (1, 3)]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y)
    best = search.best_estimator_[0]
    assert best.transform(X).shape == (40, search.best_params_[name]["latent_dim"])
    alone = GridSearchCV(small(), {"epochs": [1, 2]}, cv=2, error_score="raise").fit(X)
    assert np.isfinite(alone.cv_results_["mean_test_score"]).all()  # the mean bound


def test_pickles_and_data_frames(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.transform(X), fitted.transform(X))
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(8)])
    transformer = small().set_output(transform="pandas").fit(frame)
    encoded = transformer.transform(frame)
    assert encoded.columns.tolist() == ["mean_0", "mean_1"]
    np.testing.assert_array_equal(encoded, fitted.transform(X))


def test_feature_names_if_zero_is_outside_the_support():
    """0 is not in the support of the Gamma distribution."""
    gamma = small(build=build_model, build_arguments={"likelihood": kv.Conditional("Gamma", 8)})
    assert gamma.fit(X + 0.1).get_feature_names_out().tolist() == ["mean_0", "mean_1"]


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"`output`.*'sample'"):
        small(output="sample").fit(X)
    with pytest.raises(ValueError, match=r"`output`.*'means'"):
        small().fit(X).set_params(output="means").transform(X)
    with pytest.raises(ValueError, match=r"`build\(…\)`.*VariationalModel.*Sequential"):
        small(build=lambda x_dim, seed: keras.Sequential(), build_arguments=None).fit(X)
    with pytest.raises(ValueError, match=r"`likelihood`.*'poisson'"):
        build_mlp(8, likelihood="poisson")
    with pytest.raises(sklearn.exceptions.NotFittedError):
        small().transform(X)


def with_missing_values(num_features, seed):
    keras.utils.set_random_seed(seed)
    parts = kv.networks.bernoulli_mlp(num_features, latent_dim=2, hidden_units=5, seed=seed)
    model = kv.AEVB(**{**parts, "likelihood": kv.Observed(parts["likelihood"])}, seed=seed)
    model.compile()
    return model


def test_missing_values(fitted):
    """NaN reaches a model that takes it; the others name it in their error."""
    x = X.copy()
    x[::2, 0] = np.nan
    transformer = small(build=with_missing_values, build_arguments=None).fit(x)
    assert np.isfinite(transformer.transform(x)).all()
    expected = transformer.model_.elbo(x, seed=0).mean()
    np.testing.assert_allclose(transformer.score(x), expected, rtol=1e-6)
    for call in (small().fit, fitted.transform):
        with pytest.raises(ValueError, match="20 NaN"):
            call(x)


# This check compares float32 to 1e-7, below its resolution; `test_order_of_the_examples` is ours.
EXPECTED_FAILURES = {
    "check_methods_sample_order_invariance": "a matrix product may round each row differently"
}


@parametrize_with_checks(
    [small(build_arguments={"hidden_units": 5, "likelihood": "normal"})],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learns_estimator_checks(estimator, check):
    check(estimator)


def test_order_of_the_examples(fitted):
    """An example's encoding does not depend on its place, up to a few roundings of float32."""
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_allclose(
        fitted.transform(X[order]), fitted.transform(X)[order], rtol=1e-6, atol=1e-7
    )
