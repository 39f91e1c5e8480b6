"""`elbo` and similar methods accept the same data as `predict`, with the same results."""

import time

import keras
import numpy as np
import pytest
from keras import ops
from streams import Batches

import keras_aevb as kv
from keras_aevb.training import inputs
from keras_aevb.training.progress import PATIENCE, Progress

Y = np.arange(13) % 3


def as_tf_dataset(arrays, size):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(size)


def cut(arrays, size):
    n = len(arrays[0])
    return [tuple(a[i : i + size] for a in arrays) for i in range(0, n, size)]


class Arrays(keras.utils.PyDataset):
    def __init__(self, arrays, size, **kwargs):
        super().__init__(**kwargs)
        self.batches = cut(arrays, size)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        time.sleep(0.01 * (i == 0))  # with workers, the second batch is ready first
        return self.batches[i]


STREAMS = {
    "tf.data": as_tf_dataset,
    "PyDataset": lambda arrays, size: Batches(cut(arrays, size)),
    "PyDataset, workers": lambda arrays, size: Arrays(arrays, size, workers=2),
    "generator": lambda arrays, size: (batch for batch in cut(arrays, size)),
    "EpochMinibatches": lambda arrays, size: kv.EpochMinibatches(arrays, size, shuffle=False),
}
MEASURES = {
    "elbo": lambda m, x: m.elbo(x, batch_size=5, seed=0),
    "log_likelihood": lambda m, x: m.log_likelihood(x, 3, batch_size=5, seed=0),
    "encode": lambda m, x: np.asarray(m.encode(x, batch_size=5).mean()),
    "reconstruct": lambda m, x: m.reconstruct(x),
    "impute": lambda m, x: m.impute(x),
    "elbo_terms": lambda m, x: kv.evaluation.elbo_terms(m, x, batch_size=5, seed=0)["kl"],
}
each_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


@pytest.fixture(scope="module")
def conditional_model(make_model):
    join = kv.networks.Joined
    return make_model(
        encoder=join(keras.layers.Dense(5, "tanh")),
        decoder=join(keras.layers.Dense(4, "tanh")),
        condition=kv.Condition(num_classes=3),
    )


@each_measure
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_give_the_results_of_arrays(kind, measure, model, x):
    """Batches of 4 are regrouped to 5; `reconstruct`, like `predict`, keeps them."""
    # Matrix products with another number of rows round in another order.
    expected, found = measure(model, x), measure(model, STREAMS[kind]((x,), 4))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_yield_the_condition(kind, conditional_model, x):
    def stream():
        return STREAMS[kind]((x, Y), 4)

    elbo = conditional_model.elbo(x, condition=Y, seed=0)
    np.testing.assert_array_equal(conditional_model.elbo(stream(), seed=0), elbo)
    # Matrix products with another number of rows round in another order.
    found = conditional_model.reconstruct(stream())
    np.testing.assert_allclose(found, conditional_model.reconstruct(x, condition=Y), rtol=1e-5)
    found = conditional_model.encode(stream()).mean()
    np.testing.assert_allclose(found, conditional_model.encode(x, condition=Y).mean(), rtol=1e-5)
    log_p = conditional_model.log_likelihood(x, 3, seed=0, condition=Y)
    np.testing.assert_array_equal(conditional_model.log_likelihood(stream(), 3, seed=0), log_p)


def test_a_stream_and_a_condition_beside_it(conditional_model, x):
    with pytest.raises(ValueError, match=r"yields its own condition.*ndarray"):
        conditional_model.elbo(Batches([(x, Y)]), condition=Y)
    with pytest.raises(ValueError, match=r"needs a condition.*in batch 0 of the stream"):
        conditional_model.elbo(Batches([(x,)]))


def test_a_bad_batch_is_named(model, x):
    with pytest.raises(ValueError, match=r"\[0, 1\].*in batch 1 of the stream \(the first is 0\)"):
        model.elbo(Batches([(x,), (2 * x,)]))


def test_labels_of_a_model_without_condition_are_ignored(model, x):
    np.testing.assert_array_equal(model.elbo(Batches([(x, Y)]), seed=0), model.elbo(x, seed=0))


