"""The contract of `fit` and `evaluate` for every algorithm, including a user's own."""

import itertools

import keras
import numpy as np
import pytest
from contract import (
    BATCH,
    CASES,
    X13,
    Runner,
    X,
    assert_equal,
    assert_same,
    case_name,
    differ,
    set_state,
    state,
)
from keras import ops
from streams import Batches

import keras_aevb as kv

LABELS = np.arange(len(X)) % 2
WEIGHTS = np.random.default_rng(0).uniform(0, 3, len(X)).astype("float32")


@pytest.fixture(scope="module", params=CASES, ids=case_name)
def runner(request):
    return Runner(request.param)


@pytest.fixture(scope="module")
def expected(runner):
    """Two epochs on arrays, in the order of the rows."""
    return runner.fit()


# Reproducibility


def test_the_same_seed_gives_the_same_results(runner, expected):
    """Six times, since a race condition seldom shows in the first run."""
    for _ in range(6):
        assert_same(runner.fit(), expected)


def test_another_seed_gives_other_results(runner):
    states = [runner.case.build(seed, False).seed_generator.state.numpy() for seed in (0, 1)]
    logs = []
    for noise in states:
        runner.reset()
        runner.model.seed_generator.state.assign(noise)
        logs.append(runner.model.evaluate(X, batch_size=BATCH, verbose=0))
    assert logs[0] != logs[1]


def test_methods_take_a_seed(runner):
    methods = [lambda seed: runner.model.sample(5, seed=seed)]
    if runner.case.recognition:
        methods.append(lambda seed: runner.model.elbo(X, seed=seed))
    for method in methods:
        np.testing.assert_array_equal(method(0), method(0))
        assert np.any(method(0) != method(1))
        assert np.any(method(None) != method(None))


# Arrays and streams


@pytest.mark.parametrize("convert", [np.float64, ops.convert_to_tensor])
def test_arrays_of_all_kinds_train_alike(convert, runner, expected):
    assert_same(runner.fit(convert(X)), expected)


def test_labels_are_ignored(runner, expected):
    assert_same(runner.fit(X, np.zeros(len(X))), expected)


def as_tf_dataset(batches):
    tf = pytest.importorskip("tensorflow")
    arrays = tuple(map(np.concatenate, zip(*batches)))
    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH)


def as_torch_loader(batches):
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(np.concatenate(parts)) for parts in zip(*batches)]
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), batch_size=BATCH)


def as_rows(batches):
    return kv.EpochMinibatches(tuple(map(np.concatenate, zip(*batches))), BATCH, shuffle=False)


