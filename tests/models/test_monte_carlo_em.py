"""Monte Carlo EM: chains sample the posterior, updates are EM's, and examples keep their chains."""

import keras
import numpy as np
import pytest
import supports
from contract import step_state
from streams import Batches

import keras_aevb as kv
from keras_aevb.models import monte_carlo_em

SCALE = 0.5  # σ of the linear-Gaussian models


@pytest.fixture(scope="module")
def x():
    """Real-valued pixels, 12 examples: batches of 4 are all of one shape, and compile once."""
    return np.random.default_rng(0).random((12, 6)).astype("float32")


def make(z_shape=2, likelihood=None, decoder=None, updates_per_sample=1, seed=0, **settings):
    """6 pixels, 2 latents, the same initial weights every time."""
    keras.utils.set_random_seed(1)
    return kv.MonteCarloEM(
        keras.Sequential([keras.layers.Dense(4, "tanh")]) if decoder is None else decoder,
        kv.Bernoulli(6) if likelihood is None else likelihood,
        kv.StandardNormal(z_shape),
        updates_per_sample=updates_per_sample,
        seed=seed,
        **settings,
    )


def make_linear(weights, regularizer=None, **settings):
    """p(z) = N(0, I), p(x|z) = N(Wᵀz, σ²I) with W of shape [latents, pixels]."""
    latents, pixels = weights.shape
    dense = keras.layers.Dense(pixels, use_bias=False, kernel_regularizer=regularizer)
    likelihood = kv.Normal(pixels, mean=keras.layers.Identity(), scale=SCALE)
    model = make(latents, likelihood, keras.Sequential([dense]), **settings)
    dense.kernel.assign(weights)
    return model


def posterior(weights, x):
    """Mean of shape `[B, latents]` and covariance of p(z|x)."""
    covariance = np.linalg.inv(np.eye(len(weights)) + weights @ weights.T / SCALE**2)
    return x @ weights.T @ covariance / SCALE**2, covariance


WEIGHTS = np.array([[0.8, -0.4, 0.3, 0.0, 0.5, -0.2], [0.1, 0.6, -0.5, 0.4, 0.2, 0.3]])


def with_sgd(model, rate=0.0, **settings):
    model.compile(keras.optimizers.SGD(rate), **settings)
    return model


def trained(model, x, batch_size=4, run_eagerly=False, steps_per_execution=1, **settings):
    """History and final weights of two epochs in batches of 4, in the data's order."""
    with_sgd(model, 0.1, run_eagerly=run_eagerly, steps_per_execution=steps_per_execution)
    settings = {"batch_size": batch_size, "epochs": 2, "shuffle": False, "verbose": 0, **settings}
    return model.fit(x, **settings).history, model.get_weights()


# E: the chains


def test_chains_sample_the_posterior():
    """1000 chains for each of three examples, with θ fixed; the batches are shuffled."""
    model = with_sgd(make_linear(WEIGHTS, initial_step_size=0.5))
    examples = np.random.default_rng(0).normal(size=(3, 6))
    model.fit(np.repeat(examples, 1000, axis=0), batch_size=500, epochs=20, verbose=0)
    mean, covariance = posterior(WEIGHTS, examples)
    chains = model.chains.numpy().astype("float64").reshape(3, 1000, 2)
    scale = np.diag(covariance) ** 0.5
    # Five standard errors of 6 means, σ/√n, and of 9 covariances, at most σᵢσⱼ√(2/n): odds 9e-6.
    np.testing.assert_allclose((chains.mean(1) - mean) / scale, 0, atol=5 / 1000**0.5)
    for z in chains:
        error = (np.cov(z.T) - covariance) / np.outer(scale, scale)
        np.testing.assert_allclose(error, 0, atol=5 * (2 / 1000) ** 0.5)


def test_chains_start_from_the_prior():
    chains = make(n_train=5000).chains.numpy()
    # Five standard errors of 2 means, 1/√n, and of 3 covariances, √(2/n): odds 3e-6.
    np.testing.assert_allclose(chains.mean(0), 0, atol=5 / 5000**0.5)
    np.testing.assert_allclose(np.cov(chains.T), np.eye(2), atol=5 * (2 / 5000) ** 0.5)


def test_only_the_chains_of_the_batch_move(x):
    model = with_sgd(make(n_train=12))
    before = model.chains.numpy()
    for chosen in ([2, 7, 11], [0, 2]):
        model.train_on_batch(x[chosen], np.array(chosen))
        moved = np.any(model.chains.numpy() != before, axis=1)
        np.testing.assert_array_equal(np.flatnonzero(moved), sorted(chosen))
        before = model.chains.numpy()


