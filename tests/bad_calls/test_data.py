"""Arrays, sample weights and class weights that no method accepts."""

import datetime

import keras
import numpy as np
import pytest
from bad_calls import (
    FINITE,
    INF,
    LATENT_DIM,
    NAN,
    PIXELS,
    REAL,
    SHAPE,
    X_DIM,
    N,
    Rows,
    X,
    check_bad_call,
    measure,
)

import keras_aevb as kv

ROWS = Rows()

# Arrays


def with_pixel(value):
    x = X.astype("float64")
    x[-1, -1] = value
    return x


ARRAYS = {
    "of another width": (X[:, :5], SHAPE, "5"),
    "of rank 3": (X[:, :, None], SHAPE, "6, 1)"),
    "of rank 1": (X[0], SHAPE),
    "of rank 0": (np.array(0.5), SHAPE),
    "a NumPy scalar": (np.float32(0.5), SHAPE),
    "empty": (X[:0], SHAPE),
    "with NaN": (with_pixel(NAN), FINITE, "1 NaN and 0 infinite"),
    "with inf": (with_pixel(INF), FINITE, "0 NaN and 1 infinite"),
    "with -inf": (with_pixel(-INF), FINITE, "0 NaN and 1 infinite"),
    "with 1e300": (with_pixel(1e300), FINITE),
    "with -1": (with_pixel(-1.0), PIXELS, "-1.0"),
    "with 255": (with_pixel(255.0), PIXELS, "255.0"),
    "uint8": (np.full((N, X_DIM), 255, "uint8"), PIXELS),
    "complex": (X + 0j, REAL),
    "dates": (np.zeros((N, X_DIM), "datetime64[s]"), REAL),
    "durations": (np.zeros((N, X_DIM), "timedelta64[s]"), REAL),
    "strings": (np.full((N, X_DIM), "0"), REAL),
    "bytes": (np.full((N, X_DIM), b"0"), REAL),
    "objects": (X.astype(object), REAL),
    "records": (np.zeros((N, X_DIM), [("pixel", "f4")]), REAL),
}
NO_ARRAYS = {
    "None": None,
    "a string": "mnist",
    "a dict": {"x": X},
    "a list of arrays": [X, X],
    "a ragged list": [[0.5] * X_DIM, [0.5]],
    "a list of strings": ["a", "b"],
    "a list of dates": [datetime.date(2013, 12, 20)] * 2,
    "an integer": 5,
    "a function": max,
    "a set": {0.5},
    "a class": keras.Sequential,
}
METHODS = {
    "AEVB.fit": lambda m, x: m["AEVB"].fit(x, verbose=0),
    "AEVB.fit, split": lambda m, x: m["AEVB"].fit(x, validation_split=0.5, verbose=0),
    "AEVB.fit, validation": lambda m, x: m["AEVB"].fit(X, validation_data=(x,), verbose=0),
    "AEVB.evaluate": lambda m, x: m["AEVB"].evaluate(x, verbose=0),
    "AEVB.predict": lambda m, x: m["AEVB"].predict(x, verbose=0),
    "AEVB.reconstruct": lambda m, x: m["AEVB"].reconstruct(x),
    "AEVB.elbo": lambda m, x: m["AEVB"].elbo(x),
    "AEVB.log_likelihood": lambda m, x: m["AEVB"].log_likelihood(x, num_samples=2),
    "AEVB.encode": lambda m, x: m["AEVB"].encode(x),
    "AEVB.train_on_batch": lambda m, x: m["AEVB"].train_on_batch(x),
    "AEVB.test_on_batch": lambda m, x: m["AEVB"].test_on_batch(x),
    "AEVB.predict_on_batch": lambda m, x: m["AEVB"].predict_on_batch(x),
    "gradient_variance": lambda m, x: kv.gradient_variance(m["AEVB"], x, num_repeats=3),
    "report": lambda m, x: m["AEVB"].report(x, verbose=False),
    "sample_aggregate_posterior": lambda m, x: measure("sample_aggregate_posterior", m["AEVB"], x),
    "log_aggregate_posterior": lambda m, x: kv.evaluation.log_aggregate_posterior(
        m["AEVB"], x, np.zeros((3, LATENT_DIM))
    ),
    "Replicas.fit": lambda m, x: m["Replicas"].fit(x, verbose=0),
    "WakeSleep.fit": lambda m, x: m["WakeSleep"].fit(x, verbose=0),
    "FullVB.fit": lambda m, x: m["FullVB"].fit(x, verbose=0),
    "FullVB.elbo": lambda m, x: m["FullVB"].elbo(x),
    "MonteCarloEM.fit": lambda m, x: m["MonteCarloEM"].fit(x, verbose=0),
    "MonteCarloEM.evaluate": lambda m, x: m["MonteCarloEM"].evaluate(x, verbose=0),
}
for name, method in METHODS.items():
    for kind, (x, *words) in ARRAYS.items():
        split_of_nothing = kind in ("of rank 0", "a NumPy scalar", "empty")
        if not (name == "AEVB.fit, split" and split_of_nothing):
            ROWS.add(f"{name}(x {kind})", lambda m, f=method, x=x: f(m, x), *words)
    for kind, x in NO_ARRAYS.items():
        ROWS.add(f"{name}(x is {kind})", lambda m, f=method, x=x: f(m, x))
