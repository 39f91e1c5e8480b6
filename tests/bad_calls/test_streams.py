"""Streams whose second batch is invalid, empty streams, and settings that streams do not take."""

import numpy as np
import pytest
from bad_calls import (
    BATCH,
    FINITE,
    INF,
    NAN,
    PIXELS,
    REAL,
    SHAPE,
    N,
    Rows,
    X,
    assert_equal,
    check_bad_call,
    check_message,
    compiled,
    new,
    state,
)
from streams import Batches

import keras_aevb as kv

ROWS = Rows()

GOOD = X[:BATCH]


def bad_batch(value=None, **parts):
    x = GOOD.copy()
    x[0, 0] = 0.5 if value is None else value
    return parts.get("x", x), parts.get("y"), parts.get("w")


BATCHES = {
    "NaN": (bad_batch(NAN), FINITE),
    "inf": (bad_batch(INF), FINITE),
    "-1": (bad_batch(-1.0), PIXELS),
    "255": (bad_batch(255.0), PIXELS),
    "another width": (bad_batch(x=GOOD[:, :5]), SHAPE),
    "no examples": (bad_batch(x=GOOD[:0]), SHAPE),
    "rank 3": (bad_batch(x=GOOD[:, :, None]), SHAPE),
    "complex": (bad_batch(x=GOOD + 0j), REAL),
    "dates": (bad_batch(x=GOOD.astype("datetime64[s]")), REAL),
    "strings": (bad_batch(x=np.full(GOOD.shape, "a")), REAL),
    "objects": (bad_batch(x=GOOD.astype(object)), REAL),
    "weights NaN": (bad_batch(w=np.full(BATCH, NAN)), FINITE),
    "weights inf": (bad_batch(w=np.full(BATCH, INF)), FINITE),
    "weights complex": (bad_batch(w=np.ones(BATCH) + 0j), REAL),
    "weights of another length": (bad_batch(w=np.ones(BATCH - 1)), "sample_weight"),
}
INDICES = {
    "no index": None,
    "index -1": np.array([-1, 1, 2, 3, 4, 5]),
    "index N": np.array([0, 1, 2, 3, 4, N]),
    "index of floats": np.arange(6.0),
    "index of booleans": np.ones(BATCH, bool),
    "index of strings": np.full(BATCH, "0"),
    "too few indices": np.arange(5),
    "index of rank 2": np.zeros((BATCH, 2), int),
}


def as_tf_data(batches):
    tf = pytest.importorskip("tensorflow")
    if batches[1][2] is None:
        batches = [batch[:1] for batch in batches]
    else:
        y, weights = np.zeros(BATCH), batches[1][2]
        batches = [(batches[0][0], y, np.ones(BATCH, weights.dtype)), (batches[1][0], y, weights)]
    ranks = [{part.ndim for part in parts} for parts in zip(*batches)]
    signature = tuple(
        tf.TensorSpec([None] * min(rank) if len(rank) == 1 else None, part.dtype)
        for rank, part in zip(ranks, batches[0])
    )
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


STREAMS = {
    "generator": lambda batches: (b for b in batches),
    "PyDataset": Batches,
    "tf.data": as_tf_data,
}
ON_STREAMS = {
    "fit": lambda model, stream: model.fit(stream, verbose=0),
    "evaluate": lambda model, stream: model.evaluate(stream, verbose=0),
    "predict": lambda model, stream: model.predict(stream, verbose=0),
}
STREAM_ROWS = Rows()


def stream_row(algorithm, method, kind, name, bad, word):
    """A row whose first batch is valid; `fit` trains on it before it refuses the second one."""
    y = np.arange(BATCH) if algorithm == "MonteCarloEM" else None

    def call(models):
        stream = STREAMS[kind]([(GOOD, y, None), bad])
        return ON_STREAMS[method](models[algorithm], stream)

    words = word, *(["batch 1"] if name != "no examples" else [])
    STREAM_ROWS[f"{algorithm}.{method}({kind}, {name})"] = call, words, algorithm, method


for name, (bad, word) in BATCHES.items():
    for method in ON_STREAMS:
        for kind in STREAMS:
            words_of_types = ("strings", "objects", "dates", "complex")
            if kind == "tf.data" and name.endswith(words_of_types):
                continue  # a tf.data data set has the same type for all batches
            stream_row("AEVB", method, kind, name, bad, word)
    for algorithm in ("WakeSleep", "FullVB", "MonteCarloEM"):
        y = np.arange(BATCH) if algorithm == "MonteCarloEM" else None
        stream_row(algorithm, "fit", "generator", name, (bad[0], y, bad[2]), word)
