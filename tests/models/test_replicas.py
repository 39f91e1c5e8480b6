"""Models trained side by side equal models trained alone."""

import functools
import itertools

import keras
import numpy as np
import pytest
from streams import Batches

import keras_aevb as kv
from keras_aevb import _backend

X = np.random.default_rng(0).random((90, 12), dtype="float32")
SETTINGS = [(0, 0.01), (1, 0.02), (2, 0.05)]  # seeds and step sizes


def build(algorithm=kv.AEVB, seed=0, step_size=0.01, units=6, **compile_options):
    recognition = algorithm is not kv.MonteCarloEM
    parts = kv.networks.bernoulli_mlp(
        12, latent_dim=2, hidden_units=units, seed=seed, recognition=recognition
    )
    n_train = {} if algorithm in (kv.AEVB, kv.WakeSleep) else {"n_train": 90}
    model = algorithm(**parts, seed=seed, **n_train)
    model.compile(keras.optimizers.Adagrad(step_size), **compile_options)
    return model


def streams(n=3, length=7):
    return [kv.RandomMinibatches(X, 20, seed, 0, length) for seed in range(n)]


def assert_alike(model, other):
    # float32 sums in another order; some twenty steps
    for actual, desired in zip(model.variables, other.variables, strict=True):
        np.testing.assert_allclose(np.asarray(actual), np.asarray(desired), rtol=1e-4, atol=1e-6)
    for actual, desired in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_allclose(np.asarray(actual), np.asarray(desired), rtol=1e-3, atol=1e-6)


@pytest.fixture(params=["this device", "stacked"])
def stacked_or_not(request, monkeypatch):
    """Runs a test as on this device and, on JAX, with replicas stacked as on a GPU."""
    if request.param == "stacked":
        if keras.backend.backend() != "jax":
            pytest.skip("replicas share a program only on jax")
        import jax

        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


@functools.cache
def trained_alone(algorithm):
    """The models of `SETTINGS`, each with its history."""
    models = [build(algorithm, *settings) for settings in SETTINGS]
    fits = [m.fit(s, epochs=2, shuffle=False, verbose=0) for m, s in zip(models, streams())]
    return list(zip(models, [fit.history for fit in fits]))


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep, kv.MonteCarloEM, kv.FullVB])
def test_replicas_equal_models_trained_alone(algorithm, stacked_or_not):
    replicas = [build(algorithm, *s, steps_per_execution=3) for s in SETTINGS]
    histories = kv.Replicas(replicas).fit(streams(), epochs=2, verbose=0)
    assert len(histories) == 3
    for replica, fit, (alone, expected) in zip(replicas, histories, trained_alone(algorithm)):
        history = fit.history
        assert set(history) == set(expected)
        for name in expected:
            np.testing.assert_allclose(history[name], expected[name], rtol=1e-4, err_msg=name)
        assert_alike(replica, alone)


def test_different_models_equal_models_trained_alone(stacked_or_not):
    """They differ in algorithm, size and learning-rate schedule, except the second and the last."""

    def different():
        models = [build(kv.WakeSleep), build(seed=1), build(seed=2, units=7), build(seed=3)]
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
        models[2].compile(keras.optimizers.Adam(schedule))
        return models

    together, alone = different(), different()
    histories = kv.Replicas(together).fit(streams(4), epochs=2, verbose=0)
    for model, fit, other, stream in zip(together, histories, alone, streams(4)):
        expected = other.fit(stream, epochs=2, shuffle=False, verbose=0).history
        np.testing.assert_allclose(fit.history["loss"], expected["loss"], rtol=1e-4)
        assert_alike(model, other)


class ScaledAEVB(kv.AEVB):
    """A class whose config lacks a setting."""

    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def objective(self, x, training):
        per_example, terms = super().objective(x, training)
        return kv.typing.Objective(self.scale * per_example, terms)


