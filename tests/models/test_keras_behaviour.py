"""`compile`, `fit`, `evaluate`, `predict`, `save` and callbacks behave as Keras users expect."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

tfd = tfp.distributions

BOTH = pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep])
TERMS = {
    kv.AEVB: {"elbo", "reconstruction", "kl"},
    kv.WakeSleep: {"elbo", "reconstruction", "kl", "sleep"},
}


@pytest.fixture(scope="module", params=TERMS, ids=lambda algorithm: algorithm.__name__)
def train(request, make_model):
    """train(x, ...): `fit` from the same start each time; the history and the final weights."""
    model = make_model(request.param)
    model.compile(keras.optimizers.Adam(0.05))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    start = [v.numpy().copy() for v in variables]

    def train(x, *args, **kwargs):
        for variable, value in zip(variables, start):
            variable.assign(value)
        settings = {"batch_size": 5, "epochs": 2, "shuffle": False, "verbose": 0}
        history = model.fit(x, *args, **{**settings, **kwargs}).history
        return history, model.get_weights()

    train.terms = TERMS[request.param]
    return train


def assert_same(run, other):
    """The same program on the same numbers: no tolerance."""
    (history, weights), (other_history, other_weights) = run, other
    assert history == other_history
    for a, b in zip(weights, other_weights):
        np.testing.assert_array_equal(a, b)


def differ(run, other):
    return any(np.any(a != b) for a, b in zip(run[1], other[1]))


# Reproducibility


def test_same_seed_and_data_give_the_same_results(train, x):
    """Twenty times, since what runs in no fixed order seldom differs at once."""
    first = train(x)
    for _ in range(20):
        assert_same(train(x), first)


def test_model_seed_fixes_the_noise(make_model, x):
    def run(seed):
        model = make_model(seed=seed)
        model.compile()
        return model.evaluate(x, batch_size=5, verbose=0)

    first = run(3)
    assert run(3) == first
    assert run(4) != first


def test_seeds_of_methods(make_model, x):
    model = make_model()
    for method in (lambda seed: model.sample(50, seed=seed), lambda s: model.elbo(x, seed=s)):
        np.testing.assert_array_equal(method(0), method(0))
        assert np.any(method(0) != method(1))
        assert np.any(method(None) != method(None))


def test_samples_of_z_and_x_have_noise_of_their_own(make_model):
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


# What goes in


def test_log_names(train, x):
    history, _ = train(x, validation_data=(x[:4], None))
    names = train.terms | {"loss"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert all(len(values) == 2 and np.all(np.isfinite(values)) for values in history.values())


def test_labels_are_ignored(train, x):
    assert_same(train(x, np.arange(len(x))), train(x))


def test_validation_split_is_the_tail(train, x):
    split = train(x, validation_split=3 / 13)
    assert_same(split, train(x[:10], validation_data=(x[10:], None)))


def test_validation_does_not_train(train, x):
    _, weights = train(x, epochs=1, validation_data=(x[:4], None))
    _, alone = train(x, epochs=1)
    for a, b in zip(weights, alone):
        np.testing.assert_array_equal(a, b)


def test_arguments_may_be_positional_as_in_keras(make_model, x):
    model = make_model()
    model.compile()
    assert model.predict(x, 5, 0).shape == x.shape
    assert len(model.evaluate(x, None, 5, 0)) == 4
    assert len(model.fit(x, None, 5, 2, 0).history["loss"]) == 2


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return -(-len(self.x) // 5)

    def __getitem__(self, i):
        return (self.x[5 * i : 5 * i + 5],)


def as_tf_dataset(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x,)).batch(5)


def as_generator(x):
    for _ in range(2):  # epochs
        yield from ((x[i : i + 5],) for i in range(0, len(x), 5))


def as_torch_loader(x):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(x))
    return torch.utils.data.DataLoader(data, batch_size=5)


@pytest.mark.parametrize("convert", [np.float64, ops.convert_to_tensor])
def test_arrays_of_all_kinds_train_alike(convert, train, x):
    assert_same(train(convert(x)), train(x))


@pytest.mark.parametrize(
    "convert, settings",
    [
        (as_tf_dataset, {}),
        (Batches, {}),
        (as_generator, {"steps_per_epoch": 3}),
        (as_torch_loader, {}),
    ],
)
def test_streams_of_all_kinds_train_like_arrays(convert, settings, train, x):
    settings = {"batch_size": None, "shuffle": False, **settings}
    assert_same(train(convert(x), **settings), train(x))


@pytest.mark.parametrize("dtype", ["uint8", "bool"])
def test_binary_images_of_any_type(dtype, make_model, x):
    x = (x > 0.5).astype("float32")
    model = make_model()
    model.compile(keras.optimizers.SGD(0.1))
    for method in (model.predict, lambda x, **_: model.elbo(x, seed=0)):
        np.testing.assert_array_equal(method(x.astype(dtype), verbose=0), method(x, verbose=0))
    assert np.isfinite(model.fit(x.astype(dtype), verbose=0).history["loss"][0])


@pytest.mark.parametrize("rounds", [1, 10])
def test_validation_generator_loses_no_batch(rounds, train, x):
    """An epoch's three batches: all that the generator has, or the first of many."""
    batches = [x[:5], x[4:9], x[8:13]]
    generator = ((batch,) for _ in range(rounds) for batch in batches)
    stream = train(x, epochs=1, validation_data=generator, validation_steps=3)
    array = np.concatenate(batches)
    assert_same(stream, train(x, epochs=1, validation_data=(array, None)))


