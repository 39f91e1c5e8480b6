"""`fit` runs many steps in one program on data that stays on the device."""

import functools
import gc
import weakref

import keras
import numpy as np
import pytest
from contract import JAX, set_state, state

import keras_aevb as kv
from keras_aevb import _backend
from keras_aevb.training import epochs, sources

X = np.random.default_rng(0).random((50, 12), dtype="float32")
WEIGHTS = np.linspace(0, 2, 50, dtype="float32")


def build(algorithm=kv.AEVB, steps_per_execution=1, run_eagerly=False, jit_compile=None):
    keras.utils.set_random_seed(1)
    recognition = algorithm is not kv.MonteCarloEM
    parts = kv.networks.bernoulli_mlp(12, 2, 6, seed=0, recognition=recognition)
    settings = {} if recognition else {"n_train": 50, "updates_per_sample": 1}
    model = algorithm(**parts, **settings, seed=0)
    model.compile(
        keras.optimizers.Adagrad(0.05),
        steps_per_execution=steps_per_execution,
        run_eagerly=run_eagerly,
        jit_compile=JAX and not run_eagerly if jit_compile is None else jit_compile,
    )
    return model


@functools.cache
def built(*settings):
    """A model and its initial state; tests share its compiled programs."""
    model = build(*settings)
    return model, state(model)


def train(
    *args, algorithm=kv.AEVB, steps_per_execution=1, run_eagerly=False, jit_compile=None, **kwargs
):
    """The history and the final weights; 50 examples are 7 batches, the last one of 2."""
    model, start = built(algorithm, steps_per_execution, run_eagerly, jit_compile)
    set_state(model, start)
    history = model.fit(*args, **{"batch_size": 8, "epochs": 2, "verbose": 0, **kwargs}).history
    return history, model.get_weights()


def assert_same(run, other):
    (history, weights), (other_history, other_weights) = run, other
    assert history.keys() == other_history.keys()
    # Programs round the same float32 sums differently, and about ten steps add up. At the start the
    # KL divergence is a difference of almost equal terms, hence the absolute tolerance.
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], 1e-5, 1e-8, err_msg=name)
    for actual, desired in zip(weights, other_weights):
        np.testing.assert_allclose(actual, desired, rtol=1e-4, atol=1e-6)


@pytest.fixture
def on_the_host(monkeypatch):
    """Sends whole batches instead of row indices."""
    return lambda: monkeypatch.setattr(epochs, "HOST_BYTES", 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps_per_execution": 1},
        {"steps_per_execution": 100, "epochs": 1},
        {"algorithm": kv.WakeSleep, "sample_weight": WEIGHTS},
        {"algorithm": kv.FullVB, "validation_data": (X[:5], None), "validation_split": 0.3},
        {"algorithm": kv.MonteCarloEM},
        {"validation_split": 0.2, "sample_weight": WEIGHTS},
        {"steps_per_epoch": 3},
        {"y": np.arange(50) % 2, "class_weight": {0: 1.0, 1: 3.0}},
        {"jit_compile": True},
    ],
)
def test_rows_on_the_device_train_like_whole_batches(settings, on_the_host):
    settings = {"steps_per_execution": 3, **settings}
    actual = train(X, **settings)
    on_the_host()
    assert_same(actual, train(X, **settings))


def keras_own_fit(model, x, seed, epochs, **kwargs):
    """Keras' own loop, which calls a program for each step, on our batches."""
    stream = kv.EpochMinibatches((x,), 8, seed=seed)
    return keras.Model.fit(model, stream, epochs=epochs, shuffle=False, verbose=0, **kwargs)


@pytest.mark.parametrize(
    "algorithm, jit_compile", [(kv.AEVB, True), (kv.WakeSleep, None), (kv.FullVB, None)]
)
def test_equals_keras_own_fit(algorithm, jit_compile):
    actual, desired = (build(algorithm, steps, False, jit_compile) for steps in (3, 1))
    actual.adapt(X) or desired.adapt(X)
    history = actual.fit(X, batch_size=8, epochs=2, verbose=0).history
    other = keras_own_fit(desired, X, seed=0, epochs=2).history
    assert_same((history, actual.get_weights()), (other, desired.get_weights()))


