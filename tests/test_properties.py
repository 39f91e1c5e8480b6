"""Property-based tests of configs, streams, batch sizes and sample weights."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

import keras_aevb as kv
from keras_aevb import networks

few = settings(max_examples=10, deadline=None, derandomize=True)
very_few = settings(few, max_examples=3)
many = settings(max_examples=100, deadline=None, derandomize=True)

X_DIM, LATENT_DIM = 6, 2
sizes = st.integers(1, 4)
shapes = st.one_of(sizes, st.lists(sizes, min_size=1, max_size=3).map(tuple))
positive = st.floats(1e-6, 1e6)
seeds = st.one_of(st.none(), st.integers(0, 2**32 - 1))


def data(n, seed=0):
    return np.random.default_rng(seed).random((n, X_DIM)).astype("float32")


def numbers(tensors):
    return [np.asarray(t) for t in keras.tree.flatten(tensors)]


def assert_equal(received, expected):
    for actual, desired in zip(received, expected, strict=True):
        np.testing.assert_array_equal(actual, desired)
        assert np.isfinite(desired).all()


# Configs


def round_trip(part):
    """Rebuilds a part from its config; the configs are equal, except for ids of shared objects.

    A loaded part has its own dtype policy, whereas new parts share Keras' policy.
    """
    copy = type(part).from_config(part.get_config())
    assert serialized(copy) == serialized(part)
    return copy


def serialized(part):
    return without_object_numbers(keras.saving.serialize_keras_object(part))


def without_object_numbers(config):
    if isinstance(config, dict):
        items = [(k, without_object_numbers(v)) for k, v in config.items()]
        return {k: v for k, v in items if k != "shared_object_id"}
    return [without_object_numbers(v) for v in config] if isinstance(config, list) else config


@few
@given(
    make=st.sampled_from([kv.Bernoulli, kv.Normal, kv.DiagonalNormal]),
    shape=shapes,
    head=st.sampled_from([None, "tanh", "sigmoid"]),
    scale=st.one_of(st.none(), positive),
    dtype=st.sampled_from(["float32", "mixed_float16", "bfloat16"]),
)
def test_conditional_distributions_are_rebuilt_from_their_config(make, shape, head, scale, dtype):
    size = int(np.prod(shape))
    name = "logits" if make is kv.Bernoulli else "mean"
    arguments = {name: head and keras.layers.Dense(size, head, dtype=dtype), "dtype": dtype}
    if make is kv.Normal:
        arguments["scale"] = scale
    part = make(shape, **arguments)
    copy = round_trip(part)
    features = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    for layer in (part, copy):
        layer(features)
    for actual, desired in zip(copy.weights, part.weights, strict=True):
        actual.assign(desired)
    p, q = (layer.distribution(*layer(features)) for layer in (part, copy))
    assert_equal(numbers([q.mean(), q.variance()]), numbers([p.mean(), p.variance()]))
    x = np.full((3, *part.event_shape), 0.5, "float32")
    assert_equal(numbers(q.log_prob(x)), numbers(p.log_prob(x)))


@few
@given(shape=shapes)
def test_priors_are_rebuilt_from_their_config(shape):
    part = kv.StandardNormal(shape)
    z = np.random.default_rng(0).normal(size=(3, *part.event_shape)).astype("float32")
    p, q = part.distribution(), round_trip(part).distribution()
    assert_equal(numbers(q.log_prob(z)), numbers(p.log_prob(z)))


@few
@given(
    num_samples=st.integers(1, 5),
    kl=st.sampled_from(["analytic", "sampled", None]),
    seed=st.integers(0, 2**32 - 1),
)
def test_bounds_are_rebuilt_from_their_config(num_samples, kl, seed, aevb, noise):
    bound = (
        kv.ScoreFunctionELBO(num_samples) if kl is None else kv.ELBO(num_samples=num_samples, kl=kl)
    )
    x = data(4)
    arguments = x, aevb.encode(x), aevb.prior.distribution(), aevb.decode, noise(seed % 2**31)
    assert_equal(numbers(round_trip(bound)(*arguments)), numbers(bound(*arguments)))


@few
@given(n_train=st.floats(1e-3, 1e9))
def test_weight_priors_are_rebuilt_from_their_config(n_train):
    part, w = kv.WeightPrior(n_train), data(5)
    assert_equal(numbers(round_trip(part)(w)), numbers(part(w)))


@few
@given(
    make=st.sampled_from(
        [kv.ImportanceSampling, kv.AnnealedImportanceSampling, kv.PosteriorDensity]
    ),
    values=st.lists(st.integers(2, 10**6), min_size=4, max_size=4),
)
def test_estimators_are_rebuilt_from_their_config(make, values):
    names = make().get_config()
    round_trip(make(**dict(zip(names, values))))


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM])
@very_few
@given(
    mlp=st.sampled_from([networks.bernoulli_mlp, networks.gaussian_mlp]),
    gain=st.sampled_from([1.0, 0.1]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_models_are_rebuilt_from_their_config(algorithm, mlp, gain, seed, data):
    with_encoder = algorithm is not kv.MonteCarloEM
    settings = {
        kv.FullVB: {
            "weight_kl": st.sampled_from(["analytic", "sampled"]),
            "n_train": st.one_of(st.none(), st.integers(1, 10**6)),
            "initial_scale": st.floats(1e-3, 1e3),
        },
        kv.MonteCarloEM: {
            "num_leapfrog_steps": sizes,
            "updates_per_sample": sizes,
            "initial_step_size": positive,
            "n_train": st.one_of(st.none(), st.integers(1, 100)),
        },
    }.get(algorithm, {})
    settings = {name: data.draw(values, name) for name, values in settings.items()}
    parts = mlp(X_DIM, LATENT_DIM, 3, seed=0, recognition=with_encoder, log_variance_gain=gain)
    model = algorithm(**parts, **settings, seed=seed)
    copy = round_trip(model)
    copy.set_weights(model.get_weights())
    # Samples depend on decoder, likelihood, prior and settings; means on all parts.
    assert_equal([copy.sample(2, seed=0)], [model.sample(2, seed=0)])
    if with_encoder:
        x = np.full((2, X_DIM), 0.5, "float32")
        assert_equal(numbers(copy(x)), numbers(model(x)))


# Streams and arrays


@pytest.fixture(scope="module")
def aevb():
    model = kv.AEVB(**networks.bernoulli_mlp(X_DIM, LATENT_DIM, 4, seed=0), seed=0)
    model.compile(keras.optimizers.SGD(0.1))
    return model


class Batches(keras.utils.PyDataset):
    """Minibatches in the order of the rows."""

    def __init__(self, arrays, batch_size):
        super().__init__()
        self.arrays = arrays
        self.batch_size = batch_size

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch_size)

    def __getitem__(self, i):
        rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
        return tuple(a[rows] for a in self.arrays)


def as_tf_data(arrays, batch_size):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)


def as_generator(arrays, batch_size):
    return (batch for batch in Batches(arrays, batch_size))


STREAMS = {
    "PyDataset": Batches,
    "generator": as_generator,
    "tf.data": as_tf_data,
    "EpochMinibatches": lambda arrays, batch_size: kv.EpochMinibatches(arrays, batch_size, False),
}


def values_of(model):
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


def reset(model, values):
    for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
        variable.assign(value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMS)
@settings(few, max_examples=6)
@given(n=st.sampled_from([2, 7]), batch_size=st.sampled_from([3, 10]), weighted=st.booleans())
def test_streams_train_and_evaluate_like_arrays(kind, aevb, n, batch_size, weighted):
    """Exactly equal: the same examples, order, batches and noise."""
    x, y = data(n), np.zeros(n)
    weights = np.linspace(0.5, 2, n).astype("float32") if weighted else None
    arrays = (x, y, weights) if weighted else (x,)
    start = values_of(aevb)
    results = []
    for stream in (False, True):
        given = [STREAMS[kind](arrays, batch_size) for _ in range(3)] if stream else [x] * 3
        how = {} if stream else {"batch_size": batch_size}
        labels = {} if stream else {"y": y, "sample_weight": weights}
        logs = aevb.fit(given[0], shuffle=False, verbose=0, **how, **labels).history
        logs |= aevb.evaluate(given[1], return_dict=True, verbose=0, **how, **labels)
        images = aevb.predict(given[2], verbose=0, **how)
        results.append([*values_of(aevb), images, *map(np.asarray, logs.values())])
        reset(aevb, start)
    assert_equal(results[1], results[0])


# Batch sizes

# Few sizes, since each compiles a program. Batches are smaller or larger than the data, or
# divide it with a remainder.
lengths, batch_sizes = st.sampled_from([1, 5, 8]), st.sampled_from([1, 3, 8])


class NearlyDeterministic(kv.DiagonalNormal):
    """A posterior with the smallest standard deviation, exp(-10): samples are close to the mean."""

    def distribution(self, mean, log_variance):
        return super().distribution(mean + 1.0, ops.full_like(log_variance, -20.0))


@pytest.fixture(scope="module")
def nearly_deterministic():
    parts = networks.bernoulli_mlp(X_DIM, LATENT_DIM, 4, seed=0)
    model = kv.AEVB(**{**parts, "posterior": NearlyDeterministic(LATENT_DIM)}, seed=0)
    model.compile(keras.optimizers.SGD(0.1))
    return model


@few
@given(n=lengths, batch_sizes=st.lists(batch_sizes, min_size=2, max_size=2, unique=True))
def test_the_bound_does_not_depend_on_the_batch_size(nearly_deterministic, n, batch_sizes):
    """z is its mean up to σ = exp(-10), which moves the bound by less than 1e-4 nats."""
    x = data(n)
    actual, desired = (nearly_deterministic.elbo(x, batch_size=b, seed=0) for b in batch_sizes)
    assert actual.shape == (n,)
    np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=1e-4)
    (alone,) = nearly_deterministic.elbo(x[-1:], seed=1)  # does not depend on the batch
    np.testing.assert_allclose(actual[-1], alone, rtol=1e-5, atol=1e-4)


@few
@given(n=lengths, batch_sizes=st.lists(batch_sizes, min_size=2, max_size=2, unique=True))
def test_evaluation_does_not_depend_on_the_batch_size(nearly_deterministic, n, batch_sizes):
    """The logs are means over examples for any size of the last batch, and agree with the bound."""
    x = data(n)
    actual, desired = (
        nearly_deterministic.evaluate(x, batch_size=b, return_dict=True, verbose=0)
        for b in batch_sizes
    )
    for name in actual:
        np.testing.assert_allclose(actual[name], desired[name], rtol=1e-5, atol=1e-4)
    bound = nearly_deterministic.elbo(x, seed=0).mean()
    np.testing.assert_allclose(actual["elbo"], bound, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(actual["loss"], -bound, rtol=1e-5, atol=1e-4)


# Sample weights

# Each sums to 6, so that one program serves all repeated examples.
weights_of_rows = st.sampled_from([(2, 4), (6, 0), (1, 5), (1, 2, 3), (0, 6, 0), (4, 1, 1)])


@few
@given(weights=weights_of_rows)
def test_integer_weights_are_repeated_examples(nearly_deterministic, weights):
    """The loss is Σ w L / n over n weighted examples, and Σ L / Σ w over the repeated ones."""
    x, n, total = data(len(weights)), len(weights), sum(weights)
    weighted = nearly_deterministic.evaluate(
        x, sample_weight=np.array(weights), batch_size=n, return_dict=True, verbose=0
    )
    repeated = nearly_deterministic.evaluate(
        np.repeat(x, weights, axis=0), batch_size=total, return_dict=True, verbose=0
    )
    np.testing.assert_allclose(
        weighted["loss"] * n, repeated["loss"] * total, rtol=1e-5, atol=1e-4 * total
    )
    for term in ("elbo", "reconstruction", "kl"):
        np.testing.assert_allclose(weighted[term], repeated[term], rtol=1e-5, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # `log_variance` is not used
@few
@given(weights=weights_of_rows)
def test_integer_weights_train_as_repeated_examples(nearly_deterministic, weights):
    """SGD follows the gradient of the mean loss: n · (weighted move) = Σ w · (repeated move)."""
    x, n, total = data(len(weights)), len(weights), sum(weights)
    start = values_of(nearly_deterministic)
    before = nearly_deterministic.get_weights()
    moves = []
    for arrays, scale in (((x, None, np.array(weights)), n), ((np.repeat(x, weights, 0),), total)):
        nearly_deterministic.train_on_batch(*arrays)
        moves.append([scale * (a - b) for a, b in zip(nearly_deterministic.get_weights(), before)])
        reset(nearly_deterministic, start)
    assert max(np.abs(move).max() for move in moves[0]) > 1e-3
    for actual, desired in zip(*moves):
        # float32 weights of 0.01 … 1 change by about 1e-2; z has σ = exp(-10)
        np.testing.assert_allclose(actual, desired, rtol=1e-3, atol=2e-5 * total)


# Epochs of minibatches


@many
@given(
    n=st.integers(1, 200),
    batch_size=st.integers(1, 250),
    seed=seeds,
    epochs=st.lists(st.integers(0, 1000), min_size=2, max_size=4),
)
def test_epochs_cover_every_row_once(n, batch_size, seed, epochs):
    def order(stream, epoch):
        stream.epoch = epoch
        stream.on_epoch_begin()
        batches = [stream.rows(i) for i in range(len(stream))]
        assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
        assert 1 <= len(batches[-1]) <= batch_size
        return np.concatenate(batches)

    x = np.arange(n)
    stream = kv.EpochMinibatches((x,), batch_size, seed=seed)
    fresh = kv.EpochMinibatches((x,), batch_size, seed=seed)
    fresh.seed = stream.seed  # a random one, without a seed
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(order(stream, epoch)), x)
    np.testing.assert_array_equal(order(stream, epochs[-1]), order(fresh, epochs[-1]))


@pytest.mark.slow
@many
@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 20),
    seed=st.integers(0, 2**32 - 1),
    first=st.integers(0, 500),
    offset=st.integers(0, 300),
)
def test_random_minibatches_depend_only_on_their_number(n, batch_size, seed, first, offset):
    x = np.arange(n)
    whole = kv.RandomMinibatches(x, batch_size, seed, first, offset + 1)
    tail = kv.RandomMinibatches(x, batch_size, seed, first + offset, 1)
    whole[0]  # loads another block first
    (actual, ours_i), (desired, theirs_i) = whole[offset], tail[0]
    assert actual.shape == (batch_size,)
    np.testing.assert_array_equal(actual, desired)
    np.testing.assert_array_equal(x[ours_i], actual)
    np.testing.assert_array_equal(ours_i, theirs_i)
