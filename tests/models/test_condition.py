"""Models of p(x, z|y): encoder, decoder and prior get the features of y."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

import keras_aevb as kv
from keras_aevb.networks import Joined
from keras_aevb.training import inputs

Y = np.arange(13) % 3
JAX = keras.backend.backend() == "jax"
ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB]


def dense(units):
    return Joined(keras.Sequential([keras.layers.Dense(units, "tanh")]))


def build(algorithm=kv.AEVB, prior=None, condition=None, latent_dim=2, **parts):
    keras.utils.set_random_seed(1)
    model = algorithm(
        encoder=dense(5),
        decoder=dense(4),
        posterior=kv.DiagonalNormal(latent_dim),
        likelihood=kv.Bernoulli(6),
        prior=prior,
        condition=condition or kv.Condition(num_classes=3),
        seed=0,
        **parts,
    )
    model.compile(keras.optimizers.Adagrad(0.1), jit_compile=JAX)
    return model


@pytest.fixture(scope="module")
def model():
    return build(prior=kv.DiagonalNormal(2))


def test_class_weights_on_a_batch(x):
    weights = np.where(Y == 0, 2.0, 1.0)
    model = build()
    model.compile(keras.optimizers.SGD(0.0), jit_compile=JAX)
    seed = model.seed_generator.state.numpy()

    def loss(*data, **weights):
        model.seed_generator.state.assign(seed)
        return model.train_on_batch(*data, **weights)[0]

    expected = loss(x, Y, sample_weight=weights)
    assert loss(x, Y, class_weight={0: 2.0}) == expected
    assert loss({"x": x, "condition": Y}, class_weight={0: 2.0}) == expected


def test_class_weights_do_not_weight_validation_split(x):
    model = build()
    model.compile(keras.optimizers.SGD(0.0), jit_compile=JAX)
    seed = model.seed_generator.state.numpy()

    def logs(**weights):
        model.seed_generator.state.assign(seed)
        history = model.fit(x, Y, batch_size=5, validation_split=0.4, verbose=0, **weights).history
        return {name: values[0] for name, values in history.items()}

    weighted, plain = logs(class_weight={0: 1.0, 1: 10.0}), logs()
    assert weighted["loss"] > 2 * plain["loss"]
    for name in ("val_loss", "val_elbo", "val_kl"):
        assert weighted[name] == plain[name]


def test_encoder_and_decoder_get_the_features(model, x):
    one_hot = np.eye(3, dtype="float32")[Y]
    features = model.encoder.network(np.concatenate([x, one_hot], 1))
    loc, _ = model.posterior(features)
    np.testing.assert_allclose(model.encode(x, condition=Y).mean(), loc, rtol=1e-6)
    one = model.encode(x, condition=[2]).mean()  # the same y for all
    np.testing.assert_array_equal(one, model.encode(x, condition=[2] * 13).mean())
    z = np.random.default_rng(0).normal(size=(7, 13, 2)).astype("float32")
    together = model.decode(z, condition=Y).log_prob(x)  # [7, 13]
    for i in range(13):  # each z with the y of its example
        features = model.decoder.network(np.concatenate([z[:, i], np.tile(one_hot[i], (7, 1))], 1))
        (logits,) = model.likelihood(features)
        alone = model.likelihood.distribution(logits).log_prob(x[i])
        np.testing.assert_allclose(np.asarray(together)[:, i], alone, rtol=1e-5)


def test_a_single_condition_needs_no_axis(model):
    z = np.random.default_rng(0).normal(size=(3, 2)).astype("float32")
    means = model.decode(z, condition=[2]).mean()
    np.testing.assert_array_equal(model.decode(z, condition=2).mean(), means)
    images = kv.pictures.traversals(model, condition=[2], seed=0)
    np.testing.assert_array_equal(kv.pictures.traversals(model, condition=2, seed=0), images)


def test_functional_networks_of_two_inputs(x, tmp_path):
    """Keras' functional models refuse a mixture of tensors and NumPy arrays."""

    def network(width, units):
        inputs = [keras.Input((width,)), keras.Input((3,))]
        hidden = keras.layers.Dense(units, "tanh")(keras.layers.Concatenate()(inputs))
        return keras.Model(inputs, hidden)

    parts = {"posterior": kv.DiagonalNormal(2), "likelihood": kv.Bernoulli(6)}
    condition = kv.Condition(num_classes=3)
    model = kv.AEVB(network(6, 5), network(2, 4), condition=condition, seed=0, **parts)
    model.compile("adam")
    model.fit(x, Y, verbose=0, callbacks=[kv.callbacks.Pictures(tmp_path, x=x, condition=Y)])
    expected = model.posterior_parameters(x, condition=Y)["mean"]
    for values in (x, ops.array(x), x.astype("float64"), x.tolist()):
        np.testing.assert_allclose(model.encode(values, condition=Y).mean(), expected, rtol=1e-5)
    z = np.zeros((13, 2))
    assert model.decode(z, condition=Y).mean().shape == (13, 6)
    assert (
        model.sample(13, condition=Y).shape
        == model.predict({"x": x, "condition": Y}, verbose=0).shape
    )


