"""`model.log_likelihood`: methods by name or object, batches, seeds, programs, errors."""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb import marginal_likelihood
from keras_aevb.marginal_likelihood import Estimator, log_mean_exp

QUICK = {
    "importance": kv.ImportanceSampling(8),
    "annealed": kv.AnnealedImportanceSampling(2, 5, 2),
    "density": kv.PosteriorDensity(4, 2, 3, 2),
}
all_methods = pytest.mark.parametrize("method", QUICK.values(), ids=QUICK)


@pytest.fixture(scope="module")
def model(make_model):
    """One model with `batch_size=5` in most tests, so that they share each method's program."""
    return make_model()


class Generative(kv.LatentVariableModel):
    """A model without a recognition model."""

    def __init__(self, encoder, decoder, posterior, likelihood, seed):
        super().__init__(decoder, likelihood, kv.StandardNormal(2), (), seed)


@pytest.mark.slow
def test_all_methods_agree(linear_gaussian):
    """Three estimators of the same number."""
    lg = linear_gaussian(100)
    values = [lg.model.log_likelihood(lg.x, 50, name, seed=0) for name in QUICK]
    # Single errors have a spread of 0.15 nats, and skewed tails
    np.testing.assert_allclose(values, [lg.log_likelihood] * 3, atol=1.0)
    for value in values:
        assert abs((value - lg.log_likelihood).mean()) < 0.1


@all_methods
def test_names_select_classes(method):
    [name] = [name for name, quick in QUICK.items() if quick is method]
    assert type(marginal_likelihood.get(name)) is type(method)
    assert marginal_likelihood.get(name).num_samples > 1
    assert marginal_likelihood.get(name, 17).num_samples == 17
    changed = marginal_likelihood.get(method, 17)
    assert changed.get_config() == {**method.get_config(), "num_samples": 17}
    assert marginal_likelihood.get(method) is method


@all_methods
def test_survives_serialization(method):
    config = keras.saving.serialize_keras_object(method)
    assert config["registered_name"].startswith("keras_aevb>")
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is type(method) and loaded.get_config() == method.get_config()


@all_methods
def test_arrays_out(method, model, x):
    values = model.log_likelihood(x, method=method, batch_size=5)
    pair = model.log_likelihood(x, method=method, batch_size=5, return_standard_error=True)
    for array in (values, *pair):
        assert isinstance(array, np.ndarray) and array.shape == (13,)
        assert array.dtype == np.float32 and np.isfinite(array).all()
    assert (pair[1] > 0).all()