for name, index in INDICES.items():
    for kind in ("generator", "PyDataset"):
        stream_row("MonteCarloEM", "fit", kind, name, (GOOD, index, None), "index")

for name, make, words in [
    ("empty generator", lambda: STREAMS["generator"]([]), ["at least one batch"]),
    ("empty PyDataset", lambda: Batches([]), ["at least one batch"]),
    (
        "empty RandomMinibatches",
        lambda: kv.RandomMinibatches(X, 3, 0, 0, 0),
        ["at least one batch"],
    ),
]:
    for method, call in ON_STREAMS.items():
        ROWS.add(
            f"AEVB.{method}({name})",
            lambda m, make=make, call=call: call(m["AEVB"], make()),
            *words,
        )
for argument in ("y", "sample_weight"):
    for method in ("fit", "evaluate"):
        ROWS.add(
            f"AEVB.{method}(PyDataset, {argument})",
            lambda m, method=method, argument=argument: getattr(m["AEVB"], method)(
                Batches([(GOOD,)]), **{argument: np.ones(BATCH)}
            ),
            f"`{argument}`",
        )
ROWS.add(
    "FullVB.fit(stream) without n_train",
    lambda _: compiled(new(kv.FullVB)).fit(Batches([(X,)]), verbose=0),
    "n_train",
)
ROWS.add(
    "MonteCarloEM.fit(stream) without n_train",
    lambda _: compiled(new(kv.MonteCarloEM)).fit(Batches([(X, np.arange(N))]), verbose=0),
    "n_train",
)
for name, streams in {
    "too few streams": lambda: [Batches([(GOOD,)])],
    "streams of two lengths": lambda: [Batches([(GOOD,)] * n) for n in (1, 2)],
    "empty streams": lambda: [Batches([]) for _ in range(2)],
}.items():
    ROWS.add(
        f"Replicas.fit({name})", lambda m, s=streams: m["Replicas"].fit(s(), verbose=0), "streams"
    )
ROWS.add(
    "Replicas.fit(callbacks for one)",
    lambda m: m["Replicas"].fit(X, callbacks=[[]], verbose=0),
    "2 lists of callbacks",
)


@pytest.mark.parametrize("call, words", ROWS.params())
def test_bad_call(call, words, models):
    check_bad_call(call, words, models)


@pytest.fixture(scope="module")
def after_one_batch(all_models):
    """A function from an algorithm to its weights after a step on the valid batch.

    It sets the model back.
    """
    found = {}

    def trained(algorithm):
        if algorithm not in found:
            model = all_models[algorithm]
            y = np.arange(BATCH) if algorithm == "MonteCarloEM" else None
            before = values_of(model)
            model.fit(STREAMS["generator"]([(GOOD, y, None)]), verbose=0)
            found[algorithm] = state([model])
            reset(model, before)
        return found[algorithm]

    return trained


def values_of(model):
    """The values of all variables: those of the noise too."""
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def reset(model, values):
    for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
        variable.assign(value)


@pytest.mark.parametrize("call, words, algorithm, method", STREAM_ROWS.params())
def test_bad_second_batch(call, words, algorithm, method, models, after_one_batch):
    """`fit` keeps the update of the first batch; other methods change nothing."""
    if method == "fit":
        after_one_batch(algorithm)
    before = values_of(models[algorithm])
    try:
        check_message(call, models, ("Expected", "Received", *words))
        if method == "fit":
            assert_equal(state([models[algorithm]]), after_one_batch(algorithm))
    finally:
        reset(models[algorithm], before)
        models.check_unchanged()


class OutOfRangeRows(kv.RowBatches):
    def __len__(self):
        return 1

    def rows(self, i):
        return np.array([N])


def test_out_of_range_rows(models):
    stream = OutOfRangeRows((X,))
    words = ("Expected", "0 to 11", "Received", "12")
    for method in ("fit", "evaluate"):
        call = ON_STREAMS[method]
        check_message(lambda m, f=call: f(m["AEVB"], stream), models, words, IndexError)
    models.check_unchanged()