def test_the_order_of_examples_is_as_documented():
    """Epoch e uses the order of `default_rng([seed, e])`, on both backends."""
    orders = [np.random.default_rng([0, epoch]).permutation(50) for epoch in range(3)]
    model = build()
    model.fit(X, batch_size=8, epochs=3, initial_epoch=1, verbose=0)
    other = build()
    for order in orders[1:]:
        other.fit(X[order], batch_size=8, shuffle=False, verbose=0)
    for actual, desired in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(actual, desired)


def test_steps_per_epoch_takes_every_batch_once_in_a_pass():
    """Seven batches, three steps per epoch: seven epochs are three passes."""
    seen = []

    class Stream(kv.EpochMinibatches):
        def rows(self, i):
            seen.append(super().rows(i))
            return seen[-1]

    model = build(steps_per_execution=2)
    model.fit(Stream((X,), 8, seed=0), steps_per_epoch=3, epochs=7, verbose=0)
    for one_pass in np.split(np.arange(21), 3):
        rows = np.concatenate([seen[i] for i in one_pass])
        np.testing.assert_array_equal(np.sort(rows), np.arange(50))


def test_debugging_limits():
    """Keras' debugging limits of epochs and steps take effect."""
    ends = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: ends.append(i))
    keras.config.set_max_epochs(2)
    keras.config.set_max_steps_per_epoch(3)
    try:
        train(X, epochs=5, callbacks=[callback])
        keras.config.set_max_steps_per_epoch(9)  # more than the stream's seven batches
        train(X, epochs=1, callbacks=[callback], steps_per_epoch=20)
    finally:
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
    assert ends == [0, 1, 2, 0, 1, 2, *range(9)]


class Stream(keras.utils.PyDataset):
    """Batches without row indices."""

    def __len__(self):
        return 7

    def __getitem__(self, i):
        return (X[8 * i : 8 * i + 8],)


def test_streams_train_like_arrays_with_several_steps_in_one_execution():
    expected = train(X, shuffle=False)
    settings = {"steps_per_execution": 3, "shuffle": False}
    for stream in (Stream(), kv.EpochMinibatches((X,), 8, shuffle=False)):
        assert_same(train(stream, batch_size=None, **settings), expected)


def test_eager_steps_train_like_compiled_ones():
    settings = {"shuffle": False, "epochs": 1}
    assert_same(train(X, run_eagerly=True, steps_per_execution=3, **settings), train(X, **settings))


def test_callbacks_come_after_each_execution():
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: seen.append(i))
    train(X, steps_per_execution=3, epochs=1, callbacks=[callback])
    assert seen == [2, 5, 8]  # Keras counts the last execution as complete


def test_callbacks_can_access_weights():
    """A callback may read and change the model between steps, as in Keras."""

    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = self.model.trainable_variables[0]
            self.before = kernel.numpy().copy()
            kernel.assign(kernel / 2)

    callback = Halve()
    _, weights = train(X, epochs=1, callbacks=[callback], steps_per_execution=3)
    np.testing.assert_allclose(weights[0], callback.before / 2)


def gathered(monkeypatch, x, **kwargs):
    """Whether `fit` puts the arrays on the device and gathers rows there."""
    put = []
    model, _ = built(kv.AEVB, 1, True)
    with monkeypatch.context() as patch:
        original = sources.on_device
        patch.setattr(sources, "on_device", lambda *args: put.append(args) or original(*args))
        model.fit(x, **{"batch_size": 50, "verbose": 0, **kwargs})
    return bool(put)


@pytest.mark.slow
def test_arrays_stay_on_the_device_if_they_fit(monkeypatch):
    assert gathered(monkeypatch, X)
    assert gathered(monkeypatch, keras.ops.convert_to_tensor(X))
    assert gathered(monkeypatch, kv.RandomMinibatches(X, 8, 0, 0, 1), batch_size=None)
    assert gathered(monkeypatch, X, validation_split=0.3)
    assert gathered(monkeypatch, X, validation_split=0.3, validation_data=(X, None))
    assert gathered(monkeypatch, X, steps_per_epoch=1)
    assert not gathered(monkeypatch, Stream(), batch_size=None, steps_per_epoch=1)
    monkeypatch.setattr(epochs, "HOST_BYTES", X.nbytes - 1)
    assert not gathered(monkeypatch, X)


