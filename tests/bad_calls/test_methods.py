"""Methods and functions with an invalid setting."""

import keras
import numpy as np
import pytest
from bad_calls import (
    ALGORITHMS,
    LATENT_DIM,
    NAN,
    NOT_BOOLEANS,
    NOT_POSITIVE,
    NOT_SEEDS,
    NOT_SIZES,
    NOT_SIZES_OR_NONE,
    Rows,
    X,
    check_bad_call,
    measure,
)
from streams import Batches

import keras_aevb as kv

ROWS = Rows()

FIT = {
    "batch_size": NOT_SIZES,
    "epochs": [-1, 1.5, True, "1", None, NAN],
    "initial_epoch": [-1, 1.5, True, "1", None, NAN],
    "validation_split": [-0.1, 1, 1.5, NAN, True, "a", None],
    "steps_per_epoch": NOT_SIZES,
    "validation_steps": NOT_SIZES,
    "validation_batch_size": NOT_SIZES,
    "validation_freq": [0, -1, True, 1.5, "1", None],
    "shuffle": NOT_BOOLEANS,
}
NOT_VERBOSE = ["loud", 3, -1, 1.5, None]
FIT |= {"verbose": NOT_VERBOSE, "callbacks": [5, "early", [5], [keras.callbacks.History]]}
EVALUATE = {"batch_size": NOT_SIZES, "steps": NOT_SIZES, "verbose": NOT_VERBOSE}
ESTIMATE = {"batch_size": NOT_SIZES_OR_NONE, "seed": NOT_SEEDS}
ANNEALED = kv.AnnealedImportanceSampling(num_samples=2, num_steps=2)
for algorithm in ALGORITHMS:
    name = algorithm.__name__
    few = {"batch_size": [0, True], "epochs": [-1, NAN], "validation_split": [1.5]}
    ROWS.add_arguments(
        f"{name}.fit",
        lambda m, name=name, **a: m[name].fit(X, **{"verbose": 0, **a}),
        FIT if algorithm is kv.AEVB else few,
    )
    ROWS.add_arguments(
        f"{name}.evaluate",
        lambda m, name=name, **a: m[name].evaluate(X, **{"verbose": 0, **a}),
        EVALUATE,
    )
    ROWS.add_arguments(
        f"{name}.sample",
        lambda m, name=name, **a: m[name].sample(**{"n": 2, **a}),
        {"n": NOT_SIZES_OR_NONE, "seed": NOT_SEEDS},
    )
    ROWS.add_arguments(
        f"{name}.log_likelihood",
        lambda m, name=name, **a: m[name].log_likelihood(X, **{"method": ANNEALED, **a}),
        {**ESTIMATE, "num_samples": NOT_SIZES, "method": ["exact", 5, None, kv.ELBO]},
        value_in_message=False,
    )
    if algorithm is kv.MonteCarloEM:
        continue
    ROWS.add_arguments(
        f"{name}.predict",
        lambda m, name=name, **a: m[name].predict(X, **{"verbose": 0, **a}),
        EVALUATE,
    )
    ROWS.add_arguments(
        f"{name}.elbo",
        lambda m, name=name, **a: m[name].elbo(X, **a),
        {**ESTIMATE, "num_samples": NOT_SIZES},
        value_in_message=algorithm is not kv.FullVB,
    )
ROWS.add(
    "AEVB.fit(validation_split=0.999)",  # leaves no training examples
    lambda m: m["AEVB"].fit(X, validation_split=0.999, verbose=0),
    "`validation_split`",
    "0.999",
    "12 examples",
)
for freq in ([0], [1, 1.5], [True], ["1"]):
    ROWS.add(
        f"AEVB.fit(validation_freq={freq})",
        lambda m, freq=freq: m["AEVB"].fit(X, validation_freq=freq, verbose=0),
        "`validation_freq`",
    )
ROWS.add("RandomMinibatches(5)", lambda _: kv.RandomMinibatches(5, 2, 0, 0, 3), "tuple")
ROWS.add(
    "AEVB.fit(stream, validation_split)",
    lambda m: m["AEVB"].fit(Batches([(X,)]), validation_split=0.5, verbose=0),
    "`validation_split`",
)
ROWS.add_arguments(
    "Replicas.fit",
    lambda m, **a: m["Replicas"].fit(X, verbose=0, **a),
    {name: FIT[name] for name in ("batch_size", "epochs", "initial_epoch", "shuffle")},
)
for method, bad in {"sample": 2, "log_likelihood": X}.items():
    ROWS.add_arguments(
        f"FullVB.{method}",
        lambda m, method=method, bad=bad, **a: getattr(m["FullVB"], method)(bad, **a),
        {"num_weight_samples": [0, -1, True, 1.5, "3", 2**70]},
        value_in_message=False,
    )