def test_an_example_twice_in_a_batch(x):
    """Both transitions start from the chain, and the chain continues from the last one."""
    once, twice = with_sgd(make(n_train=12)), with_sgd(make(n_train=12))
    start = once.chains.numpy()
    start[5] = start[3]
    once.chains.assign(start)
    once.train_on_batch(x[[3, 3, 1]], np.array([3, 5, 1]))
    twice.train_on_batch(x[[3, 3, 1]], np.array([3, 3, 1]))
    assert np.all(once.chains[3] != once.chains[5])
    # One program, the same noise: equal to rounding.
    np.testing.assert_allclose(twice.chains[3], once.chains[5], rtol=1e-6)
    np.testing.assert_allclose(twice.chains[1], once.chains[1], rtol=1e-6)
    received, expected = twice.get_metrics_result(), once.get_metrics_result()
    np.testing.assert_allclose(received["log_joint"], expected["log_joint"], rtol=1e-6)


@pytest.mark.parametrize("initial_step_size", [0.02, 8.0])
def test_step_size_adapts_to_the_acceptance_rate(initial_step_size):
    model = make_linear(WEIGHTS, initial_step_size=initial_step_size)
    x = np.random.default_rng(0).normal(size=(500, 6))
    history = with_sgd(model).fit(x, batch_size=50, epochs=30, verbose=0).history
    # The first batch has ε itself; from one to the next it changes by 2 %.
    bound = 1.02**9
    assert initial_step_size / bound < history["hmc_step_size"][0] < initial_step_size * bound
    # Means over 50 batches of 50 acceptances, whose ε swings by 2 % around its goal.
    assert abs(np.mean(history["acceptance_rate"][-5:]) - 0.9) < 0.03


def test_logs_report_the_step_size_in_use(x):
    model = with_sgd(make(initial_step_size=0.25))
    logs = model.fit(x, batch_size=12, verbose=0).history
    assert logs["hmc_step_size"] == [0.25]
    factor = 1.02 if logs["acceptance_rate"][0] > 0.9 else 1 / 1.02
    np.testing.assert_allclose(model.hmc_step_size.numpy(), 0.25 * factor, rtol=1e-6)  # float32


# M: the updates


@pytest.mark.parametrize("updates", [1, 5])
def test_updates_ascend_log_p_at_the_new_z(updates):
    """Gradient steps on -mean(w · log p(x, z)) + λ|W|² by hand; the log is their mean loss."""
    rate, penalty = 0.05, 0.1
    rng = np.random.default_rng(0)
    x, sample_weight = rng.normal(size=(7, 6)), rng.random(7)
    regularizer = keras.regularizers.L2(penalty)
    model = make_linear(WEIGHTS, regularizer, updates_per_sample=updates)
    with_sgd(model, rate)
    logs = model.fit(x, sample_weight=sample_weight, batch_size=7, shuffle=False, verbose=0).history
    assert int(model.optimizer.iterations) == updates

    z, weights = model.chains.numpy().astype("float64"), WEIGHTS.copy()
    losses, log_joints, reconstructions = [], [], []
    for _ in range(updates):
        residual = x - z @ weights
        reconstruction = -0.5 * np.sum(
            residual**2 / SCALE**2 + np.log(2 * np.pi * SCALE**2), axis=1
        )
        log_joint = reconstruction - 0.5 * np.sum(z**2 + np.log(2 * np.pi), axis=1)
        losses.append(-np.mean(sample_weight * log_joint) + penalty * np.sum(weights**2))
        log_joints.append(np.average(log_joint, weights=sample_weight))
        reconstructions.append(np.average(reconstruction, weights=sample_weight))
        gradient = -z.T @ (sample_weight[:, None] * residual) / SCALE**2 / 7
        weights -= rate * (gradient + 2 * penalty * weights)
    # float32, up to five steps
    np.testing.assert_allclose(model.decoder.get_weights()[0], weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logs["loss"], np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(logs["log_joint"], np.mean(log_joints), rtol=1e-5)
    np.testing.assert_allclose(logs["reconstruction"], np.mean(reconstructions), rtol=1e-5)


def test_chains_move_before_the_weights(x):
    """The first transition's z does not depend on the updates that follow it."""
    still, moving = with_sgd(make()), with_sgd(make(), rate=1.0)
    for model in (still, moving):
        model.fit(x, batch_size=12, shuffle=False, verbose=0)
    # One z from two programs
    np.testing.assert_allclose(still.chains.numpy(), moving.chains.numpy(), rtol=1e-5, atol=1e-6)
    assert np.any(still.decoder.get_weights()[0] != moving.decoder.get_weights()[0])


@pytest.mark.parametrize("batch_size", [800, 200])
def test_factor_analysis_by_maximum_likelihood(batch_size):
    """One factor, σ known: w = u √(λ - σ²) for the largest eigenvalue λ of XᵀX/N, eigenvector u."""
    w = np.array([[0.9, -0.6, 0.3]])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 1)) @ w + SCALE * rng.normal(size=(800, 3))
    values, vectors = np.linalg.eigh(x.T @ x / 800)
    expected = vectors[:, -1] * (values[-1] - SCALE**2) ** 0.5

    model = with_sgd(
        make_linear(0.1 * w, initial_step_size=0.3, updates_per_sample=5),
        rate=0.02 * batch_size / 800,
    )
    weights = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(model.decoder.get_weights()[0][0])
    )
    model.fit(x, batch_size=batch_size, epochs=120, callbacks=[record], verbose=0)
    received = np.mean(weights[-60:], axis=0)
    received *= np.sign(received @ expected)
    # z is sampled again each time: the mean of 60 correlated weights moves by about 0.005.
    np.testing.assert_allclose(received, expected, atol=0.02)