def scaled(seed, scale):
    model = ScaledAEVB(scale, **kv.networks.bernoulli_mlp(12, 2, 6, seed=seed), seed=seed)
    model.compile(keras.optimizers.Adagrad(0.01 * (1 + seed)))
    return model


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="replicas share a program only on jax")
@pytest.mark.parametrize(
    "models, groups",
    [
        (lambda: [scaled(0, 1.0), scaled(1, 1.0), scaled(2, 4.0)], ((0, 1), (2,))),
        (lambda: [functional(0), functional(1, "relu"), functional(2)], ((0, 2), (1,))),
        (lambda: [shifted(0, 1.0), shifted(1, 1.0), shifted(2, 2.0)], ((0, 1), (2,))),
    ],
)
def test_a_gpu_stacks_models_that_compute_the_same(monkeypatch, models, groups):
    import jax

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    together, alone = models(), models()
    for model, other in zip(together, alone):
        other.set_weights(model.get_weights())
    program = _backend.Program(together, "train")
    logs = program(None, [[(X[:20],)] * len(together), [(X[20:40],)] * len(together)])
    assert program.stacks.members == groups
    for log, other in zip(logs, alone):
        fit = other.fit(X[:40], batch_size=20, shuffle=False, verbose=0)
        np.testing.assert_allclose(log["loss"], fit.history["loss"][0], rtol=1e-4)


class Shift(keras.layers.Layer):
    """Adds an array that is a constant of a nested compiled function."""

    def __init__(self, offset):
        super().__init__()
        self.offset = np.full(12, offset, "float32")

    def call(self, x):
        import jax

        return jax.jit(lambda x: x + jax.numpy.asarray(self.offset))(x)


def shifted(seed, offset):
    encoder = keras.Sequential([Shift(offset), keras.layers.Dense(6)])
    return functional(seed, encoder=encoder)


def test_settings_changed_without_compile_take_effect(stacked_or_not):
    """The bound of one of two models changes between two calls of `fit`."""
    models, alone = ([build(seed=s) for s in (0, 1)] for _ in range(2))
    replicas = kv.Replicas(models)
    replicas.fit(streams(2), verbose=0)
    models[1].bound = kv.ELBO(num_samples=20)
    replicas.fit(streams(2), verbose=0)
    for model in alone:
        model.fit(streams(2)[alone.index(model)], verbose=0)
    alone[1].bound = kv.ELBO(num_samples=20)
    for model, other, stream in zip(models, alone, streams(2)):
        other.fit(stream, verbose=0)
        assert_alike(model, other)


def test_batches_that_differ_between_models(stacked_or_not):
    """In size and structure."""
    models, alone = ([build(seed=s) for s in (0, 1)] for _ in range(2))
    sources = [
        kv.RandomMinibatches(X, 20, 0, 0, 7),
        kv.RandomMinibatches(X, 10, 1, 0, 7, y=np.zeros((90, 3))),
    ]
    kv.Replicas(models).fit(sources, verbose=0)
    for model, other, stream in zip(models, alone, sources):
        other.fit(stream, verbose=0)
        assert_alike(model, other)


class Sizes(Batches):
    """Batches of these sizes."""

    def __init__(self, sizes):
        super().__init__([(X[10 * i : 10 * i + size],) for i, size in enumerate(sizes)])


@pytest.mark.slow
def test_batches_that_differ_later(stacked_or_not):
    """Models that compute the same, in stacks that change with the sizes of their batches."""
    sizes = [(20, 20, 20, 20), (20, 10, 20, 20), (20, 20, 10, 20), (20, 20, 20, 10)]
    models, alone = ([build(seed=s, steps_per_execution=2) for s in range(4)] for _ in range(2))
    kv.Replicas(models).fit([Sizes(s) for s in sizes], verbose=0)
    for model, other, of_model in zip(models, alone, sizes):
        other.fit(Sizes(of_model), shuffle=False, verbose=0)
        assert_alike(model, other)


class BranchingAEVB(kv.AEVB):
    """Small batches count `small` times."""

    small = 1.0

    def objective(self, x, training):
        per_example, terms = super().objective(x, training)
        factor = self.small if x.shape[0] < 20 else 1.0
        return kv.typing.Objective(factor * per_example, terms)


def branching(seed, small=1.0):
    model = BranchingAEVB(**kv.networks.bernoulli_mlp(12, 2, 6, seed=seed), seed=seed)
    model.small = small
    model.compile(keras.optimizers.Adagrad(0.01), steps_per_execution=2)
    return model