STREAMS = {
    "PyDataset": Batches,
    "generator": lambda batches: (batch for batch in 2 * batches),  # epochs
    "tf.data": as_tf_dataset,
    "torch": as_torch_loader,
    "rows": as_rows,
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_train_like_arrays(kind, runner, expected):
    stream = STREAMS[kind](runner.case.batches(X))
    steps = 2 if kind == "generator" else None
    assert_same(runner.fit(stream, batch_size=None, steps_per_epoch=steps), expected)


def test_steps_by_hand_train_like_fit(runner):
    """A log is the mean over examples: the last batch of 3 counts as 3."""
    case, model = runner.case, runner.model
    set_state(model, runner.start)
    x = np.concatenate([X[:BATCH], X[BATCH : BATCH + 3]])  # not X13: MonteCarloEM has 10 chains
    steps, sizes = [], []
    for batch in case.batches(x):
        y = batch[1] if case.indexed else None
        steps.append(model.train_on_batch(batch[0], y, return_dict=True))
        sizes.append(len(batch[0]))
    values = state(model)
    history, fitted = runner.fit(Batches(case.batches(x)), batch_size=None, epochs=1)
    assert_equal(fitted, values)
    assert set(history) == set(steps[0]) == {"loss", *case.terms}
    for name, (value,) in history.items():
        by_hand = [step[name] for step in steps]
        # float32 sums in another order
        np.testing.assert_allclose(value, np.average(by_hand, weights=sizes), rtol=1e-5)


def test_evaluation_is_the_mean_of_the_objective(runner):
    """The last batch of 3 counts as 3."""
    model = runner.model
    runner.reset()
    results = [
        model.objective(ops.convert_to_tensor(batch[0]), False)
        for batch in runner.case.batches(X13)
    ]
    runner.reset()
    logs = model.evaluate(X13, batch_size=BATCH, return_dict=True, verbose=0)
    losses = np.concatenate([np.float64(loss) for loss, _ in results])
    of_batches = np.mean([losses[:5].mean(), losses[5:10].mean(), losses[10:].mean()])
    assert abs(losses.mean() - of_batches) > 1e-3  # so the two are distinguishable
    assert set(logs) == {"loss", *runner.case.terms}
    # float32 in another program
    np.testing.assert_allclose(logs["loss"], losses.mean(), rtol=1e-5)
    for name in runner.case.terms:
        values = np.concatenate([np.float64(terms[name]) for _, terms in results])
        np.testing.assert_allclose(logs[name], values.mean(), rtol=1e-5, atol=1e-6, err_msg=name)


def test_evaluation_changes_nothing_but_the_noise(runner):
    runner.reset()
    before = [*runner.model.get_weights(), *map(np.array, runner.model.optimizer.variables)]
    runner.model.evaluate(X, batch_size=BATCH, verbose=0)
    runner.case.outputs(runner.model, X)
    after = [*runner.model.get_weights(), *map(np.array, runner.model.optimizer.variables)]
    assert_equal(after, before)


def test_arguments_may_be_positional_as_in_keras(runner):
    runner.reset()
    model = runner.model
    assert len(model.fit(X, None, BATCH, 2, 0).history["loss"]) == 2
    values = model.evaluate(X, None, BATCH, 0)
    assert len(values) == 1 + len(runner.case.terms)
    assert model.metrics_names[0] == "loss"
    if runner.case.recognition:
        assert model.predict(X, BATCH, 0).shape == X.shape


# Weights of examples and of classes


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch"])
def test_sample_weights_are_weights_of_means(method, runner):
    """The loss is the mean of w · loss, as in Keras; a log is the weighted mean of its term."""
    x, weights, y = X[:BATCH], WEIGHTS[:BATCH], runner.case.labels(BATCH)

    def logs(weights):
        runner.reset()
        return getattr(runner.model, method)(x, y, weights, return_dict=True)

    each = [logs(weights) for weights in np.eye(BATCH, dtype="float32")]
    for w, received in ((weights, logs(weights)), (np.ones(BATCH), logs(None))):
        losses = BATCH * np.array([one["loss"] for one in each])
        # float32 sums in another order
        np.testing.assert_allclose(received["loss"], np.mean(w * losses), rtol=1e-5)
        for name in runner.case.terms:
            values = np.average([one[name] for one in each], weights=w)
            np.testing.assert_allclose(received[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_evaluation_takes_sample_weights(runner):
    """A column of them too."""
    runner.reset()
    batches = runner.case.batches(X)
    by_hand = [
        runner.model.test_on_batch(batch[0], sample_weight=w, return_dict=True)
        for batch, w in zip(batches, np.split(WEIGHTS, 2))
    ]
    sums = WEIGHTS.reshape(2, -1).sum(axis=1)
    for shape in ((len(X),), (len(X), 1)):
        runner.reset()
        logs = runner.model.evaluate(
            X, sample_weight=WEIGHTS.reshape(shape), batch_size=BATCH, return_dict=True, verbose=0
        )
        # float32 sums in another order
        np.testing.assert_allclose(logs["loss"], np.mean([b["loss"] for b in by_hand]), rtol=1e-5)
        for name in runner.case.terms:
            values = np.average([b[name] for b in by_hand], weights=sums)
            np.testing.assert_allclose(logs[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_examples_of_weight_zero_do_not_matter(runner):
    """In one step; in MonteCarloEM all examples affect the next step size."""
    weights = np.ones(len(X), "float32")
    weights[::4] = 0
    other = X.copy()
    other[::4] = 1 - other[::4]
    runs = []
    for x, given in ((X, weights), (other, weights), (other, np.ones(len(X), "float32"))):
        history, _ = runner.fit(x, sample_weight=given, batch_size=len(X), epochs=1)
        runs.append((history, [np.array(v) for v in runner.model.trainable_variables]))
    assert_same(runs[1], runs[0])
    assert differ(runs[2], runs[0])


def test_sample_weights_need_no_labels(runner, expected):
    """Keras drops the weights if y is None."""
    validation = (X, LABELS, WEIGHTS), (X, None, WEIGHTS)
    run = runner.fit(X, LABELS, sample_weight=WEIGHTS, validation_data=validation[0])
    assert differ(run, expected)
    assert_same(runner.fit(X, sample_weight=WEIGHTS, validation_data=validation[1]), run)


def test_class_weights_are_sample_weights(runner):
    run = runner.fit(X, LABELS, class_weight={0: 2.0})
    assert_same(run, runner.fit(X, LABELS, sample_weight=2.0 - LABELS))


def test_class_weights_of_streams(runner):
    if runner.case.indexed:
        pytest.skip("a stream's labels are indices: refused, see test_monte_carlo_em.py")
    stream = Batches([(X[:BATCH], LABELS[:BATCH]), (X[BATCH:], LABELS[BATCH:])])
    run = runner.fit(stream, batch_size=None, class_weight={0: 2.0})
    assert_same(run, runner.fit(X, LABELS, class_weight={0: 2.0}))


# Validation


def test_validation_logs_have_their_own_names(runner):
    history, _ = runner.fit(validation_data=(X13[10:], None))
    names = {"loss", *runner.case.terms}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert all(len(values) == 2 and np.all(np.isfinite(values)) for values in history.values())


def test_validation_split_is_the_tail(runner):
    split = runner.fit(X13, validation_split=3 / 13)
    assert_same(split, runner.fit(validation_data=(X13[10:], None)))


def test_validation_does_not_train(runner):
    runner.fit(epochs=1)
    alone = runner.model.get_weights()
    runner.fit(epochs=1, validation_data=(X13[10:], None))
    assert_equal(runner.model.get_weights(), alone)


@pytest.mark.parametrize("rounds", [1, 10])
def test_validation_generator_loses_no_batch(rounds, runner):
    """An epoch has two batches: all of the generator's, or the first of many."""
    generator = ((x,) for x in rounds * [X[:BATCH], X[BATCH:]])
    stream = runner.fit(epochs=1, validation_data=generator, validation_steps=2)
    assert_same(stream, runner.fit(epochs=1, validation_data=(X, None)))


class Script(keras.callbacks.Callback):
    """Sets a log value, before later callbacks read it."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


@pytest.mark.parametrize("values, epochs", [([-3, -4, -5, -6], 2), ([-6, -5, -4, -3], 4)])
def test_early_stopping_maximizes_the_bound(values, epochs, runner):
    for prefix, name in itertools.product(("", "val_"), runner.model.maximize):
        monitor = f"{prefix}{name}"
        stop = keras.callbacks.EarlyStopping(monitor, patience=1)
        history, _ = runner.fit(epochs=4, callbacks=[Script(monitor, values), stop])
        assert stop.mode == "max"
        assert len(history["loss"]) == epochs


def test_early_stopping_keeps_the_users_mode(runner):
    name = runner.model.maximize[0]
    stop = keras.callbacks.EarlyStopping(name, mode="min", patience=1)
    history, _ = runner.fit(epochs=4, callbacks=[Script(name, [-3, -4, -5, -6]), stop])
    assert len(history["loss"]) == 4


def test_a_single_callback_needs_no_list(runner):
    name = runner.model.maximize[0]
    history, _ = runner.fit(callbacks=keras.callbacks.EarlyStopping(name, patience=5))
    assert len(history["loss"]) == 2


# Bad data

BAD = {
    "above 1": (255.0, r"\[0, 1\].*255\.0"),
    "below 0": (-0.5, r"\[0, 1\].*-0\.5"),
    "NaN": (np.nan, "finite.*1 NaN and 0 infinite"),
    "inf": (np.inf, "finite.*0 NaN and 1 infinite"),
}
METHODS = {
    "fit": lambda model, x: model.fit(x, verbose=0),
    "evaluate": lambda model, x: model.evaluate(x, verbose=0),
    "validation": lambda model, x: model.fit(X, validation_data=(x, None), verbose=0),
}


@pytest.mark.parametrize("method", METHODS)
def test_bad_data_is_refused_before_training(method, runner):
    runner.reset()
    for pixel, message in BAD.values():
        bad = X.copy()
        bad[-1, -1] = pixel
        with pytest.raises(ValueError, match=message):
            METHODS[method](runner.model, bad)
    with pytest.raises(ValueError, match=r"event shape \(6,\).*\(10, 5\)"):
        METHODS[method](runner.model, X[:, :5])
    assert_equal(state(runner.model), runner.start)


@pytest.mark.parametrize("kind", ["generator", "PyDataset", "tf.data"])
def test_bad_data_in_a_stream_is_refused_before_its_batch_is_used(kind, runner):
    for pixel, message in BAD.values():
        bad = X.copy()
        bad[0, 0] = pixel
        for method in ("fit", "evaluate"):
            runner.reset()
            with pytest.raises(ValueError, match=message):
                METHODS[method](runner.model, STREAMS[kind](runner.case.batches(bad)))
            assert_equal(state(runner.model), runner.start)


def test_bad_validation_data_in_a_stream_is_refused(runner):
    bad = X.copy()
    bad[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"finite.*1 NaN"):
        runner.fit(epochs=1, validation_data=Batches([(bad,)]))
