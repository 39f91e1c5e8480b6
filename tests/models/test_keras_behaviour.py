"""Keras behaviour of AEVB that `test_contract.py` does not test for every algorithm."""

import keras
import numpy as np
import pytest
from contract import CASES, case_name
from streams import Batches

import keras_aevb as kv


def test_samples_of_z_and_x_have_independent_noise(make_model):
    """z ~ N(0, I), x ~ N(z, I): the variance of x is 2, not the 4 of noise used twice."""
    model = make_model(
        decoder=keras.Sequential([keras.layers.Identity()]),
        posterior=kv.DiagonalNormal(6),
        likelihood=kv.Normal(
            6, mean=keras.layers.Dense(6, kernel_initializer="identity"), scale=1.0
        ),
    )
    for seed in (0, 1, 12345, None):
        x = model.sample(3000, seed=seed)
        assert x.shape == (3000, 6)
        # Five standard errors of 2 · √(2/18000): odds 6e-7 each.
        np.testing.assert_allclose(np.float64(x).var(), 2, atol=5 * 2 * (2 / 18_000) ** 0.5)


# Inputs


def as_tf_dataset(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x,)).batch(5)


def test_binary_images_of_any_type(make_model, x):
    x = (x > 0.5).astype("float32")
    model = make_model()
    model.compile(keras.optimizers.SGD(0.1))
    for dtype in ("uint8", "bool"):
        for method in (model.predict, lambda x, **_: model.elbo(x, seed=0)):
            np.testing.assert_array_equal(method(x.astype(dtype), verbose=0), method(x, verbose=0))
        assert np.isfinite(model.fit(x.astype(dtype), verbose=0).history["loss"][0])


# Outputs


@pytest.mark.parametrize("case", CASES[:2], ids=case_name)
def test_weight_prior_is_in_the_loss(case, x):
    n = 50
    parts = kv.networks.bernoulli_mlp(6, 2, 5, n_train=n, stddev=1.0, seed=0)
    model = case.algorithm(**parts, seed=0)
    case.compile(model)
    kernels = [v.numpy() for v in model.trainable_variables if len(v.shape) == 2]
    penalty = 0.5 / n * sum(np.sum(np.float64(k) ** 2) for k in kernels)
    assert penalty > 0.1
    for method in (model.test_on_batch, model.train_on_batch):
        logs = method(x, return_dict=True)
        # float32: a difference of numbers near 10
        np.testing.assert_allclose(logs["loss"] - case.loss(logs), penalty, rtol=1e-4)


def test_batch_normalisation_follows_the_training_data(make_model, x):
    layer = keras.layers.BatchNormalization(momentum=0.75)
    model = make_model(encoder=keras.Sequential([layer, keras.layers.Dense(5)]))
    model.compile(keras.optimizers.SGD(0.0))
    model.evaluate(x, batch_size=13, verbose=0)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), 0)
    model.fit(x, batch_size=13, verbose=0)
    # float32 sums in another order
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.25 * x.mean(0), rtol=1e-5)


def test_predict_is_the_mean_at_the_mean(make_model, x):
    model = make_model()
    model.compile()
    expected = model.decode(model.encode(x).mean()).mean()
    for received in (
        model.predict(x, batch_size=5, verbose=0),
        model.predict(as_tf_dataset(x), verbose=0),
        model.reconstruct(x),
        model(x),
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-5)  # another program


def test_elbo_does_not_depend_on_the_last_batch(make_model, x):
    """Padding of the last batch does not affect the results."""
    model = make_model()
    values = model.elbo(x, batch_size=5, seed=1)
    assert values.shape == (13,)
    np.testing.assert_allclose(model.elbo(x[:10], batch_size=5, seed=1), values[:10], rtol=1e-6)


# Callbacks