def test_a_prior_of_the_condition(model, x):
    """The closed form of KL(q(z|x, y) ‖ p(z|y)) is that of two normals."""
    loc, log_variance = (np.asarray(p, "float64") for p in model.prior(np.eye(3)[Y]))
    q = model.encode(x, condition=Y)
    with model.given(Y):
        kl = q.kl_divergence(model.prior_distribution())
    mean, variance = (np.asarray(m(), "float64") for m in (q.mean, q.variance))
    ratio = variance / np.exp(log_variance)
    expected = 0.5 * (ratio + (mean - loc) ** 2 / np.exp(log_variance) - 1 - np.log(ratio)).sum(1)
    np.testing.assert_allclose(kl, expected, rtol=1e-4)


CHAINS = kv.AnnealedImportanceSampling(60, 100)  # two blocks of chains


@pytest.mark.parametrize("method", [kv.ImportanceSampling(5000), CHAINS, kv.PosteriorDensity(400)])
@pytest.mark.parametrize("of_y", [True, False])
def test_log_likelihood_given_the_condition_agrees_with_quadrature(method, of_y, x):
    """One latent, p(z|y) or p(z), p(x|z, y)."""
    means = keras.layers.Dense(1, use_bias=False)
    prior = kv.DiagonalNormal(1, mean=means) if of_y else None
    model = build(prior=prior, latent_dim=1)
    if of_y:
        means.set_weights([np.array([[-1.0], [0.0], [1.0]])])
    model.decoder.set_weights([2 * w for w in model.decoder.get_weights()])
    *weights, log_variance_kernel, _ = model.posterior.get_weights()
    # A wide q(z|x, y), for weights of small variance.
    model.posterior.set_weights([*weights, 0 * log_variance_kernel, np.array([2.0])])
    estimate, error = model.log_likelihood(
        x, method=method, condition=Y, seed=0, return_standard_error=True
    )
    grid = np.linspace(-12, 12, 1201)
    z = np.tile(grid[:, None, None], (1, 13, 1)).astype("float32")
    with model.given(Y):
        log_prior = np.asarray(model.prior_distribution().log_prob(z), "float64")
    log_joint = log_prior + np.asarray(model.decode(z, condition=Y).log_prob(x), "float64")
    exact = special.logsumexp(log_joint, axis=0) + np.log(grid[1] - grid[0])
    # With 9 degrees of freedom, 1.5 % of a t distribution is beyond three standard errors, and more
    # than two of 13 values are with probability 1e-3.
    assert (np.abs(estimate - exact) > 3 * error + 1e-4).sum() <= 2
    assert np.abs(estimate - exact).max() < 0.1


@pytest.mark.slow
def test_streams_train_like_arrays(x):
    """The same batches give the same numbers, from arrays on the device and from a generator."""
    actual, desired = build(), build()
    actual.fit(x, Y, batch_size=5, shuffle=False, verbose=0)
    desired.fit(((x[i : i + 5], Y[i : i + 5]) for i in range(0, 13, 5)), verbose=0)
    for a, b in zip(actual.get_weights(), desired.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)  # float32, another program


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_method(algorithm, x, tmp_path):
    """Ten epochs raise the bound; the loaded model has it to the last digit."""
    model = build(algorithm, prior=kv.DiagonalNormal(2))
    settings = {"condition": Y, "seed": 0}
    if algorithm is not kv.FullVB:
        settings["num_samples"] = 20
    before = model.elbo(x, **settings).mean()
    history = model.fit(x, Y, batch_size=13, epochs=10, verbose=0, validation_split=0.3).history
    after = model.elbo(x, **settings)
    assert after.mean() > before
    assert len(history["val_elbo"]) == 10
    assert np.isfinite(model.evaluate(x, Y, verbose=0)).all()
    assert model.sample(3, condition=[0, 1, 2]).shape == (3, 6)
    reconstructed = model.decode(model.encode(x, condition=Y).mean(), condition=Y).mean()
    np.testing.assert_allclose(model.reconstruct(x, Y), reconstructed, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, **settings), after)


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.FullVB])
def test_arguments_by_position_are_the_same_for_every_algorithm(algorithm, x):
    """The condition is the third argument of `sample`, the seventh of `log_likelihood`."""
    model = build(algorithm)
    y = np.array([0, 1, 2])
    np.testing.assert_array_equal(model.sample(3, 0, y), model.sample(3, seed=0, condition=y))
    by_position = model.log_likelihood(x, 5, "importance", 100, 0, False, Y, 0)
    by_name = model.log_likelihood(x, 5, seed=0, condition=Y, verbose=0)
    np.testing.assert_array_equal(by_position, by_name)