# What comes out, recomputed example by example


def per_example(model, x, batch_size):
    """The objective's losses and terms, over batches, from the start of the model's noise."""
    start = model.seed_generator.state.numpy()
    results = [
        model.objective(ops.convert_to_tensor(x[i : i + batch_size]), False)
        for i in range(0, len(x), batch_size)
    ]
    model.seed_generator.state.assign(start)
    losses = np.concatenate([np.float64(loss) for loss, _ in results])
    names = results[0][1]
    return losses, {n: np.concatenate([np.float64(t[n]) for _, t in results]) for n in names}


def logs(model, x, *args, **kwargs):
    """Those of `evaluate` and those of an epoch of `fit`, on the same noise and weights."""
    if not model.compiled:
        model.compile(keras.optimizers.SGD(0.0))  # a step size of zero keeps the weights
    settings = {"batch_size": 5, "verbose": 0, **kwargs}
    start = model.seed_generator.state.numpy()
    evaluated = model.evaluate(x, *args, return_dict=True, **settings)
    model.seed_generator.state.assign(start)
    fitted = model.fit(x, *args, shuffle=False, **settings).history
    model.seed_generator.state.assign(start)
    return [evaluated, {name: values[0] for name, values in fitted.items()}]


@BOTH
def test_logs_are_means_over_examples(algorithm, make_model, x):
    """The last batch of 3 counts as 3."""
    model = make_model(algorithm)
    losses, terms = per_example(model, x, 5)
    of_batches = np.mean([losses[:5].mean(), losses[5:10].mean(), losses[10:].mean()])
    assert abs(losses.mean() - of_batches) > 1e-3  # so that the two can be told apart
    for received in logs(model, x):
        assert set(received) == {*terms, "loss"}
        for name, values in {**terms, "loss": losses}.items():
            # float32 sums in another order
            np.testing.assert_allclose(received[name], values.mean(), rtol=1e-5, err_msg=name)


@BOTH
def test_sample_weights(algorithm, make_model, x):
    """The loss is the mean of w · loss, as in Keras; a log is the weighted mean of its term."""
    labels, weights = np.zeros(13), np.random.default_rng(0).uniform(0, 3, 13).astype("float32")
    model = make_model(algorithm)
    losses, terms = per_example(model, x, 5)
    for shape in ((13,), (13, 1)):
        for received in logs(model, x, labels, sample_weight=weights.reshape(shape)):
            # float32 sums in another order
            np.testing.assert_allclose(received["loss"], np.mean(weights * losses), rtol=1e-5)
            for name, values in terms.items():
                expected = np.average(values, weights=weights)
                np.testing.assert_allclose(received[name], expected, rtol=1e-5, err_msg=name)


def test_examples_of_weight_zero_do_not_matter(train, x):
    labels, weights = np.zeros(13), np.ones(13, "float32")
    weights[::4] = 0
    other = x.copy()
    other[::4] = 1 - other[::4]
    run = train(x, labels, sample_weight=weights)
    assert_same(train(other, labels, sample_weight=weights), run)
    assert differ(train(other, labels), run)


def test_sample_weights_need_no_labels(train, x):
    """Keras drops the weights where y is None."""
    labels, weights = np.zeros(13), np.linspace(0, 3, 13, dtype="float32")
    run = train(x, labels, sample_weight=weights, validation_data=(x, labels, weights))
    assert differ(run, train(x))
    assert_same(train(x, sample_weight=weights, validation_data=(x, None, weights)), run)