for kind in ("of another width", "of rank 3", "with NaN", "with -inf", "with -1", "with 255"):
    x, *words = ARRAYS[kind]
    for name in ("AEVB.fit", "AEVB.elbo"):
        ROWS.add(
            f"{name}(tensor {kind})",
            lambda m, f=METHODS[name], x=x: f(m, keras.ops.convert_to_tensor(x, "float32")),
            *words,
        )
for value in (1e20, -1e20, 3e38):
    for method in ("fit", "evaluate", "elbo"):
        ROWS.add(
            f"Gaussian.{method}(x with {value})",
            lambda m, f=method, v=value: getattr(m["Gaussian"], f)(with_pixel(v)),
            "standardise",
            f"{np.float32(value)}",
        )
ROWS.add(
    "MonteCarloEM.fit(another N)",
    lambda m: m["MonteCarloEM"].fit(X[:5], verbose=0),
    "12 examples",
    "5",
)

# Sample weights, class weights

WEIGHTS = {
    "with NaN": np.full(N, NAN),
    "with inf": np.full(N, INF),
    "with 1e300": np.full(N, 1e300),
    "complex": np.ones(N) + 0j,
    "strings": np.full(N, "1"),
    "objects": np.ones(N, object),
    "dates": np.zeros(N, "datetime64[s]"),
    "of another length": np.ones(N - 1),
    "longer": np.ones(N + 1),
    "one for each pixel": np.ones((N, X_DIM)),
    "of rank 0": np.array(1.0),
    "a string": "balanced",
    "a dict": {0: 1.0},
}
WEIGHTED = {
    "AEVB.fit": lambda m, w: m["AEVB"].fit(X, sample_weight=w, verbose=0),
    "AEVB.fit, split": lambda m, w: m["AEVB"].fit(
        X, sample_weight=w, validation_split=0.5, verbose=0
    ),
    "AEVB.fit, validation": lambda m, w: m["AEVB"].fit(X, validation_data=(X, None, w), verbose=0),
    "AEVB.evaluate": lambda m, w: m["AEVB"].evaluate(X, sample_weight=w, verbose=0),
    "AEVB.train_on_batch": lambda m, w: m["AEVB"].train_on_batch(X, sample_weight=w),
    "AEVB.test_on_batch": lambda m, w: m["AEVB"].test_on_batch(X, sample_weight=w),
    "Replicas.fit": lambda m, w: m["Replicas"].fit(X, sample_weight=w, verbose=0),
    "MonteCarloEM.fit": lambda m, w: m["MonteCarloEM"].fit(X, sample_weight=w, verbose=0),
}
for name, method in WEIGHTED.items():
    for kind, weights in WEIGHTS.items():
        ROWS.add(f"{name}(weights {kind})", lambda m, f=method, w=weights: f(m, w), "sample")
LABELS = np.zeros(N, int)
for kind, (y, class_weight, sample_weight) in {
    "and covariates as labels": (np.eye(20, 3) - 1, {0: 1.0}, None),
    "and fractions as labels": (np.linspace(0, 1, 20), {0: 1.0}, None),
    "a list": (LABELS, [1.0, 2.0], None),
    "a string": (LABELS, "balanced", None),
    "of strings": (LABELS, {0: "a"}, None),
    "of NaN": (LABELS, {0: NAN}, None),
    "without labels": (None, {0: 1.0}, None),
    "for labels of strings": (np.full(N, "a"), {0: 1.0}, None),
    "for labels of rank 3": (np.zeros((N, 1, 1)), {0: 1.0}, None),
    "for too few labels": (LABELS[:5], {0: 1.0}, None),
    "beside sample weights": (LABELS, {0: 1.0}, np.ones(N)),
}.items():
    for method in ("fit", "train_on_batch"):
        ROWS.add(
            f"AEVB.{method}(class_weight {kind})",
            lambda m, f=method, a=(y, class_weight, sample_weight): getattr(m["AEVB"], f)(
                X, a[0], class_weight=a[1], sample_weight=a[2]
            ),
        )


@pytest.mark.parametrize("call, words", ROWS.params())
def test_bad_call(call, words, models):
    check_bad_call(call, words, models)