@pytest.mark.slow
def test_models_that_compute_the_same_for_some_batches(stacked_or_not):
    settings = [(0, 1.0), (1, 0.5), (2, 1.0)]
    models, alone = ([branching(*s) for s in settings] for _ in range(2))
    sizes = (20, 20, 10, 10)
    kv.Replicas(models).fit([Sizes(sizes) for _ in models], verbose=0)
    for model, other in zip(models, alone):
        other.fit(Sizes(sizes), shuffle=False, verbose=0)
        assert_alike(model, other)


def test_all_models_train_after_an_error_in_a_step(stacked_or_not):
    models = [branching(seed) for seed in range(3)]
    replicas = kv.Replicas(models)
    models[1].small = None
    with pytest.raises((TypeError, ValueError)):  # JAX's, TensorFlow's
        replicas.fit([Sizes([10])] * 3, verbose=0)
    models[1].small = 1.0
    before = [int(model.optimizer.iterations) for model in models]
    histories = replicas.fit([Sizes([20])] * 3, verbose=0)
    assert all(np.isfinite(fit.history["loss"][0]) for fit in histories)
    assert [int(model.optimizer.iterations) for model in models] == [n + 1 for n in before]


@pytest.mark.slow
def test_training_continues_in_another_call():
    """Two calls equal one, even with `fit` of a single model between them."""
    models, whole = [build(seed=1), build(seed=2)], [build(seed=1), build(seed=2)]
    replicas = kv.Replicas(models)
    first, second, third = (
        [kv.RandomMinibatches(X, 20, s, f, 4) for s in (0, 1)] for f in (0, 4, 8)
    )
    replicas.fit(first, verbose=0)
    for model, stream in zip(models, second):
        model.fit(stream, shuffle=False, verbose=0)
    replicas.fit(third, verbose=0)
    kv.Replicas(whole).fit([kv.RandomMinibatches(X, 20, s, 0, 12) for s in (0, 1)], verbose=0)
    for model, other in zip(models, whole):
        assert_alike(model, other)


def test_a_diverging_model_does_not_affect_the_others(stacked_or_not):
    models = [build(seed=s, step_size=a) for s, a in ((0, 0.01), (1, 1e30), (2, 0.05))]
    histories = kv.Replicas(models).fit(streams(), epochs=2, verbose=0)
    assert not np.isfinite(histories[1].history["loss"][-1])
    for i in (0, 2):
        alone = build(seed=i, step_size=(0.01, None, 0.05)[i])
        alone.fit(streams()[i], epochs=2, shuffle=False, verbose=0)
        assert_alike(models[i], alone)


@pytest.mark.slow
def test_each_model_shuffles_the_array_by_its_seed():
    weights = np.linspace(0, 2, 90, dtype="float32")
    models = [build(seed=seed) for seed in (3, 4)]
    kv.Replicas(models).fit(X, weights, batch_size=20, epochs=2, verbose=0)
    for model, seed in zip(models, (3, 4)):
        alone = build(seed=seed)
        stream = kv.EpochMinibatches((X, np.zeros(90), weights), 20, seed=seed)
        alone.fit(stream, epochs=2, shuffle=False, verbose=0)
        assert_alike(model, alone)
    orders = [kv.EpochMinibatches((X,), 20, seed=seed) for seed in (3, 4)]
    for stream in orders:
        stream.on_epoch_begin()
    assert np.any(orders[0].rows(0) != orders[1].rows(0))


class Stream(keras.utils.PyDataset):
    """Batches without row indices."""

    def __init__(self, first):
        super().__init__()
        self.first = first

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return (X[self.first + 10 * i : self.first + 10 * i + (10 if i < 3 else 7)],)


@pytest.mark.slow
def test_sample_weight_with_streams_is_refused():
    """As in `fit` of one model."""
    with pytest.raises(ValueError, match="A stream yields its own `sample_weight`"):
        kv.Replicas([build()]).fit(streams(1), sample_weight=np.zeros(90), verbose=0)


