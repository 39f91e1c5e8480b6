"""A table of invalid calls: each error says what was expected and what was received.

A row is a call and words that its message must contain. The call must not change the weights of its
models. After all calls, the models must give the same numbers as before.
"""

import datetime

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb import networks

N, X_DIM, LATENT_DIM, BATCH = 12, 6, 2, 6
X = np.random.default_rng(0).random((N, X_DIM)).astype("float32")
JAX = keras.backend.backend() == "jax"

ROWS = {}


def row(name, call, *words):
    """Adds a row: `call` is a function of the models, `words` must be in its message."""
    assert name not in ROWS, f"two rows {name}"
    ROWS[name] = call, words


def shown(value):
    """A value as text for a test id."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**20:
        return f"2**{value.bit_length() - 1}"
    return getattr(value, "__name__", None) or repr(value).replace("\n", "")


def argument_rows(name, make, bad, value_in_message=True):
    """Adds rows with one invalid argument each.

    Args:
        name: name of the call.
        make: function of the models and of keyword arguments.
        bad: dict from an argument's name to invalid values.
        value_in_message: whether the message repeats the value.
    """
    for argument, values in bad.items():
        for value in values:

            def call(models, argument=argument, value=value):
                return make(models, **{argument: value})

            words = [f"`{argument}`"] + [repr(value)] * value_in_message
            row(f"{name}({argument}={shown(value)})", call, *words)


# Values

NAN, INF = float("nan"), float("inf")
NOT_SIZES = [0, -1, True, 1.5, NAN, "3", [3], 2**70]
NOT_SIZES_OR_NONE = [*NOT_SIZES, None]
NOT_POSITIVE = [0, -1.0, NAN, INF, -INF, True, "1", [1.0], 1j, 1e-320, 1e39]
NOT_NON_NEGATIVE = [-1.0, NAN, INF, True, "1", None, 1e-320, 1e39]
NOT_SEEDS = [-1, 1.5, NAN, True, "0", [0], 2**32]
NOT_EVENT_SHAPES = [*NOT_SIZES_OR_NONE[:6], None, 2**70, (), (3, 0), (3, True), (2**20, 2**20), {3}]
NOT_LAYERS = ["dense", 3, keras.layers.Dense, max]
NOT_BOOLEANS = ["yes", 1, None]

# Parts

DISTRIBUTIONS = [kv.Bernoulli, kv.Normal, kv.DiagonalNormal, kv.StandardNormal]
for part in DISTRIBUTIONS:
    argument_rows(
        part.__name__, lambda _, part=part, **a: part(**a), {"event_shape": NOT_EVENT_SHAPES}
    )
for part, heads in {
    kv.Bernoulli: ["logits"],
    kv.Normal: ["mean", "log_variance"],
    kv.DiagonalNormal: ["mean", "log_variance"],
}.items():
    argument_rows(
        part.__name__, lambda _, part=part, **a: part(3, **a), dict.fromkeys(heads, NOT_LAYERS)
    )
    for head in heads:
        row(
            f"{part.__name__}({head}=Dense(5)) of 3 values",
            lambda _, part=part, head=head: part(3, **{head: keras.layers.Dense(5)}).build((1, 4)),
            f"`{head}`",
            "event_shape=(3,)",
            "(1, 5)",
        )
BOUNDS = {kv.ELBO: (), kv.ScoreFunctionELBO: (), kv.ImportanceWeightedBound: (5,)}
for part in [*DISTRIBUTIONS, *BOUNDS]:
    size = BOUNDS.get(part, (3,))
    argument_rows(
        part.__name__,
        lambda _, part=part, size=size, **a: part(*size, **a),
        {"dtype": ["int32", "bool", "complex64", *(["float64"] if JAX else [])]},
    )
argument_rows("Normal", lambda _, **a: kv.Normal(3, **a), {"scale": NOT_POSITIVE})
row(
    "Normal(log_variance, scale)",
    lambda _: kv.Normal(3, log_variance=keras.layers.Dense(3), scale=0.5),
    "either `log_variance` or `scale`",
    "0.5",
)
row("ConditionalDistribution(heads=None)", lambda _: kv.ConditionalDistribution(3, None), "`heads`")
row("ConditionalDistribution(heads=[])", lambda _: kv.ConditionalDistribution(3, []), "`heads`")
argument_rows("WeightPrior", lambda _, **a: kv.WeightPrior(**a), {"n_train": [*NOT_POSITIVE, None]})
for bound in BOUNDS:
    argument_rows(
        bound.__name__, lambda _, bound=bound, **a: bound(**a), {"num_samples": NOT_SIZES_OR_NONE}
    )
NOT_GRADIENTS = ["reinforce", 1, None, ["stl"]]
argument_rows(
    "ELBO",
    lambda _, **a: kv.ELBO(**a),
    {
        "kl": ["exact", 1, True, None, ["sampled"]],
        "beta": [*NOT_NON_NEGATIVE, max],
        "free_bits": [*NOT_NON_NEGATIVE, max],
        "gradient": [*NOT_GRADIENTS, "dreg"],
    },
)
row(
    "ELBO(analytic, stl)", lambda _: kv.ELBO(kl="analytic", gradient="stl"), "no score", "'sampled'"
)
argument_rows(
    "ImportanceWeightedBound",
    lambda _, **a: kv.ImportanceWeightedBound(**{"num_samples": 5, **a}),
    {"gradient": NOT_GRADIENTS},
)
argument_rows(
    "RenyiBound",
    lambda _, **a: kv.RenyiBound(**{"alpha": 0.5, "num_samples": 5, **a}),
    {"alpha": [*NOT_NON_NEGATIVE, 1], "num_samples": NOT_SIZES_OR_NONE, "gradient": NOT_GRADIENTS},
)
argument_rows(
    "ScoreFunctionELBO",
    lambda _, **a: kv.ScoreFunctionELBO(**a),
    {"baseline": ["mean", 0.0, True, keras.layers.Dense, max]},
)
for name, make in {
    "ImportanceWeightedBound(1, vimco)": lambda: kv.ImportanceWeightedBound(1, "vimco"),
    "ScoreFunctionELBO(1, leave-one-out)": lambda: kv.ScoreFunctionELBO(1, "leave-one-out"),
}.items():
    row(name, lambda _, make=make: make(), "`num_samples`", "at least 2")
argument_rows(
    "Cyclical",
    lambda _, **a: kv.Cyclical(
        **{"schedule": keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5), "period": 3, **a}
    ),
    {"schedule": [0.5, "linear", None, max], "period": NOT_SIZES_OR_NONE},
)


def mlp_rows(mlp, **bad):
    sizes = {"x_dim": X_DIM, "latent_dim": LATENT_DIM, "hidden_units": 4}
    argument_rows(mlp.__name__, lambda _, **a: mlp(**{**sizes, **a}), bad)


for mlp in (networks.bernoulli_mlp, networks.gaussian_mlp):
    mlp_rows(
        mlp,
        x_dim=NOT_SIZES_OR_NONE,
        latent_dim=NOT_SIZES_OR_NONE,
        hidden_units=NOT_SIZES_OR_NONE,
        decoder_layers=NOT_SIZES_OR_NONE,
        n_train=NOT_POSITIVE,
        stddev=NOT_NON_NEGATIVE,
        bias_stddev=NOT_NON_NEGATIVE,
        log_variance_gain=[*NOT_POSITIVE, None],
        seed=NOT_SEEDS,
        recognition=NOT_BOOLEANS,
    )
mlp_rows(networks.gaussian_mlp, mean_activation=["nope", 5, [1.0]])

# Models

ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM]


def parts_of(algorithm, seed=0):
    return networks.bernoulli_mlp(
        X_DIM, LATENT_DIM, 4, seed=seed, recognition=algorithm is not kv.MonteCarloEM
    )


def new(algorithm, **arguments):
    return algorithm(**{**parts_of(algorithm), **arguments})


class NoTFPDistribution(kv.ConditionalDistribution):
    def distribution(self, logits):
        return logits


class NotIndependent(kv.Bernoulli):
    def distribution(self, logits):
        return super().distribution(logits).distribution


class Wrong:
    """Parts of the wrong type; functions, since a layer is built only once."""

    likelihood = [  # noqa: RUF012
        lambda: None,
        lambda: "bernoulli",
        lambda: keras.layers.Dense(6),
        lambda: kv.StandardNormal(6),
        lambda: kv.Bernoulli,
        lambda: NoTFPDistribution(6, {"logits": None}),
        lambda: NotIndependent(6),
    ]
    prior = [lambda: "normal", lambda: 2, lambda: kv.DiagonalNormal(2), lambda: kv.Prior]  # noqa: RUF012
    decoder = [lambda: None, lambda: "mlp", lambda: max, lambda: keras.Sequential]  # noqa: RUF012
    encoder = decoder
    posterior = [lambda: None, lambda: "normal", lambda: keras.layers.Dense(2), lambda: 2]  # noqa: RUF012
    bound = [lambda: "elbo", lambda: kv.ELBO, lambda: 5, lambda: keras.layers.Dense(1)]  # noqa: RUF012
    condition = [lambda: 10, lambda: "labels", lambda: kv.Condition, lambda: keras.layers.Dense(2)]  # noqa: RUF012


for algorithm in ALGORITHMS:
    name = algorithm.__name__
    for part in algorithm.parts:
        for i, make_part in enumerate(getattr(Wrong, part)):
            row(
                f"{name}({part}: wrong {i})",
                lambda _, a=algorithm, p=part, make=make_part: new(a, **{p: make()}),
                part,
            )
    argument_rows(name, lambda _, a=algorithm, **kw: new(a, **kw), {"seed": NOT_SEEDS})
    row(
        f"{name}(dtype=int32)",
        lambda _, a=algorithm: new(a, dtype="int32"),
        "`dtype`",
    )
    row(f"{name}.from_config({{}})", lambda _, a=algorithm: a.from_config({}), "decoder")
    if algorithm is not kv.MonteCarloEM:
        row(
            f"{name}(prior of another size)",
            lambda _, a=algorithm: new(a, prior=kv.StandardNormal(3)),
            "same z",
            "(2,)",
            "(3,)",
        )
argument_rows(
    "FullVB",
    lambda _, **a: new(kv.FullVB, **a),
    {
        "weight_kl": ["exact", 1, None],
        "n_train": NOT_POSITIVE,
        "initial_scale": [*NOT_POSITIVE, None, 1e5],
    },
)
argument_rows(
    "MonteCarloEM",
    lambda _, **a: new(kv.MonteCarloEM, **a),
    {
        "num_leapfrog_steps": NOT_SIZES_OR_NONE,
        "updates_per_sample": NOT_SIZES_OR_NONE,
        "n_train": NOT_SIZES,
        "initial_step_size": [*NOT_POSITIVE, None],
    },
)
for estimator, settings in {
    kv.ImportanceSampling: ["num_samples"],
    kv.AnnealedImportanceSampling: ["num_samples", "num_steps", "num_leapfrog_steps"],
    kv.PosteriorDensity: ["num_samples", "num_chains", "num_burnin_steps", "num_leapfrog_steps"],
}.items():
    argument_rows(
        estimator.__name__,
        lambda _, e=estimator, **a: e(**a),
        dict.fromkeys(settings, NOT_SIZES_OR_NONE),
        value_in_message=False,
    )
row("PosteriorDensity(num_chains=1)", lambda _: kv.PosteriorDensity(num_chains=1), "`num_chains`")
for argument, value in {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mae"]}.items():
    row(
        f"compile({argument}={value})",
        lambda _, a=argument, v=value: new(kv.AEVB).compile("adam", **{a: v}),
        f"`{argument}`",
    )
for value in (0, -1, 1.5, True, "2"):
    row(
        f"compile(steps_per_execution={value!r})",
        lambda _, v=value: new(kv.AEVB).compile("adam", steps_per_execution=v),
        "`steps_per_execution`",
    )
for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
    row(
        f"{method} before compile",
        lambda _, m=method: getattr(new(kv.AEVB), m)(X),
        "compile()",
        "not compiled",
    )

# Streams of rows

argument_rows(
    "EpochMinibatches",
    lambda _, **a: kv.EpochMinibatches((X,), **a),
    {"batch_size": NOT_SIZES_OR_NONE, "shuffle": NOT_BOOLEANS, "seed": NOT_SEEDS},
)
numbers_of_stream = {"batch_size": 3, "seed": 0, "first": 0, "length": 2}
argument_rows(
    "RandomMinibatches",
    lambda _, **a: kv.RandomMinibatches(X, **{**numbers_of_stream, **a}),
    {
        "batch_size": NOT_SIZES_OR_NONE,
        "seed": [-1, 1.5, True, "0", None],
        "first": [-1, 1.5, True, "0", None],
        "length": [-1, 1.5, True, "0", None],
    },
)
for name, arrays in {"None": None, "()": (), "(5,)": (5,), "of two lengths": (X, X[:3])}.items():
    row(f"EpochMinibatches({name})", lambda _, a=arrays: kv.EpochMinibatches(a))

# Replicas


def compiled(model, **arguments):
    model.compile("sgd", **arguments)
    return model


def twice(model):
    return [model, model]


for name, make in {
    "None": lambda: None,
    "no list": lambda: compiled(new(kv.AEVB)),
    "[]": lambda: [],
    "[5]": lambda: [5],
    "not compiled": lambda: [new(kv.AEVB)],
    "one model twice": lambda: twice(compiled(new(kv.AEVB))),
    "two executions": lambda: [compiled(new(kv.AEVB), steps_per_execution=n) for n in (1, 2)],
}.items():
    row(f"Replicas({name})", lambda _, make=make: kv.Replicas(make()), "model")

# Methods' settings

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
    argument_rows(
        f"{name}.fit",
        lambda m, name=name, **a: m[name].fit(X, **{"verbose": 0, **a}),
        FIT if algorithm is kv.AEVB else few,
    )
    argument_rows(
        f"{name}.evaluate",
        lambda m, name=name, **a: m[name].evaluate(X, **{"verbose": 0, **a}),
        EVALUATE,
    )
    argument_rows(
        f"{name}.sample",
        lambda m, name=name, **a: m[name].sample(**{"n": 2, **a}),
        {"n": NOT_SIZES_OR_NONE, "seed": NOT_SEEDS},
    )
    argument_rows(
        f"{name}.log_likelihood",
        lambda m, name=name, **a: m[name].log_likelihood(X, **{"method": ANNEALED, **a}),
        {**ESTIMATE, "num_samples": NOT_SIZES, "method": ["exact", 5, None, kv.ELBO]},
        value_in_message=False,
    )
    if algorithm is kv.MonteCarloEM:
        continue
    argument_rows(
        f"{name}.predict",
        lambda m, name=name, **a: m[name].predict(X, **{"verbose": 0, **a}),
        EVALUATE,
    )
    argument_rows(
        f"{name}.elbo",
        lambda m, name=name, **a: m[name].elbo(X, **a),
        {**ESTIMATE, "num_samples": NOT_SIZES},
        value_in_message=algorithm is not kv.FullVB,
    )
row(
    "AEVB.fit(validation_split=0.999)",  # leaves no training examples
    lambda m: m["AEVB"].fit(X, validation_split=0.999, verbose=0),
    "`validation_split`",
    "0.999",
    "12 examples",
)
for freq in ([0], [1, 1.5], [True], ["1"]):
    row(
        f"AEVB.fit(validation_freq={freq})",
        lambda m, freq=freq: m["AEVB"].fit(X, validation_freq=freq, verbose=0),
        "`validation_freq`",
    )
row("RandomMinibatches(5)", lambda _: kv.RandomMinibatches(5, 2, 0, 0, 3), "tuple")
row(
    "AEVB.fit(stream, validation_split)",
    lambda m: m["AEVB"].fit(Batches([(X,)]), validation_split=0.5, verbose=0),
    "`validation_split`",
)
argument_rows(
    "Replicas.fit",
    lambda m, **a: m["Replicas"].fit(X, verbose=0, **a),
    {name: FIT[name] for name in ("batch_size", "epochs", "initial_epoch", "shuffle")},
)
for method, bad in {"sample": 2, "log_likelihood": X}.items():
    argument_rows(
        f"FullVB.{method}",
        lambda m, method=method, bad=bad, **a: getattr(m["FullVB"], method)(bad, **a),
        {"num_weight_samples": [0, -1, True, 1.5, "3", 2**70]},
        value_in_message=False,
    )
row("MonteCarloEM.log_likelihood()", lambda m: m["MonteCarloEM"].log_likelihood(X), "recognition")
argument_rows(
    "gradient_variance",
    lambda m, **a: kv.gradient_variance(m["AEVB"], X, **a),
    {"num_repeats": [2, *NOT_SIZES], "seed": NOT_SEEDS, "bound": ["elbo", kv.ELBO, 5]},
    value_in_message=False,
)
for name in ("None", "no model", "MonteCarloEM"):
    row(
        f"gradient_variance(model={name})",
        lambda m, name=name: kv.gradient_variance(
            {"None": None, "no model": keras.Sequential()}.get(name) or m["MonteCarloEM"], X
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


def measure(name, model, x=X, **arguments):
    if name == "sample_aggregate_posterior":
        arguments = {"n": 2, **arguments}
    return getattr(kv.evaluation, name)(model, x, **arguments)


for name, bad in MEASURES.items():
    argument_rows(
        name,
        lambda m, name=name, **a: measure(name, m["AEVB"], **a),
        {**bad, "batch_size": NOT_SIZES_OR_NONE, "seed": NOT_SEEDS},
        value_in_message=False,
    )
    for kind, condition in {"MonteCarloEM": None, "AEVB": LATENT_DIM}.items():
        words = ["no condition"] if condition else ["`model`", "VariationalModel"]
        row(
            f"{name}({kind}, condition={condition})",
            lambda m, name=name, kind=kind, y=condition: measure(name, m[kind], condition=y),
            *words,
        )
for name, (z, word) in {
    "of another width": (np.zeros((3, 5)), f"({LATENT_DIM},)"),
    "of rank 1": (np.zeros(LATENT_DIM), f"({LATENT_DIM},)"),
    "complex": (np.zeros((3, LATENT_DIM)) + 0j, "real numbers"),
}.items():
    row(
        f"log_aggregate_posterior(z {name})",
        lambda m, z=z: kv.evaluation.log_aggregate_posterior(m["AEVB"], X, z),
        word,
    )
argument_rows(
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
argument_rows(
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
row(
    "assert_elbo_unchanged(MonteCarloEM)",
    lambda m: kv.testing.assert_elbo_unchanged(m["MonteCarloEM"], X, "references.json"),
    "`model`",
    "VariationalModel",
)

# Data

SHAPE, FINITE, PIXELS, REAL = f"({X_DIM},)", "finite", "[0, 1]", "real numbers"


def with_pixel(value):
    x = X.astype("float64")
    x[-1, -1] = value
    return x


ARRAYS = {
    "of another width": (X[:, :5], SHAPE),
    "of rank 3": (X[:, :, None], SHAPE),
    "of rank 1": (X[0], SHAPE),
    "of rank 0": (np.array(0.5), SHAPE),
    "a NumPy scalar": (np.float32(0.5), SHAPE),
    "empty": (X[:0], SHAPE),
    "with NaN": (with_pixel(NAN), FINITE),
    "with inf": (with_pixel(INF), FINITE),
    "with -inf": (with_pixel(-INF), FINITE),
    "with 1e300": (with_pixel(1e300), FINITE),
    "with -1": (with_pixel(-1.0), PIXELS),
    "with 255": (with_pixel(255.0), PIXELS),
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
    "a model": keras.Sequential,
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
    for kind, (x, word) in ARRAYS.items():
        split_of_nothing = kind in ("of rank 0", "a NumPy scalar", "empty")
        if not (name == "AEVB.fit, split" and split_of_nothing):
            row(f"{name}(x {kind})", lambda m, f=method, x=x: f(m, x), word)
    for kind, x in NO_ARRAYS.items():
        row(f"{name}(x is {kind})", lambda m, f=method, x=x: f(m, x))
for value in (1e20, -1e20, 3e38):
    for method in ("fit", "evaluate", "elbo"):
        row(
            f"Gaussian.{method}(x with {value})",
            lambda m, f=method, v=value: getattr(m["Gaussian"], f)(with_pixel(v)),
            "standardise",
            f"{np.float32(value)}",
        )
row(
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
        row(f"{name}(weights {kind})", lambda m, f=method, w=weights: f(m, w), "sample")
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
        row(
            f"AEVB.{method}(class_weight {kind})",
            lambda m, f=method, a=(y, class_weight, sample_weight): getattr(m["AEVB"], f)(
                X, a[0], class_weight=a[1], sample_weight=a[2]
            ),
        )

# Streams whose second batch is bad

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


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]


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
STREAM_ROWS = {}


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
    ("empty EpochMinibatches", lambda: kv.RandomMinibatches(X, 3, 0, 0, 0), ["at least one batch"]),
]:
    for method, call in ON_STREAMS.items():
        row(
            f"AEVB.{method}({name})",
            lambda m, make=make, call=call: call(m["AEVB"], make()),
            *words,
        )
for argument in ("y", "sample_weight"):
    for method in ("fit", "evaluate"):
        row(
            f"AEVB.{method}(generator, {argument})",
            lambda m, method=method, argument=argument: getattr(m["AEVB"], method)(
                Batches([(GOOD,)]), **{argument: np.ones(BATCH)}
            ),
            f"`{argument}`",
        )
row(
    "FullVB.fit(stream) without n_train",
    lambda _: compiled(new(kv.FullVB)).fit(Batches([(X,)]), verbose=0),
    "n_train",
)
row(
    "MonteCarloEM.fit(stream) without n_train",
    lambda _: compiled(new(kv.MonteCarloEM)).fit(Batches([(X, np.arange(N))]), verbose=0),
    "n_train",
)
for name, streams in {
    "too few streams": lambda: [Batches([(GOOD,)])],
    "streams of two lengths": lambda: [Batches([(GOOD,)] * n) for n in (1, 2)],
    "empty streams": lambda: [Batches([]) for _ in range(2)],
}.items():
    row(f"Replicas.fit({name})", lambda m, s=streams: m["Replicas"].fit(s(), verbose=0), "streams")
row(
    "Replicas.fit(callbacks for one)",
    lambda m: m["Replicas"].fit(X, callbacks=[[]], verbose=0),
    "2 lists of callbacks",
)


def as_params(rows):
    return [pytest.param(*values, id=name) for name, values in rows.items()]


# The checks


class Models(dict):
    """The models of all rows, built on first use; `used` has the names that a test uses."""

    def __init__(self):
        super().__init__()
        self.used = set()
        self.before = {}

    def __getitem__(self, name):
        self.used.add(name)
        return super().__getitem__(name)

    def __missing__(self, name):
        if name == "Replicas":
            self[name] = kv.Replicas([compiled(new(kv.AEVB, seed=i)) for i in range(2)])
        elif name == "Gaussian":
            self[name] = compiled(kv.AEVB(**networks.gaussian_mlp(X_DIM, 2, 4, seed=0), seed=0))
        else:
            n_train = {} if name in ("AEVB", "WakeSleep") else {"n_train": N}
            self[name] = compiled(new(getattr(kv, name), seed=0, **n_train))
        self.before[name] = state(self.each(name)), numbers_of(self.each(name))
        return super().__getitem__(name)

    def each(self, name):
        model = super().__getitem__(name)
        return model.models if isinstance(model, kv.Replicas) else [model]

    def check_unchanged(self):
        for name in self.used:
            weights, _ = self.before[name]
            try:
                assert_equal(state(self.each(name)), weights)
            except AssertionError:
                del self[name]  # the next row builds a new one
                raise


def variables_of(models):
    return [v for model in models for v in (*model.weights, *model.optimizer.variables)]


def state(models):
    return [np.asarray(v) for v in variables_of(models)]


def numbers_of(models):
    """The bound, or samples of a model without one."""
    return [m.elbo(X, seed=0) if hasattr(m, "elbo") else m.sample(2, seed=0) for m in models]


def assert_equal(received, expected):
    for actual, desired in zip(received, expected, strict=True):
        np.testing.assert_array_equal(actual, desired)
        assert np.isfinite(actual).all()


@pytest.fixture(scope="module")
def all_models():
    return Models()


@pytest.fixture
def models(all_models):
    all_models.used = set()
    return all_models


def check_message(call, models, words, kinds=(ValueError, TypeError)):
    with pytest.raises(kinds) as error:
        call(models)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("call, words", as_params(ROWS))
def test_bad_call(call, words, models):
    try:
        check_message(call, models, ("Expected", "Received", *words))
    finally:
        models.check_unchanged()


@pytest.fixture(scope="module")
def after_one_batch(all_models):
    """The weights of each model after a step on the valid batch; then resets the models."""
    found = {}

    def trained(algorithm):
        if algorithm not in found:
            model = all_models[algorithm]
            y = np.arange(BATCH) if algorithm == "MonteCarloEM" else None
            before = values_of(model)
            model.fit(STREAMS["generator"]([(GOOD, y, None)]), verbose=0)
            found[algorithm] = state([model])
            set_back(model, before)
        return found[algorithm]

    return trained


def values_of(model):
    """The values of all variables: those of the noise too."""
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def set_back(model, values):
    for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
        variable.assign(value)


@pytest.mark.parametrize("call, words, algorithm, method", as_params(STREAM_ROWS))
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
        set_back(models[algorithm], before)
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


def test_models_give_the_same_numbers_after_all_calls(all_models):
    """Their compiled programs still work too."""
    for name in list(all_models):
        _, numbers = all_models.before[name]
        assert_equal(numbers_of(all_models.each(name)), numbers)


# Files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of a model, intact and damaged, and those of another model."""
    folder = tmp_path_factory.mktemp("files")
    model, other = compiled(new(kv.AEVB, seed=0)), kv.AEVB(**networks.gaussian_mlp(7, 3, 5))
    for end, save in {".keras": "save", ".weights.h5": "save_weights"}.items():
        getattr(model, save)(folder / f"whole{end}")
        getattr(other, save)(folder / f"other{end}")
        content = (folder / f"whole{end}").read_bytes()
        for name, damaged in {
            "half": content[: len(content) // 2],
            "empty": b"",
            "text": b"no model at all",
        }.items():
            (folder / f"{name}{end}").write_bytes(damaged)
    return folder


DAMAGED = ("half", "empty", "text", "missing")


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_model_files(name, files):
    path = files / f"{name}.keras"
    check_message(lambda _: keras.saving.load_model(path), None, [str(path)])


@pytest.mark.parametrize("end", [".keras", ".weights.h5"])
@pytest.mark.parametrize(
    "name",
    ["half", "empty", "text", "missing"],
)
def test_damaged_weights_files(name, end, files, models):
    path, kinds = files / f"{name}{end}", (ValueError, OSError)
    try:
        check_message(lambda m: m["AEVB"].load_weights(path), models, [str(path)], kinds)
    finally:
        models.check_unchanged()


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # then it fails
@pytest.mark.parametrize("end", [".keras", ".weights.h5"])
def test_weights_of_another_model(end, files, models):
    try:
        with pytest.raises(ValueError):
            models["AEVB"].load_weights(files / f"other{end}")
    finally:
        models.check_unchanged()
