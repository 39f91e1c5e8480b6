"""A user's bound, algorithm or estimator must return one number for each example."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb.marginal_likelihood import Estimator


class Own(kv.Bound):
    """A bound with terms changed by a function."""

    change = staticmethod(lambda terms: terms)

    def __call__(self, x, q, prior, decode, seed):
        z = q.sample(self.num_samples, seed=seed)
        log_p, kl = decode(z).log_prob(x), q.kl_divergence(prior)
        mean = ops.mean(log_p, axis=0)
        terms = {"elbo": mean - kl, "reconstruction": mean, "kl": kl, "each": log_p}
        return self.change(terms)


BOUNDS = {
    "one for each sample": (
        lambda terms: {**terms, "elbo": terms["each"] - terms["kl"]},
        r"`elbo` of Own .*one value for each example, shape \((13|None),\)\. Received: shape \(3, ",
    ),
    "a scalar": (lambda terms: {**terms, "kl": ops.mean(terms["kl"])}, r"`kl` of Own .*shape \(\)"),
    "no bound": (lambda terms: {"kl": terms["kl"]}, r"without \['elbo', 'reconstruction'\]"),
    "a term is missing": (lambda terms: {"elbo": terms["elbo"]}, r"\['reconstruction', 'kl'\]"),
}


@pytest.mark.parametrize("change, message", BOUNDS.values(), ids=BOUNDS)
def test_terms_of_a_bound(change, message, make_model, x):
    bound = Own(3)
    bound.change = change
    model = make_model(bound=bound)
    # JAX would compile each operation by itself.
    model.compile("adam", run_eagerly=keras.backend.backend() == "tensorflow")
    for call in (
        lambda: model.fit(x, batch_size=13, sample_weight=np.ones(13), verbose=0),
        lambda: model.evaluate(x, verbose=0),
        lambda: model.elbo(x),
        lambda: kv.gradient_variance(model, x, bound, num_repeats=3),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_surrogate_that_is_missing(make_model, x):
    bound = Own(3)
    bound.surrogate = "jeffreys"
    model = make_model(bound=bound)
    model.compile("adam")
    with pytest.raises(ValueError, match=r"without \['jeffreys'\]"):
        model.fit(x, verbose=0)


class OwnAEVB(kv.AEVB):
    extra_terms = ("spread",)

    def objective(self, x, training):
        loss, terms = super().objective(x, training)
        return self.change(loss, terms)


class WithoutObjective(kv.VariationalModel):
    pass


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda loss, terms: (loss, terms), r"OwnAEVB to return the terms .*without \['spread'\]"),
        (lambda loss, terms: (ops.mean(loss), terms), r"`loss` of OwnAEVB .*Received: shape \(\)"),
        (
            lambda loss, terms: (loss, {**terms, "spread": loss[:, None]}),
            r"`spread` of OwnAEVB .*, 1\)",
        ),
    ],
)
def test_the_objective_of_an_algorithm(change, message, make_model, x):
    model = make_model(OwnAEVB)
    model.change = change
    model.compile("adam")
    with pytest.raises(ValueError, match=message):
        model.fit(x, verbose=0)


def test_an_algorithm_without_objective(make_model, x):
    model = make_model(WithoutObjective)
    model.compile("adam")
    with pytest.raises(NotImplementedError, match="WithoutObjective to implement `objective`"):
        model.fit(x, verbose=0)


class WithAHead(kv.AEVB):
    def __init__(self, **parts):
        super().__init__(**parts)
        self.head = keras.layers.Dense(1)

    def objective(self, x, training):
        loss, terms = super().objective(x, training)
        return loss + ops.square(self.head(x)[:, 0]), terms


def test_layers_of_an_algorithm_are_built_in_its_constructor(make_model, x):
    model = make_model(WithAHead)
    model.compile("adam")
    with pytest.raises(ValueError, match=r"layers to be built.*kernel.*self\.head\.build"):
        model.fit(x, verbose=0)
    model = make_model(WithAHead)
    model.head.build((None, 6))
    before = model.head.get_weights()[0]
    model.compile("adam")
    model.fit(x, verbose=0)
    assert np.any(model.head.get_weights()[0] != before)


class PriorSampling(Estimator):
    def __call__(self, x, q, prior, decode, seed):
        log_p = decode(prior.sample((self.num_samples, x.shape[0]), seed=seed)).log_prob(x)
        return self.change(log_p)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda log_p: {"log_p": log_p}, r"without \['log_likelihood', 'standard_error'\]"),
        (lambda log_p: {"log_likelihood": log_p[0]}, r"without \['standard_error'\]"),
        (
            lambda log_p: {"log_likelihood": log_p, "standard_error": log_p[0]},
            r"`log_likelihood` of PriorSampling .*shape \(13,\)\. Received: shape \(10, 13\)",
        ),
    ],
)
@pytest.mark.parametrize("algorithm", [kv.AEVB, functools.partial(kv.FullVB, n_train=13)])
def test_the_results_of_an_estimator(algorithm, change, message, make_model, x):
    estimator = PriorSampling(10)
    estimator.change = change
    model = make_model(algorithm)
    model.compile("adam", run_eagerly=True)
    with pytest.raises(ValueError, match=message):
        model.log_likelihood(x, method=estimator)
