"""The model M2: labels that are missing for most examples."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

import keras_aevb as kv
from keras_aevb.networks import Joined

K = 3


def build(**settings):
    keras.utils.set_random_seed(1)
    return kv.SemiSupervisedAEVB(
        **{
            "classifier": keras.layers.Dense(K),
            "encoder": Joined(keras.Sequential([keras.layers.Dense(6, "tanh")])),
            "decoder": Joined(keras.Sequential([keras.layers.Dense(6, "tanh")])),
            "posterior": kv.DiagonalNormal(2),
            "likelihood": kv.Bernoulli(6),
            "condition": kv.Condition(num_classes=K),
            "seed": 0,
            **settings,
        }
    )


def test_the_objective_is_that_of_the_paper(x):
    """Kingma et al. (2014), eqs. 6, 7 and 9, from the bounds of all classes with the same noise."""
    model, twin = build(classification_weight=0.7), build()
    y = np.array([0, 2, -1, -1, 1, -1, 0, 0, -1, 2, 1, -1, -1])
    losses, terms = model.objective(ops.convert_to_tensor(x), False, ops.convert_to_tensor(y))
    every_x, every_y = np.repeat(x, K, axis=0), np.tile(np.arange(K), len(x))
    q = twin.encode(every_x, condition=every_y)
    prior = twin.prior_distribution()
    bound = twin.bound(
        every_x, q, prior, lambda z: twin.decode(z, condition=every_y), twin.next_seed()
    )["elbo"]
    bound = np.asarray(bound, "float64").reshape(-1, K) - np.log(K)
    log_q = special.log_softmax(np.asarray(twin.classifier(x), "float64"), axis=1)
    for i, label in enumerate(y):
        if label < 0:
            elbo = (np.exp(log_q[i]) * (bound[i] - log_q[i])).sum()
            expected = elbo
        else:
            elbo = bound[i, label]
            expected = elbo + 0.7 * log_q[i, label]
        np.testing.assert_allclose(-losses[i], expected, rtol=1e-5)
        np.testing.assert_allclose(terms["elbo"][i], elbo, rtol=1e-5)


@pytest.mark.slow
def test_a_few_labels_are_enough_for_clusters(tmp_path):
    """Three clusters of pixels, two labels each: more than 95 % get the label of their cluster."""
    generator = np.random.default_rng(0)
    clusters = np.repeat(np.arange(K), 40)
    centres = np.eye(K).repeat(2, axis=1) * 0.8 + 0.1
    x = np.clip(centres[clusters] + 0.05 * generator.normal(size=(120, 6)), 0, 1)
    y = np.full(120, -1)
    labelled = [0, 1, 40, 41, 80, 81]
    y[labelled] = clusters[labelled]
    model = build(classification_weight=5.0)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=keras.backend.backend() == "jax")
    history = model.fit(x, y, batch_size=30, epochs=30, verbose=0, validation_split=0.1).history
    assert history["loss"][-1] < history["loss"][0]
    probabilities = model.classify(x)
    named = {"x": x, "condition": np.full(len(x), -1)}  # as in `fit`
    np.testing.assert_array_equal(model.classify(named), probabilities)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert (probabilities.argmax(1) == clusters).mean() > 0.95
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.classify(x), probabilities)
    assert loaded.classification_weight == 5.0
    assert model.sample(2, condition=[0, 1]).shape == (2, 6)
    assert {v.path for v in model.classifier.trainable_variables} <= {v.path for v in model.phi}


def test_errors(x):
    model = build()
    model.compile("sgd")
    for message, call in {
        "with -1 for a missing one": lambda: model.fit(x, verbose=0),
        "labels from 0 to 2, or -1": lambda: model.fit(x, np.full(13, 3), verbose=0),
        "in batch 0": lambda: model.fit(((x, np.full(13, -2)) for _ in range(1)), verbose=0),
        "classes of the labels": lambda: build(
            condition=kv.Condition(2), encoder=Joined(keras.layers.Dense(6))
        ),
        "3 logits for each example": lambda: build(classifier=keras.layers.Dense(4)),
        "`classification_weight`": lambda: build(classification_weight=-1),
        "`classifier` to be a Keras": lambda: build(classifier="dense"),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("label", [2, -1], ids=["labelled", "unlabelled"])
def test_every_bound_reports_the_same_elbo(label, x):
    """With one sample, the importance-weighted bound is the ELBO, with log p(y) and H(q(y|x))."""
    y = ops.full((len(x),), label)
    bounds = kv.ELBO(kl="sampled"), kv.ImportanceWeightedBound(1), kv.RenyiBound(0.5, 1)
    values = {}
    for bound in bounds:
        terms = build(bound=bound).objective(ops.convert_to_tensor(x), True, y)[1]
        values[bound.objective] = np.asarray(terms[bound.objective])
        np.testing.assert_allclose(terms["elbo"], values["elbo"], rtol=1e-5)  # float32
    for value in values.values():
        np.testing.assert_allclose(value, values["elbo"], rtol=1e-5)


class Renamed(kv.Bound):
    """A bound of one's own without a term `elbo`."""

    terms = ("own_bound",)
    objective = "own_bound"

    def __call__(self, x, q, prior, decode, seed):
        return {"own_bound": kv.ELBO(kl="sampled")(x, q, prior, decode, seed)["elbo"]}


def test_a_bound_of_ones_own(x):
    y = ops.full((len(x),), 2)
    own, elbo = (
        build(bound=bound).objective(ops.convert_to_tensor(x), True, y)
        for bound in (Renamed(), kv.ELBO(kl="sampled"))
    )
    np.testing.assert_array_equal(own[1]["own_bound"], elbo[1]["elbo"])
    np.testing.assert_array_equal(own[0], elbo[0])


@pytest.mark.parametrize("settings", [{"beta": 2.0}, {"free_bits": 0.3}], ids=str)
def test_a_bound_with_a_surrogate(settings, x):
    """The loss has each class's surrogate, weighted like its bound; the logs have β or λ."""
    model, twin = build(bound=kv.ELBO(**settings)), build(bound=kv.ELBO(**settings))
    y = np.arange(13) % K
    losses, terms = model.objective(ops.convert_to_tensor(x), True, ops.convert_to_tensor(y))
    every_x, every_y = np.repeat(x, K, axis=0), np.tile(np.arange(K), len(x))
    with twin.given(every_y):
        q = twin.encode(ops.convert_to_tensor(every_x), False)
        all_terms = twin.bound(every_x, q, twin.prior_distribution(), twin.decode, twin.next_seed())
    surrogate = np.asarray(all_terms[twin.bound.surrogate]).reshape(-1, K)[np.arange(13), y]
    expected = surrogate - np.log(K) + np.asarray(terms["classification"])
    np.testing.assert_allclose(-np.asarray(losses), expected, rtol=1e-5)
    assert float(terms[next(iter(settings))]) == np.float32(next(iter(settings.values())))


def test_a_penalty_of_the_batch_is_refused():
    with pytest.raises(ValueError, match=r"every class of each example.*MaximumMean"):
        build(bound=kv.MaximumMeanDiscrepancyELBO(1.0))
