"""`fit` runs many steps in one program on data that stays on the device."""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb._backend import resident

X = np.random.default_rng(0).random((50, 12), dtype="float32")
WEIGHTS = np.linspace(0, 2, 50, dtype="float32")


def build(algorithm=kv.AEVB, steps_per_execution=1, run_eagerly=False):
    keras.utils.set_random_seed(1)
    recognition = algorithm is not kv.MonteCarloEM
    model = algorithm(
        **kv.networks.bernoulli_mlp(12, 2, 6, seed=0, recognition=recognition), seed=0
    )
    model.compile(
        keras.optimizers.Adagrad(0.05),
        steps_per_execution=steps_per_execution,
        run_eagerly=run_eagerly,
        jit_compile=not run_eagerly,
    )
    return model


def train(*args, algorithm=kv.AEVB, steps_per_execution=1, run_eagerly=False, **kwargs):
    """The history and the final weights; 50 examples are 7 batches, the last one of 2."""
    model = build(algorithm, steps_per_execution, run_eagerly)
    history = model.fit(*args, **{"batch_size": 8, "epochs": 2, "verbose": 0, **kwargs}).history
    return history, model.get_weights()


def assert_same(run, other):
    (history, weights), (other_history, other_weights) = run, other
    assert history.keys() == other_history.keys()
    # float32: another program for the same sums; some ten steps. The divergence at the start is a
    # difference of terms that are almost equal.
    for name, values in history.items():
        np.testing.assert_allclose(values, other_history[name], 1e-5, 1e-8, err_msg=name)
    for ours, theirs in zip(weights, other_weights):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.fixture
def keras_own_fit(monkeypatch):
    """Keras' loop in place of ours: a program for each step."""

    def switch():
        monkeypatch.delattr(resident.Model, "fit")
        monkeypatch.delattr(resident.Model, "make_train_function")

    return switch


@pytest.mark.parametrize(
    "settings",
    [
        {"steps_per_execution": 1},
        {"steps_per_execution": 100},
        {"algorithm": kv.WakeSleep, "sample_weight": WEIGHTS},
        {"algorithm": kv.FullVB, "validation_data": (X[:5], None), "validation_split": 0.3},
        {"algorithm": kv.MonteCarloEM},
        {"shuffle": "batch"},
        {"validation_split": 0.3, "sample_weight": WEIGHTS},
        {"steps_per_epoch": 3},
        {"y": np.arange(50) % 2, "class_weight": {0: 1.0, 1: 3.0}},
    ],
)
def test_equals_keras_own_fit(settings, keras_own_fit):
    # On TensorFlow, Keras draws the orders of arrays from a generator that NumPy's seed leaves be.
    settings = {"shuffle": keras.backend.backend() == "jax", **settings}
    settings = {"steps_per_execution": 3, **settings}
    ours = train(X, **settings)
    keras_own_fit()
    assert_same(ours, train(X, **settings))


class Stream(keras.utils.PyDataset):
    """Batches that are not known by their rows."""

    def __len__(self):
        return 7

    def __getitem__(self, i):
        return (X[8 * i : 8 * i + 8],)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_streams_and_eager_steps(steps_per_execution):
    expected = train(X, shuffle=False)
    settings = {"steps_per_execution": steps_per_execution, "shuffle": False}
    for stream in (Stream(), kv.EpochMinibatches((X,), 8, shuffle=False)):
        assert_same(train(stream, batch_size=None, **settings), expected)
    if keras.backend.backend() == "jax":  # TensorFlow draws other noise inside of XLA programs
        assert_same(train(X, run_eagerly=True, **settings), expected)


def test_callbacks_come_after_each_execution():
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: seen.append(i))
    train(X, steps_per_execution=3, epochs=1, callbacks=[callback])
    assert seen == [2, 5, 8]  # Keras counts the last execution as if it were whole


def test_weights_are_there_during_training():
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
    """Whether `fit` puts the arrays on the device, for the program to pick rows there."""
    put, trained = [], []
    with monkeypatch.context() as patch:
        patch.setattr(resident, "on_device", put.append)
        patch.setattr(keras.Model, "fit", lambda *args, **kwargs: trained.append(args))
        model = build()
        model.fit(x, **{"batch_size": 8, **kwargs})
    assert len(trained) == 1
    return bool(put)


def test_arrays_stay_on_the_device_if_they_fit(monkeypatch):
    assert gathered(monkeypatch, X)
    assert gathered(monkeypatch, keras.ops.convert_to_tensor(X))
    assert gathered(monkeypatch, kv.RandomMinibatches(X, 8, 0, 0, 3), batch_size=None)
    assert gathered(monkeypatch, X, validation_split=0.3)
    assert gathered(monkeypatch, X, validation_split=0.3, validation_data=(X, None))
    assert not gathered(monkeypatch, X, steps_per_epoch=3)
    assert not gathered(monkeypatch, Stream(), batch_size=None)
    monkeypatch.setattr(resident, "HOST_BYTES", X.nbytes - 1)
    assert not gathered(monkeypatch, X)


def test_the_arrays_are_let_go_of():
    model = kv.AEVB(**kv.networks.bernoulli_mlp(12, 2, 6, seed=0), seed=0)
    model.compile(jit_compile=True)
    model.fit(X, batch_size=8, verbose=0)
    assert model.train_function.arrays is None
    with pytest.raises(ZeroDivisionError):
        failing = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: 1 / 0)
        model.fit(X, batch_size=8, verbose=0, callbacks=[failing])
    assert model.train_function.arrays is None
    model.fit(X, batch_size=8, verbose=0)


