"""Parts, models, bounds, estimators and streams with an invalid argument."""

import keras
import pytest
from bad_calls import (
    ALGORITHMS,
    LATENT_DIM,
    NOT_BOOLEANS,
    NOT_EVENT_SHAPES,
    NOT_LAYERS,
    NOT_NON_NEGATIVE,
    NOT_POSITIVE,
    NOT_SEEDS,
    NOT_SIZES,
    NOT_SIZES_OR_NONE,
    X_DIM,
    Rows,
    X,
    check_bad_call,
    compiled,
    new,
)

import keras_aevb as kv
from keras_aevb import networks

ROWS = Rows()

JAX = keras.backend.backend() == "jax"

# Parts

DISTRIBUTIONS = [kv.Bernoulli, kv.Normal, kv.DiagonalNormal, kv.StandardNormal]
for part in DISTRIBUTIONS:
    ROWS.add_arguments(
        part.__name__, lambda _, part=part, **a: part(**a), {"event_shape": NOT_EVENT_SHAPES}
    )
for part, heads in {
    kv.Bernoulli: ["logits"],
    kv.Normal: ["mean", "log_variance"],
    kv.DiagonalNormal: ["mean", "log_variance"],
}.items():
    ROWS.add_arguments(
        part.__name__, lambda _, part=part, **a: part(3, **a), dict.fromkeys(heads, NOT_LAYERS)
    )
    for head in heads:
        ROWS.add(
            f"{part.__name__}({head}=Dense(5)) of 3 values",
            lambda _, part=part, head=head: part(3, **{head: keras.layers.Dense(5)}).build((1, 4)),
            f"`{head}`",
            "event_shape=(3,)",
            "(1, 5)",
        )
BOUNDS = {kv.ELBO: (), kv.ScoreFunctionELBO: (), kv.ImportanceWeightedBound: (5,)}
for part in [*DISTRIBUTIONS, *BOUNDS]:
    size = BOUNDS.get(part, (3,))
    ROWS.add_arguments(
        part.__name__,
        lambda _, part=part, size=size, **a: part(*size, **a),
        {"dtype": ["int32", "bool", "complex64", *(["float64"] if JAX else [])]},
    )
ROWS.add_arguments("Normal", lambda _, **a: kv.Normal(3, **a), {"scale": NOT_POSITIVE})
ROWS.add(
    "Normal(log_variance, scale)",
    lambda _: kv.Normal(3, log_variance=keras.layers.Dense(3), scale=0.5),
    "either `log_variance` or `scale`",
    "0.5",
)
ROWS.add(
    "ConditionalDistribution(heads=None)", lambda _: kv.ConditionalDistribution(3, None), "`heads`"
)
ROWS.add(
    "ConditionalDistribution(heads=[])", lambda _: kv.ConditionalDistribution(3, []), "`heads`"
)
ROWS.add_arguments(
    "WeightPrior", lambda _, **a: kv.WeightPrior(**a), {"n_train": [*NOT_POSITIVE, None]}
)
for bound in BOUNDS:
    ROWS.add_arguments(
        bound.__name__, lambda _, bound=bound, **a: bound(**a), {"num_samples": NOT_SIZES_OR_NONE}
    )
NOT_GRADIENTS = ["reinforce", 1, None, ["stl"]]
ROWS.add_arguments(
    "ELBO",
    lambda _, **a: kv.ELBO(**a),
    {
        "kl": ["exact", 1, True, None, ["sampled"]],
        "beta": [*NOT_NON_NEGATIVE, max],
        "free_bits": [*NOT_NON_NEGATIVE, max],
        "gradient": [*NOT_GRADIENTS, "dreg"],
    },
)
ROWS.add(
    "ELBO(analytic, stl)", lambda _: kv.ELBO(kl="analytic", gradient="stl"), "no score", "'sampled'"
)
ROWS.add_arguments(
    "ImportanceWeightedBound",
    lambda _, **a: kv.ImportanceWeightedBound(**{"num_samples": 5, **a}),
    {"gradient": NOT_GRADIENTS},
)
ROWS.add_arguments(
    "RenyiBound",
    lambda _, **a: kv.RenyiBound(**{"alpha": 0.5, "num_samples": 5, **a}),
    {"alpha": [*NOT_NON_NEGATIVE, 1], "num_samples": NOT_SIZES_OR_NONE, "gradient": NOT_GRADIENTS},
)
ROWS.add_arguments(
    "ScoreFunctionELBO",
    lambda _, **a: kv.ScoreFunctionELBO(**a),
    {"baseline": ["mean", 0.0, True, keras.layers.Dense, max]},
)
for name, make in {
    "ImportanceWeightedBound(1, vimco)": lambda: kv.ImportanceWeightedBound(1, "vimco"),
    "ScoreFunctionELBO(1, leave-one-out)": lambda: kv.ScoreFunctionELBO(1, "leave-one-out"),
}.items():
    ROWS.add(name, lambda _, make=make: make(), "`num_samples`", "at least 2")