def test_the_arrays_are_released():
    """The model keeps no reference to the data after `fit`, even if `fit` fails."""
    model = build()
    x = X.copy()
    gone = weakref.ref(x)
    model.fit(x, batch_size=8, verbose=0)
    with pytest.raises(ZeroDivisionError):
        failing = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: 1 / 0)
        model.fit(x, batch_size=8, verbose=0, callbacks=[failing])
    del x
    gc.collect()
    assert gone() is None


@pytest.mark.slow
def test_other_settings_build_another_program():
    """After another `compile`, the new optimizer and number of steps take effect."""
    model = kv.AEVB(**kv.networks.bernoulli_mlp(12, 2, 6, seed=0), seed=0)
    ends = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: ends.append(i))
    model.compile(keras.optimizers.Adagrad(0.1), jit_compile=True)
    model.fit(X, batch_size=8, verbose=0, callbacks=[callback])
    assert ends == list(range(7))
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.0), steps_per_execution=3, jit_compile=True)
    model.fit(X, batch_size=8, verbose=0, callbacks=[callback])
    assert ends[7:] == [2, 5, 8]
    for actual, desired in zip(model.get_weights(), before):
        np.testing.assert_array_equal(actual, desired)


class Halved(kv.EpochMinibatches):
    """A stream that changes the rows."""

    def __getitem__(self, i):
        (x,) = super().__getitem__(i)
        return (x / 2,)


def test_streams_may_change_the_rows(monkeypatch):
    stream = Halved((X,), 8, shuffle=False)
    assert not gathered(monkeypatch, stream, batch_size=None)
    assert_same(train(stream, batch_size=None), train(X / 2, shuffle=False))


@pytest.mark.parametrize("row", [-1, 50])
def test_out_of_range_rows_are_an_error(row):
    class Wrong(kv.EpochMinibatches):
        def rows(self, i):
            return np.array([0, row if i == 3 else 1])

    with pytest.raises(IndexError, match=r"row indices from 0 to 49.*in batch 3"):
        train(Wrong((X,), 8), batch_size=None)


def test_hooks_may_change_the_rows_that_batches_refer_to():
    """A group of steps may include the end of an epoch."""

    class Shuffled(kv.RowBatches):
        def __init__(self, copies):
            super().__init__((X,))
            self.copies = copies
            self.order = np.arange(16, dtype="int32")
            self.random = np.random.default_rng(0)

        def __len__(self):
            return 2

        def rows(self, i):
            rows = self.order[8 * i : 8 * i + 8]
            return rows.copy() if self.copies else rows

        def on_epoch_end(self):
            self.random.shuffle(self.order)

    settings = {"steps_per_execution": 4, "batch_size": None, "epochs": 2}
    assert_same(train(Shuffled(True), **settings), train(Shuffled(False), **settings))


def test_epoch_hooks_of_a_stream_are_called():
    """Each epoch calls both hooks, and takes every batch once between them."""
    events = []

    class Stream(kv.RowBatches):
        def __len__(self):
            return 3

        def rows(self, i):
            events.append(i)
            return np.arange(8 * i, 8 * i + 8)

        def on_epoch_begin(self):
            events.append("begin")

        def on_epoch_end(self):
            events.append("end")

    train(Stream((X,)), steps_per_execution=2, batch_size=None)
    assert events == 2 * ["begin", 0, 1, 2, "end"]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # Keras warns of it too
def test_an_exhausted_generator():
    """It has batches only for the first of two epochs."""
    with pytest.raises(ValueError, match=r"in every epoch. Received: none in epoch 2"):
        train(iter([(X[:8],)]), batch_size=None, epochs=2, steps_per_epoch=1)


@pytest.mark.parametrize("num_batches", [1, 3])
def test_an_epoch_over_a_whole_generator_is_the_last(num_batches):
    """Keras' own `fit` would train on the first batches again."""
    batches = (batch for batch in num_batches * [(X[:8],)])
    with pytest.raises(ValueError, match=r"in every epoch. Received: none in epoch 2"):
        train(batches, batch_size=None, epochs=2)