class Script(keras.callbacks.Callback):
    """Sets a log value, before later callbacks read it."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


class Weights(keras.callbacks.Callback):
    """The weights after each epoch."""

    def on_train_begin(self, logs=None):
        self.values = []

    def on_epoch_end(self, epoch, logs=None):
        self.values.append(self.model.get_weights())


def test_model_checkpoint_saves_the_best(make_model, x, tmp_path):
    path = tmp_path / "best.keras"
    best = keras.callbacks.ModelCheckpoint(path, monitor="val_elbo", save_best_only=True)
    weights = Weights()
    model = make_model()
    model.compile(keras.optimizers.SGD(0.1))
    callbacks = [Script("val_elbo", [-3, -1, -2]), weights, best]
    model.fit(x, epochs=3, validation_data=(x, None), callbacks=callbacks, verbose=0)
    saved = keras.saving.load_model(path)
    for actual, desired in zip(saved.get_weights(), weights.values[1]):
        np.testing.assert_array_equal(actual, desired)
    assert np.any(saved.get_weights()[0] != weights.values[2][0])


# Saving


def test_weights_alone_can_be_saved(make_model, x, tmp_path):
    model, other = make_model(), make_model()
    for variable in model.trainable_variables:
        variable.assign(variable + 0.25)
    model.save_weights(tmp_path / "model.weights.h5")
    assert np.any(other.elbo(x, seed=0) != model.elbo(x, seed=0))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.elbo(x, seed=0), model.elbo(x, seed=0))


# Shapes and precision


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
@pytest.mark.parametrize("likelihood", [kv.Bernoulli, kv.Normal])
def test_double_precision(likelihood, make_model, x):
    posterior, prior = kv.DiagonalNormal(2, dtype="float64"), kv.StandardNormal(2, dtype="float64")
    parts = {"posterior": posterior, "prior": prior, "likelihood": likelihood(6, dtype="float64")}
    model = make_model(**parts)
    model.compile()
    assert np.isfinite(model.fit(x, verbose=0).history["loss"][0])
    assert model.elbo(x, seed=0).dtype == np.float64


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a warning of TensorFlow")
def test_models_one_after_another_do_not_warn_of_retracing(make_model, x, caplog):
    """TensorFlow warns at the fifth program of one function."""
    for _ in range(6):
        model = make_model()
        model.compile("sgd", jit_compile=False)
        model.fit(x, verbose=0)
        model.predict(x, verbose=0)
        model.elbo(x)
    assert "retracing" not in caplog.text


# Averages of weights


def averaged(make_model):
    """A model that ends its training with a moving average of its weights."""
    model = make_model()
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    return model


class Interrupt(keras.callbacks.Callback):
    """Interrupts training in a method."""

    def __init__(self, method):
        super().__init__()

        def interrupt(*_):
            raise KeyboardInterrupt

        setattr(self, method, interrupt)


@pytest.mark.parametrize("trained", [False, True])
def test_a_fit_without_a_step_keeps_the_weights(trained, make_model, x):
    """The averages, zeros before the first step and outdated later, do not replace them."""
    model = averaged(make_model)
    if trained:
        model.fit(x, verbose=0)
    weights = [value + 0.1 for value in model.get_weights()]
    model.set_weights(weights)

    def invalid():
        yield (np.full((4, 6), np.nan, "float32"),)

    with pytest.raises(ValueError, match="NaN"):
        model.fit(invalid(), verbose=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, verbose=0, callbacks=[Interrupt("on_epoch_begin")])
    model.fit(x, verbose=0, epochs=2, initial_epoch=2)
    for value, expected in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_steps_that_overflow_keep_the_weights(make_model, x):
    """Gradients of a weight of 1e9, scaled by 3e38, are infinite in float32."""
    model = make_model()
    inner = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    model.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=3e38))
    before = model.get_weights()
    with pytest.warns(UserWarning, match="No step of epoch 1 changed the weights"):
        model.fit(x, sample_weight=np.full(13, 1e9), batch_size=13, verbose=0)
    for value, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_resumed_fit_ends_with_the_averages(make_model, x, tmp_path):
    """Also if it was killed after its last step."""
    whole = averaged(make_model)
    whole.fit(x, batch_size=5, epochs=2, verbose=0)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    killed = averaged(make_model)
    with pytest.raises(KeyboardInterrupt):
        callbacks = [backup(), Interrupt("on_train_end")]
        killed.fit(x, batch_size=5, epochs=2, verbose=0, callbacks=callbacks)
    resumed = averaged(make_model)
    resumed.fit(x, batch_size=5, epochs=2, verbose=0, callbacks=[backup()])
    for value, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_other_trainable_variables_need_another_optimizer(make_model, x):
    """Otherwise, on JAX, one head would get the optimizer state of another of the same shapes."""
    model = make_model()
    heads = model.posterior.heads
    for part in (model.encoder, model.decoder, model.likelihood, heads["log_variance"]):
        part.trainable = False
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(x, verbose=0)
    heads["mean"].trainable, heads["log_variance"].trainable = False, True
    for method in (lambda: model.fit(x, verbose=0), lambda: model.train_on_batch(x)):
        with pytest.raises(ValueError, match=r"Call `compile` with a new optimizer"):
            method()
    before = heads["mean"].get_weights()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.fit(x, verbose=0)
    np.testing.assert_array_equal(heads["mean"].get_weights()[0], before[0])


class WithMetric(keras.layers.Layer):
    """Returns the first two features, and has a metric of its own."""

    def __init__(self, name_of_metric):
        super().__init__()
        self.seen = keras.metrics.Mean(name_of_metric)

    def call(self, features):
        self.seen.update_state(99.0)
        return features[:, :2]


@pytest.mark.parametrize("place", ["encoder", "posterior"])
def test_a_metric_of_a_layer_is_in_the_logs(make_model, x, place):
    """Keras lists it once for each enclosing layer that is no model."""

    def build(name):
        if place == "encoder":
            return make_model(encoder=keras.Sequential([WithMetric(name)]))
        return make_model(posterior=kv.DiagonalNormal(2, mean=WithMetric(name)))

    model = build("activity")
    model.compile(keras.optimizers.SGD(0.1))
    logs = model.fit(x, epochs=2, verbose=0).history
    assert logs["activity"] == [99.0, 99.0]
    assert model.metrics_names.count("activity") == 1
    clashing = build("kl")
    clashing.compile(keras.optimizers.SGD(0.1))
    with pytest.raises(ValueError, match=r"metrics of layers with other names.*\['kl'\]"):
        clashing.fit(x, verbose=0)


def test_validation_that_a_callback_stops(make_model, x):
    class Stops(keras.callbacks.Callback):
        monitor = None  # not the name of a metric
        num_batches = 0

        def on_test_batch_end(self, batch, logs=None):
            self.num_batches += 1
            self.model.stop_evaluating = True

    model = make_model()
    model.compile(keras.optimizers.SGD(0.1))
    held_out = Batches([(x[i : i + 4],) for i in (0, 4, 8)])
    stops = Stops()
    fit = model.fit(x, epochs=3, validation_data=held_out, callbacks=[stops], verbose=0)
    assert len(fit.history["val_loss"]) == 3
    assert stops.num_batches == 3  # the first batch of each validation