def test_other_settings_make_another_program():
    """`compile` again: another optimizer and number of steps are in force."""
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
    for ours, theirs in zip(model.get_weights(), before):
        np.testing.assert_array_equal(ours, theirs)


class Halved(kv.EpochMinibatches):
    """A stream that changes the rows."""

    def __getitem__(self, i):
        (x,) = super().__getitem__(i)
        return (x / 2,)


def test_streams_that_change_the_rows_are_heeded(monkeypatch):
    stream = Halved((X,), 8, shuffle=False)
    assert not gathered(monkeypatch, stream, batch_size=None)
    assert_same(train(stream, batch_size=None), train(X / 2, shuffle=False))


def test_class_weights_of_streams(monkeypatch):
    labels, weights = np.arange(50) % 2, {0: 1.0, 1: 3.0}
    stream = kv.EpochMinibatches((X, labels), 8, shuffle=False)
    expected = train(X, y=labels, class_weight=weights, shuffle=False)
    assert_same(train(stream, batch_size=None, class_weight=weights), expected)


@pytest.mark.parametrize("row", [-1, 50])
def test_rows_that_do_not_exist_are_an_error(row):
    class Wrong(kv.EpochMinibatches):
        def rows(self, i):
            return np.array([0, row if i == 3 else 1])

    # TensorFlow has an error of its own around that of a stream.
    with pytest.raises(Exception, match="numbers of rows from 0 to 49"):
        train(Wrong((X,), 8), batch_size=None)


def test_a_stream_is_told_of_its_epochs():
    """Every batch once in each epoch, between the beginning and the end."""
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
    # The first batch was looked at before.
    assert events[events.index("begin") :] == 2 * ["begin", 0, 1, 2, "end"]


class Failing(kv.EpochMinibatches):
    """Five batches, one of which cannot be had."""

    def __init__(self, failure):
        super().__init__((X,), batch_size=10, shuffle=False)
        self.failure = failure

    def rows(self, i):
        if i == self.failure:
            raise MemoryError
        return super().rows(i)


@pytest.mark.parametrize("failure, expected", [(1, 0), (3, 2)])
def test_a_stream_that_fails_leaves_the_model_its_values(failure, expected):
    """In the first execution, or the second. (Keras may draw one batch ahead.)"""
    model = build(steps_per_execution=2)
    with pytest.raises(MemoryError):
        model.fit(Failing(failure), verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert int(model.optimizer.iterations) == expected


def test_values_that_come_after_a_failed_batch_stay():
    """Nothing of the failed batch is written back when a callback asks for the model later."""

    class Reads(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.first_weight = self.model.get_weights()[0]

    model, callback = build(), Reads()
    with pytest.raises(Exception):  # noqa: B017  the backends' errors differ
        model.train_on_batch(np.zeros((3, 5), "float32"))
    halves = [weights / 2 for weights in model.get_weights()]
    model.set_weights(halves)
    model.fit(X, epochs=1, verbose=0, callbacks=[callback])
    np.testing.assert_array_equal(callback.first_weight, halves[0])


@pytest.mark.parametrize("resident_data", [True, False])
def test_ctrl_c_leaves_the_model_its_values(resident_data, monkeypatch, ctrl_c):
    """While a program runs, whose first group of steps has taken the memory of the old values."""
    if keras.backend.backend() != "jax":
        pytest.skip("on TensorFlow variables keep their memory")
    # Four batches of 10 and one of 7: two groups of one shape.
    model = build(steps_per_execution=5)
    model.make_train_function()
    program = model.train_function.program
    run = program._run

    def interrupted(*arguments):
        results = run(*arguments)
        ctrl_c()
        return results

    monkeypatch.setattr(program, "_run", interrupted)
    batches = ((X[i : min(i + 10, 47)],) for i in range(0, 50, 10))
    data = {"x": X[:47], "batch_size": 10} if resident_data else {"x": batches}
    with pytest.raises(KeyboardInterrupt):
        model.fit(**data, verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert int(model.optimizer.iterations) == 5


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "train_on_batch"])
def test_ctrl_c_outside_of_training_steps(call, monkeypatch, ctrl_c):
    """While a program of evaluation runs, or in a single step of training."""
    if keras.backend.backend() != "jax":
        pytest.skip("on TensorFlow variables keep their memory")
    model = build()
    model.make_train_function()
    model.make_test_function()
    model.make_predict_function()
    place, name = {
        "predict": (model.predict_function, "function"),
        "train_on_batch": (model.train_function.program, "_run"),
    }.get(call, (model.test_function, "function"))
    run = getattr(place, name)

    def interrupted(*arguments):
        results = run(*arguments)
        ctrl_c()
        return results

    monkeypatch.setattr(place, name, interrupted)
    arguments = {"fit": {"validation_data": (X, None), "batch_size": 10}}.get(call, {})
    with pytest.raises(KeyboardInterrupt):
        getattr(model, call)(X, **arguments)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert int(model.optimizer.iterations) == {"fit": 5, "train_on_batch": 1}.get(call, 0)