def test_an_array_may_be_a_list_a_tensor_or_lie_on_disk(model, x, tmp_path):
    np.save(tmp_path / "x.npy", x)
    on_disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    for other in (x.tolist(), ops.convert_to_tensor(x), on_disk):
        np.testing.assert_array_equal(model.elbo(other, seed=0), model.elbo(x, seed=0))
        mean = np.asarray(model.encode(x).mean())
        np.testing.assert_allclose(model.encode(other).mean(), mean, rtol=1e-6)


def test_classify_takes_streams(make_model, x):
    join = kv.networks.Joined
    model = make_model(
        kv.SemiSupervisedAEVB,
        classifier=keras.layers.Dense(3),
        encoder=join(keras.layers.Dense(5, "tanh")),
        decoder=join(keras.layers.Dense(4, "tanh")),
        condition=kv.Condition(num_classes=3),
    )
    found = model.classify(Batches([(x, np.full(13, -1))]), batch_size=5)
    np.testing.assert_array_equal(found, model.classify(x, batch_size=5))


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.FullVB])
def test_samples_in_batches(algorithm, make_model):
    model = make_model(algorithm)
    whole = model.sample(8, seed=0)
    np.testing.assert_array_equal(model.sample(8, seed=0, batch_size=8), whole)
    parts = model.sample(20, seed=0, batch_size=8)
    assert parts.shape == (20, 6)
    np.testing.assert_array_equal(parts[:8], whole)
    assert not np.array_equal(parts[8:16], whole)  # each batch has independent noise


def test_samples_in_place_of_means_differ_between_batches_and_calls(make_model):
    """q(z|x) without a mean: conditional reconstructions are draws."""
    join = kv.networks.Joined
    model = make_model(
        encoder=join(keras.layers.Dense(5, "tanh")),
        decoder=join(keras.layers.Dense(4, "tanh")),
        posterior=kv.FlowPosterior(kv.DiagonalNormal(2), [kv.Coupling(3)]),
        bound=kv.ELBO(kl="sampled"),
        condition=kv.Condition(num_classes=3),
    )
    assert model.point_estimates["posterior"] == "sample"
    x = np.full((2000, 6), 0.5, "float32")
    once, again = (model.reconstruct(x, condition=np.zeros(2000)) for _ in range(2))
    assert len(np.unique(np.concatenate([once, again]), axis=0)) > 3900


def test_parts_of_any_length_are_regrouped():
    rows = np.arange(17)
    for lengths in ([17], [1] * 17, [3, 0, 9, 5], [16, 1], [5, 5, 5, 2]):
        parts = [[part] for part in np.split(rows, np.cumsum(lengths)[:-1])]
        batches = [(batch.tolist(), n) for (batch,), n in inputs.regrouped(parts, 5)]
        assert batches == [
            ([0, 1, 2, 3, 4], 5),
            ([5, 6, 7, 8, 9], 5),
            ([10, 11, 12, 13, 14], 5),
            ([15, 16, 16, 16, 16], 2),
        ]
    assert [n for _, n in inputs.regrouped([[rows[:3]]], 5)] == [3]


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) lets time pass."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.time", lambda: now[0])  # the clock of Keras' progress bar
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_progress_appears_after_seconds(clock, capsys):
    progress = Progress(total=4)
    clock(10 * PATIENCE)  # compiling
    progress.update(1)
    assert not capsys.readouterr().out
    clock(PATIENCE)
    progress.update(2)
    shown = capsys.readouterr().out
    assert "2/4" in shown and f"{PATIENCE:.0f}s" in shown  # for the other two batches
    progress.end()


@pytest.mark.parametrize("method", ["elbo", "log_likelihood", "reconstruct", "impute"])
def test_progress_on_demand(method, model, x, capsys):
    getattr(model, method)(x, verbose=1)
    assert "1/1" in capsys.readouterr().out
    getattr(model, method)(x)
    getattr(model, method)(x, verbose=0)
    assert not capsys.readouterr().out
    with pytest.raises(ValueError, match=r"`verbose`.*3"):
        getattr(model, method)(x, verbose=3)