ROWS.add_arguments(
    "Cyclical",
    lambda _, **a: kv.Cyclical(
        **{"schedule": keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5), "period": 3, **a}
    ),
    {"schedule": [0.5, "linear", None, max], "period": NOT_SIZES_OR_NONE},
)


def mlp_rows(mlp, **bad):
    sizes = {"x_dim": X_DIM, "latent_dim": LATENT_DIM, "hidden_units": 4}
    ROWS.add_arguments(mlp.__name__, lambda _, **a: mlp(**{**sizes, **a}), bad)


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
            ROWS.add(
                f"{name}({part}: wrong {i})",
                lambda _, a=algorithm, p=part, make=make_part: new(a, **{p: make()}),
                part,
            )
    ROWS.add_arguments(name, lambda _, a=algorithm, **kw: new(a, **kw), {"seed": NOT_SEEDS})
    ROWS.add(
        f"{name}(dtype=int32)",
        lambda _, a=algorithm: new(a, dtype="int32"),
        "`dtype`",
    )
    ROWS.add(f"{name}.from_config({{}})", lambda _, a=algorithm: a.from_config({}), "decoder")
    if algorithm is not kv.MonteCarloEM:
        ROWS.add(
            f"{name}(prior of another size)",
            lambda _, a=algorithm: new(a, prior=kv.StandardNormal(3)),
            "same z",
            "(2,)",
            "(3,)",
        )
ROWS.add_arguments(
    "FullVB",
    lambda _, **a: new(kv.FullVB, **a),
    {
        "weight_kl": ["exact", 1, None],
        "n_train": NOT_POSITIVE,
        "initial_scale": [*NOT_POSITIVE, None, 1e5],
    },
)
ROWS.add_arguments(
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
    ROWS.add_arguments(
        estimator.__name__,
        lambda _, e=estimator, **a: e(**a),
        dict.fromkeys(settings, NOT_SIZES_OR_NONE),
        value_in_message=False,
    )
ROWS.add(
    "PosteriorDensity(num_chains=1)", lambda _: kv.PosteriorDensity(num_chains=1), "`num_chains`"
)
for argument, value in {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mae"]}.items():
    ROWS.add(
        f"compile({argument}={value})",
        lambda _, a=argument, v=value: new(kv.AEVB).compile("adam", **{a: v}),
        f"Expected no `{argument}`",
        "trained on its own objective",
        str(value),
    )
for value in (0, -1, 1.5, True, "2"):
    ROWS.add(
        f"compile(steps_per_execution={value!r})",
        lambda _, v=value: new(kv.AEVB).compile("adam", steps_per_execution=v),
        "`steps_per_execution`",
    )
for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
    ROWS.add(
        f"{method} before compile",
        lambda _, m=method: getattr(new(kv.AEVB), m)(X),
        "compile()",
        "not compiled",
    )

# Streams of rows

ROWS.add_arguments(
    "EpochMinibatches",
    lambda _, **a: kv.EpochMinibatches((X,), **a),
    {"batch_size": NOT_SIZES_OR_NONE, "shuffle": NOT_BOOLEANS, "seed": NOT_SEEDS},
)
numbers_of_stream = {"batch_size": 3, "seed": 0, "first": 0, "length": 2}
ROWS.add_arguments(
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
    ROWS.add(f"EpochMinibatches({name})", lambda _, a=arrays: kv.EpochMinibatches(a))

# Replicas


def twice(model):
    return [model, model]


for name, make in {
    "None": lambda: None,
    "not a list": lambda: compiled(new(kv.AEVB)),
    "[]": lambda: [],
    "[5]": lambda: [5],
    "not compiled": lambda: [new(kv.AEVB)],
    "one model twice": lambda: twice(compiled(new(kv.AEVB))),
    "two executions": lambda: [compiled(new(kv.AEVB), steps_per_execution=n) for n in (1, 2)],
}.items():
    ROWS.add(f"Replicas({name})", lambda _, make=make: kv.Replicas(make()), "model")


@pytest.mark.parametrize("call, words", ROWS.params())
def test_bad_call(call, words, models):
    check_bad_call(call, words, models)