class Failing(kv.EpochMinibatches):
    """Five batches, one of which fails."""

    def __init__(self, failure):
        super().__init__((X,), batch_size=10, shuffle=False)
        self.failure = failure

    def rows(self, i):
        if i == self.failure:
            raise MemoryError
        return super().rows(i)


@pytest.mark.parametrize("failure, expected", [(1, 0), (3, 2)])
def test_the_model_keeps_its_values_if_a_stream_fails(failure, expected):
    """The stream fails in the first or the second execution."""
    model = build(steps_per_execution=2)
    with pytest.raises(MemoryError):
        model.fit(Failing(failure), verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert int(model.optimizer.iterations) == expected


def test_values_set_after_a_failed_batch_are_kept():
    """No values of the failed batch are written back when a callback accesses the model later."""

    class Reads(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.first_weight = self.model.get_weights()[0]

    model, callback = build(), Reads()
    with pytest.raises(ValueError, match=r"event shape \(12,\)"):
        model.train_on_batch(np.zeros((3, 5), "float32"))
    halves = [weights / 2 for weights in model.get_weights()]
    model.set_weights(halves)
    model.fit(X, epochs=1, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.first_weight, halves[0])


def interrupted_program(monkeypatch, raise_signal):
    """Sends Ctrl-C at the end of each program's run, when JAX may have donated its inputs."""
    for program in (_backend.Program, _backend.PredictProgram):
        original = program.__init__

        def init(self, *args, original=original):
            original(self, *args)
            for part in getattr(self, "_programs", [self]):
                for name in ("_run", "_steps_in_python", "step"):
                    if hasattr(part, name):
                        monkeypatch.setattr(part, name, signalled(getattr(part, name)))

        monkeypatch.setattr(program, "__init__", init)

    def signalled(run):
        def interrupted(*arguments):
            results = run(*arguments)
            raise_signal()
            return results

        interrupted.trace = getattr(run, "trace", None)  # `_is_fast_in_a_loop` calls it
        return interrupted


# On JAX, a model without XLA runs eagerly; on TensorFlow, XLA would only slow these tests down.
SETTINGS_OF_MODES = {
    "compiled": {"jit_compile": JAX},
    "eager": {"run_eagerly": True, "jit_compile": False},
}
MODES = ["compiled", pytest.param("eager", marks=pytest.mark.slow)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("data", ["arrays", "stream"])
def test_the_model_keeps_its_values_after_ctrl_c(data, mode, monkeypatch, ctrl_c):
    """A group of steps completes before the interruption."""
    interrupted_program(monkeypatch, ctrl_c)
    model = build(steps_per_execution=5, **SETTINGS_OF_MODES[mode])
    batches = ((X[i : min(i + 10, 47)],) for i in range(0, 50, 10))
    x = {"x": X[:47], "batch_size": 10} if data == "arrays" else {"x": batches}
    with pytest.raises(KeyboardInterrupt):
        model.fit(**x, verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert np.isfinite(model.elbo(X)).all()
    assert int(model.optimizer.iterations) in (4, 5)  # JAX has a group for each shape


CALLS = {
    "fit with validation": lambda m: m.fit(X, batch_size=10, validation_data=(X, None), verbose=0),
    "evaluate": lambda m: m.evaluate(X, verbose=0),
    "predict": lambda m: m.predict(X, verbose=0),
    "train_on_batch": lambda m: m.train_on_batch(X),
    "test_on_batch": lambda m: m.test_on_batch(X),
    "predict_on_batch": lambda m: m.predict_on_batch(X),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_in_any_method(call, mode, monkeypatch, ctrl_c):
    interrupted_program(monkeypatch, ctrl_c)
    model = build(**SETTINGS_OF_MODES[mode])
    with pytest.raises(KeyboardInterrupt):
        CALLS[call](model)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert np.isfinite(model.elbo(X)).all()


class Breaks(keras.callbacks.Callback):
    """Fails in one of the hooks of callbacks."""

    def __init__(self, hook):
        super().__init__()
        setattr(self, hook, self.fail)

    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")


HOOKS = {
    "fit": ["train_begin", "epoch_begin", "train_batch_begin", "train_batch_end", "epoch_end"],
    "evaluate": ["test_begin", "test_batch_begin", "test_batch_end", "test_end"],
    "predict": ["predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end"],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", HOOKS)
def test_the_model_keeps_its_values_if_a_callback_fails(method, mode):
    model, x = build(**SETTINGS_OF_MODES[mode]), X[:8]
    before = model.elbo(x, seed=0)
    for hook in HOOKS[method]:
        with pytest.raises(OSError, match="No space"):
            getattr(model, method)(x, callbacks=[Breaks(f"on_{hook}")], verbose=0)
        now = model.elbo(x, seed=0)
        assert np.isfinite(now).all()
        if hook not in ("train_batch_end", "epoch_end"):  # before the first step, or without any
            np.testing.assert_array_equal(now, before)
        before = now


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_xla_trains_convolutions_without_a_loop_on_a_cpu(jit_compile):
    """XLA's gradient of a convolution is slow in loops on CPUs. Results equal Keras' own `fit`."""

    def build(steps_per_execution):
        model = kv.AEVB(
            encoder=keras.layers.Conv2D(2, 2, strides=2),
            decoder=keras.Sequential([keras.layers.Dense(8), keras.layers.Reshape((2, 2, 2))]),
            posterior=kv.DiagonalNormal(2),
            likelihood=kv.Bernoulli((4, 4, 1), keras.layers.Conv2DTranspose(1, 2, strides=2)),
            seed=0,
        )
        keras.utils.set_random_seed(0)
        for layer in (model.encoder, model.decoder, model.posterior, model.likelihood):
            for weight in layer.trainable_weights:
                weight.assign(keras.random.normal(weight.shape, stddev=0.1))
        model.compile("sgd", steps_per_execution=steps_per_execution, jit_compile=jit_compile)
        return model

    x = np.random.default_rng(0).random((50, 4, 4, 1), dtype="float32")
    actual, desired = build(3), build(1)
    history = actual.fit(x, batch_size=8, epochs=2, verbose=0).history
    other = keras_own_fit(desired, x, seed=0, epochs=2).history
    assert_same((history, actual.get_weights()), (other, desired.get_weights()))
    replicas = [build(3), build(3)]
    kv.Replicas(replicas).fit(x, batch_size=8, epochs=2, verbose=0)
    for alone, side_by_side in zip(actual.get_weights(), replicas[1].get_weights()):
        np.testing.assert_allclose(side_by_side, alone, rtol=1e-4, atol=1e-6)  # as above
    program = actual._programs.get("train", lambda: None)
    programs = [program] if JAX else program._programs
    assert [p.in_a_loop for p in programs] == [None if JAX and not jit_compile else not jit_compile]


@pytest.mark.parametrize("method", ["fit", "fit with a stream", "evaluate"])
def test_arrays_that_cannot_change_are_checked_once(monkeypatch, method):
    """A new array, a change of the likelihood and a failed check each lead to one more check."""
    calls, check = [], kv.Bernoulli.check
    monkeypatch.setattr(
        kv.Bernoulli, "check", lambda self, x: calls.append(len(x)) or check(self, x)
    )
    model = build()

    def checks(*arrays):
        calls.clear()
        for x in arrays:
            if method == "evaluate":
                model.evaluate(x, batch_size=50, verbose=0)
            elif method == "fit":
                model.fit(x, batch_size=50, verbose=0)
            else:
                model.fit(kv.RandomMinibatches(x, 8, 0, 0, 1), verbose=0)
        return len(calls)

    tensor, array = keras.ops.convert_to_tensor(X), X.copy()
    other = tensor + 0
    assert checks(tensor, tensor) == 1
    assert checks(other, tensor, other, tensor + 0) == 2
    assert checks(array, array) == 2
    array.flags.writeable = False
    assert checks(array, array) == 1
    assert checks(array[:], array[:]) == 2  # views, whose base may become writeable
    model.likelihood.setting = "another"
    assert checks(array, array) == 1
    invalid = tensor + 2
    for _ in range(2):
        with pytest.raises(ValueError, match="pixels in"):
            checks(invalid)