ROWS.add(
    "MonteCarloEM.log_likelihood()", lambda m: m["MonteCarloEM"].log_likelihood(X), "recognition"
)
ROWS.add_arguments(
    "gradient_variance",
    lambda m, **a: kv.gradient_variance(m["AEVB"], X, **a),
    {"num_repeats": [2, *NOT_SIZES], "seed": NOT_SEEDS, "bound": ["elbo", kv.ELBO, 5]},
    value_in_message=False,
)
for name in ("None", "Sequential", "MonteCarloEM"):
    ROWS.add(
        f"gradient_variance(model={name})",
        lambda m, name=name: kv.gradient_variance(
            {"None": None, "Sequential": keras.Sequential()}.get(name, m["MonteCarloEM"]), X
        ),
        "`model`",
        "VariationalModel",
    )

MEASURES = {
    "active_units": {"threshold": NOT_POSITIVE, "num_samples": [1, *NOT_SIZES_OR_NONE]},
    "elbo_terms": {"num_samples": NOT_SIZES_OR_NONE},
    "inference_gap": {"num_samples": NOT_SIZES_OR_NONE, "method": ["exact", 5, None, kv.ELBO]},
    "kl_by_dimension": {"num_samples": NOT_SIZES_OR_NONE},
    "mutual_information": {"num_samples": NOT_SIZES_OR_NONE},
    "pareto_k": {"num_samples": NOT_SIZES_OR_NONE},
    "posterior_mean_variances": {"num_samples": [1, *NOT_SIZES_OR_NONE]},
    "report": {"num_samples": NOT_SIZES_OR_NONE, "verbose": NOT_BOOLEANS},
    "sample_aggregate_posterior": {"n": NOT_SIZES_OR_NONE},
}


for name, bad in MEASURES.items():
    ROWS.add_arguments(
        name,
        lambda m, name=name, **a: measure(name, m["AEVB"], **a),
        {**bad, "batch_size": NOT_SIZES_OR_NONE, "seed": NOT_SEEDS},
        value_in_message=False,
    )
    for kind, condition in {"MonteCarloEM": None, "AEVB": LATENT_DIM}.items():
        words = ["no condition"] if condition else ["`model`", "VariationalModel"]
        ROWS.add(
            f"{name}({kind}, condition={condition})",
            lambda m, name=name, kind=kind, y=condition: measure(name, m[kind], condition=y),
            *words,
        )
for name, (z, word) in {
    "of another width": (np.zeros((3, 5)), f"({LATENT_DIM},)"),
    "of rank 1": (np.zeros(LATENT_DIM), f"({LATENT_DIM},)"),
    "complex": (np.zeros((3, LATENT_DIM)) + 0j, "real numbers"),
}.items():
    ROWS.add(
        f"log_aggregate_posterior(z {name})",
        lambda m, z=z: kv.evaluation.log_aggregate_posterior(m["AEVB"], X, z),
        word,
    )
ROWS.add_arguments(
    "assert_unchanged",
    lambda _, **a: kv.testing.assert_unchanged(
        **{"values": [1.0, 2.0], "path": "references.json", "name": "a", **a}
    ),
    {
        "values": [[1.0], 1.0, [1.0, NAN], [[1.0, 2.0]]],
        "max_standard_errors": [*NOT_POSITIVE, None],
    },
    value_in_message=False,
)
ROWS.add_arguments(
    "assert_elbo_unchanged",
    lambda m, **a: kv.testing.assert_elbo_unchanged(m["AEVB"], X, "references.json", **a),
    {
        "num_repeats": [1, *NOT_SIZES_OR_NONE],
        "num_samples": NOT_SIZES,
        "seed": NOT_SEEDS,
        "batch_size": NOT_SIZES_OR_NONE,
    },
    value_in_message=False,
)
ROWS.add(
    "assert_elbo_unchanged(MonteCarloEM)",
    lambda m: kv.testing.assert_elbo_unchanged(m["MonteCarloEM"], X, "references.json"),
    "`model`",
    "VariationalModel",
)


@pytest.mark.parametrize("call, words", ROWS.params())
def test_bad_call(call, words, models):
    check_bad_call(call, words, models)