@BOTH
def test_weight_prior_is_in_the_loss(algorithm, x):
    n = 50
    model = algorithm(**kv.networks.bernoulli_mlp(6, 2, 5, n_train=n, stddev=1.0, seed=0), seed=0)
    kernels = [v.numpy() for v in model.trainable_variables if len(v.shape) == 2]
    penalty = 0.5 / n * sum(np.sum(np.float64(k) ** 2) for k in kernels)
    assert penalty > 0.1
    losses, _ = per_example(model, x, 5)
    for received in logs(model, x):
        # float32 sums in another order
        np.testing.assert_allclose(received["loss"], losses.mean() + penalty, rtol=1e-5)


class AddsThree(keras.layers.Layer):
    def call(self, x):
        self.add_loss(3.0 * ops.mean(ops.ones_like(x)))
        return x


@BOTH
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_penalties_that_layers_add_are_in_the_loss(run_eagerly, algorithm, make_model, x):
    """Once, although wake-sleep runs the encoder on data and on dreams."""
    encoder = keras.Sequential([AddsThree(), keras.layers.Dense(5)])
    model = make_model(algorithm, encoder=encoder)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=run_eagerly)
    for received in logs(model, x):
        objective = -received["elbo"] - received.get("sleep", 0)
        np.testing.assert_allclose(received["loss"] - objective, 3, rtol=1e-5)  # float32


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


def test_evaluate_returns_a_list_by_default(make_model, x):
    model = make_model()
    model.compile()
    values = model.evaluate(x, verbose=0)
    assert len(values) == 4
    assert model.metrics_names[0] == "loss"


def test_elbo_does_not_depend_on_the_last_batch(make_model, x):
    """The last batch is filled up: nothing of that shows."""
    model = make_model()
    values = model.elbo(x, batch_size=5, seed=1)
    assert values.shape == (13,)
    np.testing.assert_allclose(model.elbo(x[:10], batch_size=5, seed=1), values[:10], rtol=1e-6)


# Ways to run the training loop


class SteadyNormal(tfd.Normal):
    """Half a standard deviation is all the noise: XLA on TensorFlow draws other numbers."""

    def _sample_n(self, n, seed=None):
        value = self.loc + 0.5 * self.scale
        return ops.broadcast_to(value, (n, *ops.shape(value)))


def steady(base):
    class Steady(base):
        def distribution(self, *parameters):
            normal = super().distribution(*parameters).distribution
            return tfd.Independent(SteadyNormal(normal.loc, normal.scale), 1)

    return Steady