@all_methods
def test_an_integer_fixes_the_noise(method, model, x):
    runs = [
        model.log_likelihood(x, method=method, batch_size=5, seed=s) for s in (3, 3, 4, None, None)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert len({run.tobytes() for run in runs}) == 4


@all_methods
def test_the_last_batch_is_filled_up(method, model, x):
    """Padding does not affect the other examples, and every batch has its own noise."""
    whole = model.log_likelihood(x, method=method, batch_size=5, seed=0)
    part = model.log_likelihood(x[:11], method=method, batch_size=5, seed=0)
    np.testing.assert_array_equal(whole[:11], part)
    same = np.repeat(x[:1], 10, axis=0)
    assert len(set(model.log_likelihood(same, method=method, batch_size=5, seed=0))) == 10


def test_the_batch_size_does_not_matter_without_noise(linear_gaussian):
    lg = linear_gaussian(100)
    whole, parts = (lg.model.log_likelihood(lg.x, 5, batch_size=n) for n in (100, 30))
    np.testing.assert_allclose(whole, parts, atol=2e-5)  # about 10 nats in float32


COMPILE_OPTIONS = [(name, {"jit_compile": jit}) for name in QUICK for jit in (True, False)]
COMPILE_OPTIONS += [("importance", {"run_eagerly": True})]


@pytest.mark.parametrize("name, options", COMPILE_OPTIONS)
def test_compiled_with_the_users_settings(name, options, linear_gaussian):
    """On TensorFlow, XLA gives other random numbers; log p(x) is the same."""
    lg = linear_gaussian(100)
    method = {"annealed": kv.AnnealedImportanceSampling(10, 100)}.get(name, name)
    lg.model.compile(**options)
    values = lg.model.log_likelihood(lg.x, method=method, seed=0)
    lg.model.compile()
    # A mean absolute error of half a nat, and a bias of a tenth; importance sampling is exact
    assert abs(values - lg.log_likelihood).mean() < (2e-5 if name == "importance" else 0.5)
    assert abs((values - lg.log_likelihood).mean()) < 0.1


@all_methods
def test_batches_of_any_size(method, model, x):
    """On TensorFlow, the trace for a second batch size leaves the batch dimension unknown."""
    for batch_size in (5, 4):
        values = model.log_likelihood(x, method=method, batch_size=batch_size)
        assert values.shape == (13,) and np.isfinite(values).all()


def test_one_program_for_each_estimator(make_model, x):
    model = make_model()
    for num_samples, programs in ((8, 1), (8, 1), (9, 2)):
        model.log_likelihood(x, num_samples)
        assert len(model._programs.programs) == programs
    model.log_likelihood(x, method=kv.ImportanceSampling(9))
    assert len(model._programs.programs) == 2
    model.log_likelihood(x, method=kv.AnnealedImportanceSampling(9, 1))
    assert len(model._programs.programs) == 3


@all_methods
def test_follows_the_weights(method, model, x):
    """A compiled program reads the model's current weights."""
    weights = model.get_weights()
    before = model.log_likelihood(x, method=method, batch_size=5, seed=0)
    model.likelihood.set_weights([w + 1 for w in model.likelihood.get_weights()])
    assert (model.log_likelihood(x, method=method, batch_size=5, seed=0) != before).all()
    model.set_weights(weights)
    again = model.log_likelihood(x, method=method, batch_size=5, seed=0)
    np.testing.assert_array_equal(again, before)


def test_without_a_recognition_model(make_model, x):
    model = make_model(Generative)
    with pytest.raises(ValueError, match=r"recognition model.*'annealed' and 'density'.*None"):
        model.log_likelihood(x)
    with pytest.raises(ValueError, match="recognition model"):
        kv.ImportanceSampling()(x, None, None, model.decode, None)


@pytest.mark.parametrize("name", ["annealed", "density"])
def test_only_importance_sampling_uses_the_recognition_model(name, model, make_model, x):
    """The same weights and seed, with and without an encoder."""
    bare = make_model(Generative)
    bare.decoder.set_weights(model.decoder.get_weights())
    bare.likelihood.set_weights(model.likelihood.get_weights())
    values = [m.log_likelihood(x, method=QUICK[name], batch_size=5, seed=0) for m in (model, bare)]
    np.testing.assert_allclose(*values, rtol=1e-5)  # float32


@pytest.mark.parametrize("method", ["exact", None, 3, kv.ELBO(), kv.ImportanceSampling])
def test_unknown_methods(method, model, x):
    with pytest.raises(ValueError, match=r"'annealed', 'density', 'importance'.*Received"):
        model.log_likelihood(x, method=method)


@pytest.mark.parametrize("value", [0, -1, 1.5, "10", None])
@all_methods
def test_settings_are_positive_integers(method, value):
    for name in method.get_config():
        with pytest.raises(ValueError, match=f"`{name}` to be a positive.*{value}"):
            type(method)(**{**method.get_config(), name: value})


def test_bad_data(model, x):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        model.log_likelihood(x + 1)
    with pytest.raises(ValueError, match="`num_samples`"):
        model.log_likelihood(x, num_samples=0)


class Shifted(Estimator):
    """An estimator whose `get_config` omits `shift`."""

    def __init__(self, num_samples, shift=0.0):
        super().__init__(num_samples)
        self.shift = shift

    def __call__(self, x, q, prior, decode, seed):
        z = prior.sample((self.num_samples, x.shape[0]), seed=seed)
        log_p, error = log_mean_exp(decode(z).log_prob(x))
        return {"log_likelihood": log_p + self.shift, "standard_error": error}


def test_a_setting_that_programs_would_not_see_is_refused(make_model, x):
    """Programs and `num_samples=` use the settings of `get_config`."""
    model = make_model()
    model.log_likelihood(x, method=Shifted(3), seed=0)
    for num_samples in (None, 3):
        with pytest.raises(ValueError, match=r"Shifted.get_config.*without \['shift'\]"):
            model.log_likelihood(x, num_samples, method=Shifted(3, 100.0), seed=0)