def test_covariates_and_missing_values(x):
    """A condition of several numbers through a network, beside missing pixels."""
    covariates = np.random.default_rng(0).normal(size=(13, 4))
    network = keras.layers.Dense(7, "relu")
    model = build(condition=kv.Condition(4, network=network))
    assert network.kernel.path in {v.path for v in model.trainable_variables}
    variance = kv.gradient_variance(model, x, num_repeats=3, seed=0, condition=covariates)
    assert variance.phi.total > 0
    keras.utils.set_random_seed(1)
    model = kv.AEVB(
        dense(5),
        dense(4),
        kv.DiagonalNormal(2),
        kv.Observed(kv.Bernoulli(6)),
        condition=kv.Condition(4),
    )
    incomplete = np.where(x > 0.8, np.nan, x)
    filled = model.impute(incomplete, covariates)
    np.testing.assert_array_equal(filled[x <= 0.8], x[x <= 0.8])
    assert np.isfinite(filled).all()


def test_wrong_conditions(model, x):
    without = "needs a condition y for each example"
    calls = {
        without: [
            lambda: model.fit(x, verbose=0),
            lambda: model.evaluate(x, verbose=0),
            lambda: model.predict(x, verbose=0),
            lambda: model.elbo(x),
            lambda: model.log_likelihood(x),
            lambda: model.sample(2),
            lambda: model.encode(x),
            lambda: model.decode(np.zeros((5, 2), "float32")),
            lambda: model.reconstruct(x),
            lambda: model.train_on_batch(x),
        ],
        r"shape \(13,\).*Received: shape \(3,\)": [
            lambda: model.fit(x, Y[:3], verbose=0),
            lambda: model.elbo(x, condition=Y[:3]),
        ],
        "classes from 0 to 2": [
            lambda: model.fit(x, Y + 1, verbose=0),
            lambda: model.sample(2, condition=[0.5, 1]),
        ],
        "encoder.*`networks.Joined": [
            lambda: kv.AEVB(
                keras.Sequential([keras.layers.Dense(5)]),
                dense(4),
                kv.DiagonalNormal(2),
                kv.Bernoulli(6),
                condition=kv.Condition(2),
            )
        ],
        "finite condition": [lambda: model.elbo(x, condition=np.full(13, np.nan))],
        "in batch 1": [lambda: model.fit(((a, b) for a, b in ((x, Y), (x, Y + 1))), verbose=0)],
        "one for each of 5": [
            lambda: model.decode(np.zeros((5, 2), "float32"), condition=[1, 2]),
        ],
        "θ for each conditional sample.*Received: 2": [
            lambda: build(kv.FullVB, n_train=13).sample(
                4, num_weight_samples=2, condition=[0, 1, 2, 0]
            ),
        ],
        "made without `condition=`": [
            lambda: build_without().elbo(x, condition=Y),
            lambda: build_without().reconstruct(x, Y),
        ],
        "takes no condition": [
            lambda: kv.MonteCarloEM(
                dense(4), kv.Bernoulli(6), kv.StandardNormal(2), condition=kv.Condition(2)
            )
        ],
        "either `shape` or `num_classes`": [lambda: kv.Condition(3, num_classes=2)],
        "`network` to be a Keras layer": [lambda: kv.Condition(3, network="dense")],
        "`num_classes`": [lambda: kv.Condition(num_classes=1)],
        "`condition` to be a Condition": [lambda: build(condition=keras.layers.Dense(3))],
    }
    for message, group in calls.items():
        for call in group:
            with pytest.raises(ValueError, match=message):
                call()
    with model.given(Y):
        pass
    with pytest.raises(ValueError, match=without):  # the condition ended with the block
        model.encode(ops.convert_to_tensor(x))


def build_without():
    return kv.AEVB(**kv.networks.bernoulli_mlp(6, latent_dim=2, hidden_units=4))