def test_streams_of_any_kind():
    models = [build(seed=seed, steps_per_execution=2) for seed in (0, 1)]
    kv.Replicas(models).fit([Stream(0), Stream(50)], verbose=0)
    for seed, first in ((0, 0), (1, 50)):
        alone = build(seed=seed)
        alone.fit(Stream(first), shuffle=False, verbose=0)
        assert_alike(models[seed], alone)


@pytest.mark.slow
def test_report_counts_the_steps_of_all_models():
    reports = []
    models = [build(seed=seed, steps_per_execution=3) for seed in (0, 1)]
    kv.Replicas(models).fit(
        streams(2), epochs=2, report=lambda done, logs: reports.append((done, float(logs["loss"])))
    )
    done, losses = zip(*reports)
    assert all(a < b for a, b in itertools.pairwise(done))
    assert done[-1] == 2 * 2 * 7
    assert np.isfinite(losses).all()


def test_interrupted_models_are_up_to_date():
    class InterruptionError(Exception):
        pass

    def report(done, logs):
        if done >= 4:
            raise InterruptionError

    models = [build(seed=seed) for seed in (0, 1)]
    with pytest.raises(InterruptionError):
        kv.Replicas(models).fit(streams(2), report=report)
    assert all(np.isfinite(weights).all() for model in models for weights in model.get_weights())
    assert int(models[0].optimizer.iterations) == 2


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX donates buffers")
@pytest.mark.parametrize("failing", [KeyboardInterrupt, MemoryError])
def test_models_keep_their_values_if_training_is_interrupted(monkeypatch, ctrl_c, failing):
    """Ctrl-C while a program runs; a failure of the second program of one execution."""
    calls = []

    def interrupted(run):
        def call(*arguments):
            calls.append(len(calls))
            if len(calls) == 2 and failing is MemoryError:
                raise MemoryError
            results = run(*arguments)
            if failing is KeyboardInterrupt:
                ctrl_c()
            return results

        call.trace = getattr(run, "trace", None)  # `Program` traces its own steps
        return call

    # Four batches of 10 and one of 7: two groups, each with batches of one size.
    models = [build(seed=seed, steps_per_execution=5) for seed in (0, 1)]
    replicas = kv.Replicas(models)
    program = replicas._program(models)
    monkeypatch.setattr(program, "_run", interrupted(program._run))
    with pytest.raises(failing):
        replicas.fit(X[:47], batch_size=10, verbose=0)
    assert all(np.isfinite(weights).all() for model in models for weights in model.get_weights())
    expected = {KeyboardInterrupt: 5, MemoryError: 4}[failing]
    assert [int(model.optimizer.iterations) for model in models] == [expected, expected]


def test_progress_bar(capsys):
    kv.Replicas([build(seed=0), build(seed=1)]).fit(streams(2))
    assert "14/14" in capsys.readouterr().out
    kv.Replicas([build(seed=0), build(seed=1)]).fit(streams(2), verbose=0)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "models, message",
    [
        (lambda: [], "at least one model"),
        (build, "a list of compiled models"),
        (lambda: [build()] * 2, "share no variables"),
        (lambda: [keras.Sequential()], "`models` to be a TrainingLoop"),
        (lambda: [kv.AEVB(**kv.networks.bernoulli_mlp(12, 2, 6))], "before `compile`"),
        (lambda: [build(), build(steps_per_execution=2)], r"same steps_per_execution.*: 1 and 2"),
        (lambda: [build(), build(run_eagerly=True)], r"same run_eagerly.*: False and True"),
        (
            lambda: [build(jit_compile=True), build(jit_compile=False)],
            r"same jit_compile.*: True and False",
        ),
        (lambda: [build(), of_shape(13)], r"event shape of the likelihood.*: \(12,\) and \(13,\)"),
    ],
)
def test_models_that_cannot_share_a_program(models, message):
    with pytest.raises(ValueError, match=message):
        kv.Replicas(models())


def of_shape(x_dim):
    model = kv.AEVB(**kv.networks.bernoulli_mlp(x_dim, 2, 6))
    model.compile(keras.optimizers.Adagrad(0.01))
    return model