# Examples and their chains


def as_tf_dataset(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, np.arange(len(x)))).batch(4)


def test_a_stream_needs_n_train(x):
    with pytest.raises(ValueError, match=r"MonteCarloEM\(\.\.\., n_train=N\)"):
        with_sgd(make()).fit(Batches([(x, np.arange(12))]), verbose=0)


def test_a_stream_needs_indices(x):
    with pytest.raises(ValueError, match="to yield \\(x, index of each example\\)"):
        with_sgd(make(n_train=12)).fit(iter([(x,)]), verbose=0)


def test_another_training_set_needs_new_chains(x):
    model = with_sgd(make(n_train=12))
    with pytest.raises(ValueError, match=r"Expected 12 examples.*Received: 8") as error:
        model.fit(x[:8], verbose=0)
    assert "MonteCarloEM(model.decoder, model.likelihood, model.prior)" in str(error.value)
    other = kv.MonteCarloEM(model.decoder, model.likelihood, model.prior, n_train=8)
    assert other.chains.shape == (8, 2)
    for actual, desired in zip(other.trainable_variables, model.trainable_variables):
        assert actual is desired


def test_invalid_data_starts_no_chains(x):
    model = with_sgd(make())
    with pytest.raises(ValueError, match="event shape"):
        model.fit(x[:, :5], verbose=0)
    assert model.n_train is None


def test_class_weights_of_streams_are_refused(x):
    stream = kv.RandomMinibatches(x, 4, 0, 0, 3)
    with pytest.raises(ValueError, match=r"indices of MonteCarloEM's chains.*class_weight"):
        with_sgd(make(n_train=12)).fit(stream, class_weight={0: 2.0}, verbose=0)


# Evaluation


def test_evaluation_samples_the_posterior():
    """E[log p(x, z)] over p(z|x) in closed form, from new chains at the current step size."""
    x = np.random.default_rng(0).normal(size=(2000, 6))
    # 10 leapfrog steps of 0.2 are not a full period in any direction: 10 transitions mix well.
    model = with_sgd(make_linear(WEIGHTS, initial_step_size=0.2, n_train=7))
    before = [v.numpy() for v in (*model.trainable_variables, model.chains, model.hmc_step_size)]
    logs = model.evaluate(x, batch_size=1000, verbose=0, return_dict=True)
    after = [v.numpy() for v in (*model.trainable_variables, model.chains, model.hmc_step_size)]
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)
    mean, covariance = posterior(WEIGHTS, x)
    residual = np.sum((x - mean @ WEIGHTS) ** 2, axis=1)
    residual = residual + np.trace(WEIGHTS.T @ covariance @ WEIGHTS)
    reconstruction = -0.5 * residual / SCALE**2 - 3 * np.log(2 * np.pi * SCALE**2)
    squares = np.sum(mean**2, axis=1) + np.trace(covariance)
    log_joint = reconstruction - 0.5 * squares - np.log(2 * np.pi)
    # Given x, log p(x, z) has variance 1 (half a χ² of 2 degrees) and log p(x|z) less than 2:
    # five standard errors over 2000 examples, odds 1e-6.
    np.testing.assert_allclose(logs["log_joint"], log_joint.mean(), atol=5 / 2000**0.5)
    np.testing.assert_allclose(
        logs["reconstruction"], reconstruction.mean(), atol=5 * (2 / 2000) ** 0.5
    )
    np.testing.assert_allclose(logs["loss"], -logs["log_joint"], rtol=1e-5)  # float32
    np.testing.assert_allclose(logs["hmc_step_size"], 0.2, rtol=1e-6)
    assert 0.9 < logs["acceptance_rate"] < 1