@BOTH
def test_all_ways_to_run_train_alike(algorithm, make_model, x):
    """Five batches an epoch, which three steps per execution do not divide."""

    def run(**mode):
        model = make_model(
            algorithm,
            posterior=steady(kv.DiagonalNormal)(2),
            likelihood=steady(kv.Normal)(6),
            prior=steady(kv.StandardNormal)(2),
        )
        model.compile(keras.optimizers.SGD(0.02), **mode)
        history = model.fit(x, batch_size=3, epochs=2, shuffle=False, verbose=0).history
        return history, model.get_weights()

    history, weights = run()
    for mode in ({"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 3}):
        other_history, other_weights = run(**mode)
        # Ten steps in another order of float32 operations.
        for name in history:
            np.testing.assert_allclose(
                other_history[name], history[name], rtol=1e-4, err_msg=f"{mode}: {name}"
            )
        for a, b in zip(other_weights, weights):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5, err_msg=str(mode))


@BOTH
def test_eager_and_compiled_steps_share_their_noise(algorithm, make_model, x):
    def run(**mode):
        model = make_model(algorithm)
        model.compile(keras.optimizers.SGD(0.1), **mode)
        return model.fit(x, batch_size=5, shuffle=False, verbose=0).history["elbo"]

    # Three steps in another order of float32 operations.
    np.testing.assert_allclose(run(run_eagerly=True), run(), rtol=1e-4)


# Callbacks


class Script(keras.callbacks.Callback):
    """Writes a log by hand, before the callbacks after it read it."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


@pytest.mark.parametrize("monitor", ["val_elbo", "elbo", "val_reconstruction"])
@pytest.mark.parametrize("values, epochs", [([-3, -4, -5, -6], 2), ([-6, -5, -4, -3], 4)])
def test_early_stopping_knows_that_up_is_better(monitor, values, epochs, train, x):
    callbacks = [Script(monitor, values), keras.callbacks.EarlyStopping(monitor, patience=1)]
    history, _ = train(x, epochs=4, callbacks=callbacks)
    assert len(history["loss"]) == epochs


def test_early_stopping_keeps_the_users_mode(train, x):
    callbacks = [
        Script("elbo", [-3, -4, -5, -6]),
        keras.callbacks.EarlyStopping("elbo", mode="min", patience=1),
    ]
    history, _ = train(x, epochs=4, callbacks=callbacks)
    assert len(history["loss"]) == 4


def test_a_single_callback_needs_no_list(train, x):
    history, _ = train(x, callbacks=keras.callbacks.EarlyStopping("elbo", patience=5))
    assert len(history["loss"]) == 2


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
    for ours, theirs in zip(saved.get_weights(), weights.values[1]):
        np.testing.assert_array_equal(ours, theirs)
    assert np.any(saved.get_weights()[0] != weights.values[2][0])


# Saving


@BOTH
def test_saved_models_continue_as_if_never_saved(algorithm, make_model, x, tmp_path):
    model = make_model(
        algorithm,
        bound=kv.ELBO(2, "sampled"),
        likelihood=kv.Normal(6, mean=keras.layers.Dense(6, "sigmoid"), scale=0.5),
    )
    model.compile(keras.optimizers.Adagrad(0.05))
    settings = {"batch_size": 5, "epochs": 2, "shuffle": False, "verbose": 0}
    model.fit(x, **settings)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is algorithm
    assert loaded.seed == model.seed == 0
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(loaded.elbo(x, seed=1), model.elbo(x, seed=1))
    np.testing.assert_array_equal(loaded.sample(5, seed=1), model.sample(5, seed=1))
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    # Keras leaves the seeds' state out of the file.
    loaded.seed_generator.state.assign(model.seed_generator.state.numpy())
    assert_same(
        (loaded.fit(x, **settings).history, loaded.get_weights()),
        (model.fit(x, **settings).history, model.get_weights()),
    )


def test_weights_alone_can_be_saved(make_model, x, tmp_path):
    model, other = make_model(), make_model()
    for variable in model.trainable_variables:
        variable.assign(variable + 0.25)
    model.save_weights(tmp_path / "model.weights.h5")
    assert np.any(other.elbo(x, seed=0) != model.elbo(x, seed=0))
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.elbo(x, seed=0), model.elbo(x, seed=0))


# Shapes and precision


@BOTH
def test_images(algorithm, make_model):
    x = np.random.default_rng(0).random((10, 4, 6, 1)).astype("float32")
    layers = keras.layers
    model = make_model(
        algorithm,
        encoder=keras.Sequential([layers.Conv2D(3, 3, 2, "same", activation="relu")]),
        decoder=keras.Sequential([layers.Dense(18), layers.Reshape((2, 3, 3))]),
        likelihood=kv.Bernoulli((4, 6, 1), logits=layers.Conv2DTranspose(1, 3, 2, "same")),
    )
    model.compile(keras.optimizers.Adam(0.01))
    before = model.get_weights()
    history = model.fit(x, batch_size=4, epochs=3, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights()))
    assert model.predict(x, verbose=0).shape == x.shape
    assert model.sample(3, seed=0).shape == (3, 4, 6, 1)
    assert model.elbo(x, num_samples=2, seed=0).shape == (10,)
    assert tuple(model.decode(np.zeros((5, 7, 2), "float32")).batch_shape) == (5, 7)


@pytest.mark.parametrize(
    "algorithm, likelihood", [(kv.AEVB, kv.Bernoulli), (kv.WakeSleep, kv.Normal)]
)
def test_mixed_precision_trains(likelihood, algorithm, mixed_float16, make_model, x):
    model = make_model(algorithm, likelihood=likelihood(6))
    assert model.encoder.layers[0].compute_dtype == "float16"
    model.compile(keras.optimizers.Adam(0.01))
    before = model.get_weights()
    history = model.fit(x, batch_size=5, epochs=3, verbose=0).history
    assert np.all(np.isfinite(history["loss"]))
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights()))
    assert model.elbo(x, seed=0).dtype == np.float32


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has no float64 by default")
@pytest.mark.parametrize("likelihood", [kv.Bernoulli, kv.Normal])
def test_double_precision(likelihood, make_model, x):
    posterior, prior = kv.DiagonalNormal(2, dtype="float64"), kv.StandardNormal(2, dtype="float64")
    parts = {"posterior": posterior, "prior": prior, "likelihood": likelihood(6, dtype="float64")}
    model = make_model(**parts)
    model.compile()
    assert np.isfinite(model.fit(x, verbose=0).history["loss"][0])
    assert model.elbo(x, seed=0).dtype == np.float64