def functional(seed=0, activation="tanh", **parts):
    """The networks of `build` as functional models, whose layers have unique names."""

    def network(size):
        inputs = keras.Input((size,))
        return keras.Model(inputs, keras.layers.Dense(6, activation)(inputs))

    defaults = {
        "encoder": network(12),
        "decoder": network(2),
        "posterior": kv.DiagonalNormal(2),
        "likelihood": kv.Bernoulli(12),
    }
    model = kv.AEVB(**{**defaults, **parts}, seed=seed)
    model.compile(keras.optimizers.Adagrad(0.01))
    return model


def test_functional_models():
    """Their layers have unique names."""
    histories = kv.Replicas([functional(0), functional(1)]).fit(streams(2), verbose=0)
    assert np.isfinite([fit.history["loss"] for fit in histories]).all()


def test_models_that_share_a_part():
    first = functional()
    with pytest.raises(ValueError, match="share no variables"):
        kv.Replicas([first, functional(decoder=first.decoder)])


@pytest.mark.slow
def test_another_optimizer_takes_effect():
    models = [build(seed=seed) for seed in (0, 1)]
    replicas = kv.Replicas(models)
    replicas.fit(streams(2), verbose=0)
    for model in models:
        model.compile(keras.optimizers.SGD(0.0))
    before = models[1].get_weights()
    replicas.fit(streams(2), verbose=0)
    for actual, desired in zip(models[1].get_weights(), before):
        np.testing.assert_array_equal(actual, desired)
    models[1].compile(keras.optimizers.Adam(0.01), steps_per_execution=2)
    with pytest.raises(ValueError, match=r"same steps_per_execution.*: 1 and 2"):
        replicas.fit(streams(2), verbose=0)
    models[1].compile(keras.optimizers.Adam(0.01))
    replicas.fit(streams(2), verbose=0)
    assert np.abs(models[1].get_weights()[0] - before[0]).max() > 1e-3


@pytest.mark.slow
def test_optimizers_that_end_with_an_average():
    """`SGD(use_ema=True)` puts the average in place when training ends."""
    replica, alone = build(seed=1), build(seed=1)
    for model in (replica, alone):
        model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    kv.Replicas([build_like(replica), replica]).fit(streams(2), verbose=0)
    alone.fit(streams(2)[1], verbose=0)
    assert_alike(replica, alone)


def build_like(model):
    other = build(seed=0)
    other.compile(type(model.optimizer).from_config(model.optimizer.get_config()))
    return other


@pytest.mark.slow
def test_scaled_losses():
    models = [build(seed=seed) for seed in (0, 1)]
    for model, step_size in zip(models, (0.01, 0.02)):
        inner = keras.optimizers.Adagrad(step_size)
        model.compile(keras.optimizers.LossScaleOptimizer(inner))
    alone = build(seed=1)
    alone.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adagrad(0.02)))
    kv.Replicas(models).fit(streams(2), verbose=0)
    alone.fit(streams(2)[1], verbose=0)
    assert_alike(models[1], alone)


@pytest.mark.parametrize(
    "streams, message",
    [
        (lambda: streams(1), "Expected 2 streams, one for each model. Received: 1"),
        (lambda: [*streams(1), *streams(1, 5)], r"lengths \[5, 7\]"),
        (lambda: streams(2, 0), r"same positive length. Received: lengths \[0\]"),
        (lambda: 2 * X, r"pixels in \[0, 1\]"),
        (lambda: [kv.RandomMinibatches(2 * X, 20, 0, 0, 1)] * 2, r"pixels in \[0, 1\]"),
    ],
)
def test_invalid_data(streams, message):
    with pytest.raises(ValueError, match=message):
        kv.Replicas([build(seed=0), build(seed=1)]).fit(streams(), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [kv.MonteCarloEM, kv.FullVB])