# Layers


@pytest.mark.slow
def test_layers_are_in_training_mode_only_for_updates(x):
    layer = keras.layers.BatchNormalization(momentum=0.75)
    decoder = keras.Sequential([layer, keras.layers.Dense(5), keras.layers.Dropout(0.5)])
    model = with_sgd(make(decoder=decoder, updates_per_sample=5))
    model.evaluate(x, batch_size=12, verbose=0)
    model.fit(x, batch_size=12, verbose=0)
    mean = model.chains.numpy().mean(0)
    # Five updates at one z; float32
    np.testing.assert_allclose(layer.moving_mean.numpy(), (1 - 0.75**5) * mean, rtol=1e-4)


def test_images_and_maps_of_z(x):
    decoder = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4, "tanh")])
    model = with_sgd(make((1, 2), kv.Bernoulli((2, 3, 1)), decoder), rate=0.1)
    model.fit(x.reshape(12, 2, 3, 1), batch_size=4, verbose=0)
    assert model.chains.shape == (12, 1, 2)
    assert model.sample(4).shape == (4, 2, 3, 1)


def test_chains_keep_their_precision(mixed_float16):
    model = make(likelihood=kv.Normal(6), n_train=12)
    assert (model.hmc_step_size.dtype, model.compute_dtype) == ("float32", "float16")
    assert model.chains.dtype == "float32"


# Prediction, saving, reproducibility


def test_it_cannot_predict(x):
    model = with_sgd(make())
    for predict in (model, model.predict):
        with pytest.raises(NotImplementedError, match="no recognition model"):
            predict(x)


@pytest.mark.slow
def test_chains_may_start_late(x, tmp_path):
    """After `evaluate` has compiled programs without chains, and after loading."""
    model = with_sgd(make())
    model.evaluate(x, verbose=0)
    model.save(tmp_path / "model.keras")
    for late in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert late.get_config()["n_train"] is None
        late.fit(x, batch_size=4, validation_split=1 / 3, validation_freq=2, verbose=0)
        assert late.n_train == 8
        assert late.chains.shape == (8, 2)
    model.evaluate(x, verbose=0)


@pytest.mark.slow
def test_on_jax_replicas_train_in_one_program():
    """`train_step` is pure: `vmap` over stacked models and `scan` over steps equal `fit`."""
    if keras.backend.backend() != "jax":
        pytest.skip("only JAX's train_step is a pure function")
    import jax

    x = np.random.default_rng(0).random((60, 12), dtype="float32")
    batches = x.reshape(3, 20, 12), np.arange(60).reshape(3, 20)

    def build(seed, rate):
        parts = kv.networks.bernoulli_mlp(12, 2, 6, 100, seed=seed, recognition=False)
        model = kv.MonteCarloEM(**parts, n_train=60, updates_per_sample=2, seed=seed)
        model.compile(keras.optimizers.Adagrad(rate))
        return model

    models = [build(0, 0.01), build(1, 0.05)]
    stacked = jax.tree.map(lambda *values: jax.numpy.stack(values), *map(step_state, models))
    before = jax.tree.map(np.array, step_state(models[0]))

    def epoch(state):
        return jax.lax.scan(lambda s, data: models[0].train_step(s, data)[::-1], state, batches)

    replicas, logs = jax.jit(jax.vmap(epoch))(stacked)
    for actual, desired in zip(jax.tree.leaves(before), jax.tree.leaves(step_state(models[0]))):
        np.testing.assert_array_equal(actual, desired)
    for i, model in enumerate(models):
        history = model.fit(x, batch_size=20, shuffle=False, verbose=0).history
        # float32 sums in another order; three transitions, six updates
        for name in history:
            np.testing.assert_allclose(logs[name][i, -1], history[name][0], rtol=1e-5)
        for values, group in zip(replicas[:2], step_state(model)[:2]):
            for value, variable in zip(values, group):
                np.testing.assert_allclose(value[i], variable, rtol=1e-4, atol=1e-6)


# Priors on bounded supports


def trained_chains(family):
    """History, 1000 chains for each of three examples, and quadrature's mean and covariance."""
    model = with_sgd(supports.make(family, kv.MonteCarloEM, initial_step_size=0.5))
    x = supports.examples(family, 3)
    history = model.fit(np.repeat(x, 1000, axis=0), batch_size=500, epochs=100, verbose=0).history
    chains = model.chains.numpy().astype("float64").reshape(3, 1000, -1)
    return history, chains, supports.exact(family, x)[1:]


