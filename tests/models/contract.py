"""The algorithms of `test_contract` and related tests: four of the library's, and a user's own."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

import keras_aevb as kv

JAX = keras.backend.backend() == "jax"

# 13 examples: batches of 5, the last one of 3. The first 10 are two batches of one shape.
X13 = np.random.default_rng(0).random((13, 6)).astype("float32")
N = 10
X = X13[:N]
BATCH = 5


@keras.saving.register_keras_serializable("tests")
class Tempered(kv.Bound):
    """A user's own bound: an ELBO whose divergence counts β times."""

    def __init__(self, beta=0.5, **kwargs):
        super().__init__(**kwargs)
        self.beta = beta

    def __call__(self, x, q, prior, decode, seed):
        z = q.sample(self.num_samples, seed=seed)
        reconstruction = ops.mean(decode(z).log_prob(x), axis=0)
        kl = q.kl_divergence(prior)
        elbo = reconstruction - self.beta * kl
        return {"elbo": elbo, "reconstruction": reconstruction, "kl": kl}

    def get_config(self):
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable("tests")
class Own(kv.VariationalModel):
    """A user's own algorithm: AEVB that also keeps the means of q(z|x) near zero."""

    extra_terms = ("spread",)

    def __init__(self, *args, weight=0.1, **kwargs):
        super().__init__(*args, **kwargs)
        self.weight = weight

    def objective(self, x, training):
        q = self.encode(x, training)
        terms = self.bound(
            x, q, self.prior.distribution(), self.decoder_of(training), self.next_seed()
        )
        spread = ops.sum(ops.square(q.mean()), axis=1)
        return self.weight * spread - terms["elbo"], {**terms, "spread": spread}

    def get_config(self):
        return {**super().get_config(), "weight": self.weight}


@dataclasses.dataclass(frozen=True)
class Case:
    """An algorithm and its properties.

    Attributes:
        algorithm: the class.
        terms: names of its logs other than the loss.
        settings: function that returns further arguments.
        recognition: whether it has an encoder and a posterior.
        indexed: whether a stream brings the index of each example.
        loss: function from the logs to the loss without penalties.
        training_calls: calls in training mode, in one step, of the posterior's head and of the
            likelihood's.
    """

    algorithm: type
    terms: frozenset
    loss: Callable
    settings: Callable = dict
    recognition: bool = True
    indexed: bool = False
    training_calls: tuple = (1, 1)

    @property
    def __name__(self):
        return self.algorithm.__name__

    def build(self, seed=0, compiled=True, n_train=N, **parts):
        """6 pixels and 2 latents, the same initial weights every time; parts may be replaced.

        Dropout has separate noise. TensorFlow runs without XLA, whose compilation takes seconds.
        """
        keras.utils.set_random_seed(1)
        dense = keras.layers.Dense
        defaults = {
            "encoder": keras.Sequential([dense(5, "tanh")]),
            "decoder": keras.Sequential([dense(4, "tanh"), keras.layers.Dropout(0.2, seed=3)]),
            "posterior": kv.DiagonalNormal(2),
            "likelihood": kv.Bernoulli(6),
            "prior": kv.StandardNormal(2),
            **self.settings(),
        }
        if self.algorithm in (kv.FullVB, kv.MonteCarloEM):
            defaults["n_train"] = n_train
        arguments = {**defaults, **parts}
        if not self.recognition:
            del arguments["encoder"], arguments["posterior"]
        model = self.algorithm(**arguments, seed=seed)
        if compiled:
            self.compile(model)
        return model

    def compile(self, model, **mode):
        model.compile(keras.optimizers.Adagrad(0.05), **{"jit_compile": JAX, **mode})

    def batches(self, x, size=BATCH):
        """A list of the minibatches of x, in the order of the rows."""
        parts = (x, np.arange(len(x))) if self.indexed else (x,)
        return [tuple(p[i : i + size] for p in parts) for i in range(0, len(x), size)]

    def labels(self, n):
        """The y of `train_on_batch`."""
        return np.arange(n) if self.indexed else None

    def outputs(self, model, x):
        """The results of its methods, with fixed seeds."""
        found = {"sample": model.sample(5, seed=1)}
        if self.recognition:
            found["predict"] = model.predict(x, verbose=0)
            found["elbo"] = model.elbo(x, seed=1)
        return found


ELBO = frozenset({"elbo", "reconstruction", "kl"})
CASES = [
    Case(kv.AEVB, ELBO, lambda logs: -logs["elbo"]),
    Case(
        kv.WakeSleep,
        ELBO | {"sleep"},
        lambda logs: -logs["elbo"] - logs["sleep"],
        training_calls=(2, 2),  # in both phases
    ),
    Case(kv.FullVB, ELBO | {"weight_kl"}, lambda logs: logs["weight_kl"] / N - logs["elbo"]),
    Case(
        kv.MonteCarloEM,
        frozenset({"log_joint", "reconstruction", "acceptance_rate", "hmc_step_size"}),
        lambda logs: -logs["log_joint"],
        lambda: {"updates_per_sample": 1, "num_leapfrog_steps": 3},
        recognition=False,
        indexed=True,
        training_calls=(0, 1),  # transitions do not train
    ),
    Case(
        Own,
        ELBO | {"spread"},
        lambda logs: 0.3 * logs["spread"] - logs["elbo"],
        lambda: {"bound": Tempered(), "weight": 0.3},
    ),
]


def case_name(case):
    return case.__name__


class Runner:
    """A case's model, reset before each run, so that runs share compiled programs."""

    def __init__(self, case):
        self.case = case
        self.model = case.build()
        self.start = state(self.model)

    def reset(self):
        set_state(self.model, self.start)

    def fit(self, x=X, *args, **settings):
        """`fit` from the start: the history and the final state."""
        self.reset()
        settings = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, **settings}
        history = self.model.fit(x, *args, **settings).history
        return history, state(self.model)


def variables_of(model):
    """All variables except those of metrics: weights, chains, seeds, and the optimizer's."""
    metrics = {id(v) for v in model.metrics_variables}
    return [v for v in (*model.variables, *model.optimizer.variables) if id(v) not in metrics]


def step_state(model):
    """The values that JAX's `train_step` takes and returns, in Keras' order."""
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return tuple([v.value for v in group] for group in groups)


def state(model):
    return [np.array(v) for v in variables_of(model)]


def set_state(model, values):
    for variable, value in zip(variables_of(model), values, strict=True):
        variable.assign(value)


def assert_same(run, other):
    """The same program on the same numbers: no tolerance."""
    (history, values), (other_history, other_values) = run, other
    assert history == other_history
    assert_equal(values, other_values)


def assert_equal(values, other_values):
    for a, b in zip(values, other_values, strict=True):
        np.testing.assert_array_equal(a, b)


def differ(run, other):
    return any(np.any(a != b) for a, b in zip(run[1], other[1]))