def test_each_variable_belongs_to_one_distribution():
    """The condition's network belongs to q(z|x, y), so `FullVB` has no q over its weights."""
    condition = kv.Condition(3, network=keras.layers.Dense(4))
    model = build(condition=condition, prior=kv.DiagonalNormal(2))
    paths = [v.path for v in model.phi + model.theta]
    assert sorted(paths) == sorted(v.path for v in model.trainable_variables)
    assert {v.path for v in condition.trainable_variables} < {v.path for v in model.phi}


def test_labels_and_weights_in_a_half_floatx():
    """float16 has no integers between 2048 and 2050, and rounds 0.1 to 0.09998."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float16")
    try:
        keras.config.set_dtype_policy("float16")
        condition = kv.Condition(num_classes=4000)
        np.testing.assert_array_equal(condition.checked([2049, 3001], 2), [2049, 3001])
        assert int(np.argmax(condition(np.array([3001]))[0])) == 3001
        assert inputs.as_array([0.1])[0] == np.float32(0.1)
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_labels(policy, x):
    """bfloat16 has no integers between 256 and 258, float16 none between 2048 and 2050."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        labels = np.array([255, 257, 258, 259, 511, 2049, 2999])
        condition = kv.Condition(num_classes=3000)
        np.testing.assert_array_equal(np.argmax(condition(labels.astype("float32")), -1), labels)
        several = kv.Conditions({"a": kv.Condition(), "b": kv.Condition(num_classes=3000)})
        features = several(several.packed({"a": np.ones(7), "b": labels}))
        np.testing.assert_array_equal(np.argmax(features[:, 1:], -1), labels)
        embedding = kv.Condition(network=keras.layers.Embedding(3000, 2))
        codes = np.asarray(embedding(labels.astype("float32")), "float32")
        expected = np.asarray(embedding.network(labels), "float32").reshape(7, 2)
        np.testing.assert_array_equal(codes, expected)
        model = build(condition=kv.Condition(num_classes=3000))
        model.encoder.network.layers[0].kernel.assign(
            np.arange(3006 * 5).reshape(3006, 5) % 7 - 3.0
        )
        few = {"x": x[:7], "condition": labels}
        means = model.reconstruct(x[:7], condition=labels)
        # `predict` may round in another order
        np.testing.assert_allclose(model.predict(few, verbose=0), means, atol=2e-2)
        others = model.reconstruct(x[:7], condition=labels - labels % 2)
        assert not np.allclose(means, others, atol=2e-2)
    finally:
        keras.config.set_dtype_policy(before)


def test_minibatches_yield_the_condition(model, x):
    batches = kv.RandomMinibatches(x, 5, seed=0, first=0, length=2, y=Y)
    np.testing.assert_array_equal(batches[1][1], Y[batches.rows(1)])
    with pytest.raises(ValueError, match=r"RandomMinibatches\(…, y=…\).*row indices"):
        model.fit(kv.RandomMinibatches(x, 5, seed=0, first=0, length=2), verbose=0)


@pytest.mark.parametrize(
    "condition, y",
    [
        (kv.Conditions({"label": kv.Condition(num_classes=3), "age": kv.Condition()}), None),
        (kv.Condition(2), np.eye(2)[Y % 2]),
    ],
)
def test_class_weights_need_one_class(condition, y, x):
    y = {"label": Y, "age": np.zeros(13)} if y is None else y
    with pytest.raises(ValueError, match="one class for each example"):
        build(condition=condition).fit(x, y, class_weight={0: 1.0, 1: 2.0}, verbose=0)


@pytest.mark.parametrize("shape", [np.array([3]), np.array([3, 4]), [3], np.int64(3), ()])
def test_shapes_of_any_type(shape):
    expected = tuple(int(n) for n in np.ravel(shape))
    assert kv.Condition(shape).shape == expected


def test_one_vector_is_the_condition_of_every_example():
    model = build(condition=kv.Condition(3))
    z, y = np.random.default_rng(0).normal(size=(3, 2)), np.array([1.0, 2.0, -1.0])
    one, each = (model.decode(z, condition=c).mean() for c in (y, np.tile(y, (3, 1))))
    np.testing.assert_allclose(one, each, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Expected a condition of shape \(1, 3\)"):
        model.decode(z, condition=5.0)


def test_no_training_mode_in_batches(x):
    model = build()
    for data, batch_size in ((x, 5), ([(x, Y)], None)):
        with pytest.raises(ValueError, match="Expected `training=False` with a stream or"):
            model.encode(
                iter(data) if batch_size is None else data, training=True, batch_size=batch_size
            )