def test_algorithms_that_must_know_the_number_of_examples(algorithm):
    recognition = algorithm is kv.FullVB
    model = algorithm(**kv.networks.bernoulli_mlp(12, 2, 6, recognition=recognition), seed=0)
    model.compile()
    replicas = kv.Replicas([model])
    with pytest.raises(ValueError, match="n_train=None"):
        replicas.fit(streams(1), verbose=0)
    replicas.fit(X, verbose=0)  # known from an array
    assert model.n_train == 90
    if algorithm is kv.MonteCarloEM:
        with pytest.raises(ValueError, match="Expected 90 examples"):
            replicas.fit(X[:20], verbose=0)


@pytest.mark.slow
def test_eager_models_train_alike():
    models = [build(seed=seed, run_eagerly=True, jit_compile=False) for seed in (0, 1)]
    kv.Replicas(models).fit(streams(2, 2), verbose=0)
    alone = build(seed=1, run_eagerly=True, jit_compile=False)
    alone.fit(streams(2, 2)[1], verbose=0)
    assert_alike(models[1], alone)


@pytest.mark.slow
def test_validation_and_history_are_those_of_fit():
    models = [build(seed=seed) for seed in (3, 4)]
    histories = kv.Replicas(models).fit(
        X, batch_size=20, epochs=2, validation_data=(X[:30], None), verbose=0
    )
    alone = build(seed=4)
    expected = alone.fit(X, batch_size=20, epochs=2, validation_data=(X[:30], None), verbose=0)
    assert histories[1].epoch == expected.epoch == [0, 1]
    assert histories[1].history.keys() == expected.history.keys()
    for name, values in expected.history.items():
        # float32 sums in another order
        np.testing.assert_allclose(histories[1].history[name], values, rtol=1e-4, err_msg=name)


class Stops(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == 1


@pytest.mark.slow
def test_a_callback_stops_only_its_model():
    models = [build(seed=seed) for seed in (3, 4)]
    histories = kv.Replicas(models).fit(
        X, batch_size=20, epochs=4, callbacks=[[Stops()], []], verbose=0
    )
    assert [len(fit.epoch) for fit in histories] == [2, 4]
    for model, epochs in zip(models, (2, 4)):
        alone = build(seed=model.seed)
        alone.fit(X, batch_size=20, epochs=epochs, verbose=0)
        assert_alike(model, alone)


def test_backups_of_different_epochs(tmp_path):
    """One model was backed up after an epoch, the other one never."""
    models = [build(seed=seed) for seed in (0, 1)]
    backups = [
        keras.callbacks.BackupAndRestore(tmp_path / name, delete_checkpoint=False) for name in "ab"
    ]
    models[0].fit(X, batch_size=20, callbacks=[backups[0]], verbose=0)
    with pytest.raises(ValueError, match=r"the same epoch for all models.*Received: .*None"):
        kv.Replicas(models).fit(X, batch_size=20, callbacks=[[b] for b in backups], verbose=0)


def test_callbacks_are_for_each_model():
    with pytest.raises(ValueError, match=r"Expected 2 lists of callbacks.*Received: 1"):
        kv.Replicas([build(seed=0), build(seed=1)]).fit(X, callbacks=[Stops()], verbose=0)


def test_models_whose_weights_were_copied_by_assign():
    """On JAX the variables of both models then have the same arrays."""
    original, copied = build(), build(seed=1)
    for variable, other in zip(copied.variables, original.variables):
        variable.assign(other)
    one, two = build(), build()
    kv.Replicas([original, copied]).fit(streams(2))
    kv.Replicas([one, two]).fit(streams(2))
    assert_alike(original, one)
    assert_alike(copied, two)


class Counting(Sizes):
    """Counts the calls of Keras' hooks."""

    def __init__(self, sizes):
        super().__init__(sizes)
        self.begun = self.ended = 0

    def on_epoch_begin(self):
        self.begun += 1

    def on_epoch_end(self):
        self.ended += 1


def test_every_stream_reaches_the_end_of_each_epoch():
    """As that of one model in `fit`."""
    alone, *sources = (Counting((10, 10)) for _ in range(3))
    build().fit(alone, epochs=2, verbose=0)
    models = [build(seed=seed) for seed in (0, 1)]
    kv.Replicas(models).fit(sources, epochs=2, verbose=0)
    for source in sources:
        assert (source.begun, source.ended) == (alone.begun, alone.ended)
    assert alone.begun == 2