@pytest.mark.parametrize("family", ["Dirichlet", "LogNormal", "Normal", "Uniform"])
def test_chains_sample_the_posterior_inside_the_support(family):
    history, chains, (mean, covariance) = trained_chains(family)
    if family == "Dirichlet":
        assert (chains > 0).all()
        np.testing.assert_allclose(chains.sum(axis=2), 1, atol=1e-6)  # float32
    elif family != "Normal":
        low, high = supports.PRIORS[family][1].support()
        # float32 may round z to an edge, where a uniform density is not zero
        assert ((chains >= low) & (chains <= high)).all()
    # The step size adapts from 0.5 to an acceptance of 0.9, by 2 % per batch
    assert 0.8 < np.mean(history["acceptance_rate"][-5:]) < 0.95
    assert np.isfinite(history["log_joint"]).all()
    for z, m, c in zip(chains[:, :, :2], mean, covariance):
        scale = np.diag(c) ** 0.5
        # Five standard errors of 6 means and, for kurtoses up to 6, of 6 variances: odds 7e-6.
        np.testing.assert_allclose((z.mean(axis=0) - m) / scale, 0, atol=5 / 1000**0.5)
        np.testing.assert_allclose(z.var(axis=0) / scale**2, 1, atol=5 * (5 / 1000) ** 0.5)


@pytest.mark.slow
def test_streams_with_a_prior_on_a_bounded_support():
    """On TensorFlow, batches of streams have an unknown size."""
    x = supports.examples("Dirichlet", 12)
    model = with_sgd(supports.make("Dirichlet", kv.MonteCarloEM, n_train=12))
    before = model.chains.numpy()
    logs = model.fit(as_tf_dataset(x), verbose=0).history
    assert np.isfinite(logs["log_joint"]).all()
    assert np.any(model.chains.numpy() != before, axis=1).all()


@pytest.mark.slow
def test_a_loaded_model_has_chains_in_the_support(tmp_path):
    model = with_sgd(supports.make("Dirichlet", kv.MonteCarloEM))
    x = supports.examples("Dirichlet", 20)
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.chains.shape == (20, 3)
    np.testing.assert_array_equal(loaded.chains.numpy(), model.chains.numpy())
    logs = loaded.evaluate(x, verbose=0, return_dict=True)
    assert np.isfinite(list(logs.values())).all()


@pytest.mark.parametrize("family", supports.REFUSED)
def test_priors_that_hmc_cannot_sample_are_refused(family):
    with pytest.raises(ValueError, match=r"Received: tfp\.distributions.*AEVB or WakeSleep"):
        supports.make(family, kv.MonteCarloEM)


def test_a_normal_prior_keeps_its_coordinates(x, monkeypatch):
    """The results equal those without the change of coordinates, to the last bit."""
    history, weights = trained(make(), x)

    class Plain:
        is_identity = True

        def __init__(self, prior):
            self.log_prob, self.to_u, self.to_z = prior.log_prob, lambda z: z, lambda u: u

    monkeypatch.setattr(
        monte_carlo_em, "unconstrained", lambda prior, decode: (Plain(prior), decode)
    )
    plain_history, plain_weights = trained(make(), x)
    assert history == plain_history
    for actual, plain in zip(weights, plain_weights):
        np.testing.assert_array_equal(actual, plain)


def test_labels_are_not_indices_of_chains(x):
    """Labels from 0 to 2 are valid indices, but the 12 examples would share three chains."""
    batches = kv.RandomMinibatches(x, 5, 0, 0, 2, y=np.arange(12) % 3)
    with pytest.raises(ValueError, match="3 different numbers for 12 examples"):
        with_sgd(make(n_train=12)).fit(batches, verbose=0)


def test_other_examples_are_evaluated_in_row_streams(x):
    """They have no chains, and need no index."""
    model = make()
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(x, batch_size=4, verbose=0)
    others = np.tile(x, (2, 1))
    expected = model.evaluate(others, batch_size=4, verbose=0, return_dict=True)
    stream = kv.EpochMinibatches((others,), 4, shuffle=False)
    logs = model.evaluate(stream, verbose=0, return_dict=True)
    assert logs.keys() == expected.keys() and np.isfinite([*logs.values()]).all()
    random = kv.RandomMinibatches(others, 4, 0, 0, 3)
    assert np.isfinite(model.evaluate(random, verbose=0)).all()
    history = model.fit(x, batch_size=4, validation_data=random, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
