"""β and free bits: training objective, reported terms, and schedules in compiled loops."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb._backend import tfp

SCHEDULES = keras.optimizers.schedules
WARMUP = SCHEDULES.PolynomialDecay(0.0, 7, 1.0)


class Seen(keras.callbacks.Callback):
    """The last step of every execution, and the β in its logs."""

    def __init__(self):
        super().__init__()
        self.steps, self.betas = [], []

    def on_train_batch_end(self, batch, logs=None):
        # Keras counts the last group of an epoch as complete.
        steps = self.params["steps"]
        self.steps.append(steps * self.model.epochs_done + min(batch, steps - 1))
        self.betas.append(float(np.asarray(logs["beta"])))


def build(make_model, algorithm=kv.AEVB, seed=0, bound=None, optimizer=None, **settings):
    model = make_model(algorithm, seed=seed, bound=kv.ELBO(beta=WARMUP) if bound is None else bound)
    model.compile(keras.optimizers.SGD(0.1) if optimizer is None else optimizer, **settings)
    return model


def fit(model, x, **settings):
    """Fits three batches per epoch, and returns the `Seen` callback."""
    seen = Seen()
    model.fit(x[:12], batch_size=4, verbose=0, callbacks=[seen], **settings)
    return seen


def assert_follows_schedule(seen, schedule=WARMUP):
    expected = [float(schedule(step)) for step in seen.steps]
    np.testing.assert_allclose(seen.betas, expected, rtol=1e-6)  # float32


# The training objective


def divergences(model, x):
    """KL of each latent dimension, `[B, 2]`."""
    q = model.encode(x)
    mean, variance = np.float64(q.mean()), np.float64(q.variance())
    return 0.5 * (mean**2 + variance - 1 - np.log(variance))


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_the_objective(kl, make_model, noise, x):
    model = make_model()
    q, prior = model.encode(x), model.prior.distribution()
    terms = kv.ELBO(3, kl, beta=2.5, free_bits=0.2)(x, q, prior, model.decode, noise(0))
    plain = kv.ELBO(3, kl)(x, q, prior, model.decode, noise(0))
    for name in kv.ELBO.terms:
        np.testing.assert_array_equal(terms[name], plain[name])
    if kl == "analytic":
        by_dimension = divergences(model, x)
    else:
        z = q.sample(3, seed=noise(0))
        log_ratio = q.distribution.log_prob(z) - prior.distribution.log_prob(z)
        by_dimension = np.float64(log_ratio).mean(0)
    assert np.any(by_dimension < 0.2) and np.any(by_dimension > 0.2)
    expected = np.float64(plain["reconstruction"]) - 2.5 * np.maximum(by_dimension, 0.2).sum(1)
    np.testing.assert_allclose(terms["objective"], expected, rtol=1e-5)  # float32


def test_free_bits_leave_a_dimension_alone(gradients, noise):
    """Only divergences above λ have a gradient."""
    mean = keras.Variable(np.array([[0.1, 2.0]]), dtype="float32")
    posterior, prior = kv.DiagonalNormal(2), kv.StandardNormal(2).distribution()

    def decode(z):
        return kv.Normal(2, scale=1.0).distribution(ops.zeros_like(z))

    def objective():
        q = posterior.distribution(mean.value, ops.zeros((1, 2)))
        terms = kv.ELBO(free_bits=0.5)(ops.zeros((1, 2)), q, prior, decode, noise(0))
        return ops.sum(terms["objective"])

    (received,) = gradients(objective, [mean])
    np.testing.assert_allclose(received, [[0, -2]], rtol=1e-6)


@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.FullVB])
def test_evaluation_reports_the_bound(algorithm, make_model, x):
    results = []
    for bound in (kv.ELBO(), kv.ELBO(beta=7.0, free_bits=1.0)):
        n_train = {"n_train": 13} if algorithm is kv.FullVB else {}
        model = make_model(algorithm, bound=bound, **n_train)
        model.compile("sgd")
        logs = model.evaluate(x, batch_size=13, verbose=0, return_dict=True)
        results.append((logs, model.elbo(x, seed=0)))
    (plain, plain_elbo), (weighted, elbo) = results
    assert weighted.pop("beta") == 7
    assert weighted.pop("free_bits") == 1
    assert weighted == plain
    np.testing.assert_array_equal(elbo, plain_elbo)


def test_the_loss_is_minus_the_objective(make_model, x):
    model = build(make_model, bound=kv.ELBO(beta=7.0))
    logs = model.train_on_batch(x, return_dict=True)
    assert set(logs) == {"loss", "elbo", "reconstruction", "kl", "beta"}
    np.testing.assert_allclose(logs["loss"], 7 * logs["kl"] - logs["reconstruction"], rtol=1e-6)
    np.testing.assert_allclose(logs["elbo"], logs["reconstruction"] - logs["kl"], rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_beta_one_is_plain_training(jit_compile, make_model, x):
    ones = SCHEDULES.PolynomialDecay(1.0, 1, 1.0)
    weights = []
    for bound in (kv.ELBO(), kv.ELBO(beta=ones)):
        model = build(make_model, bound=bound, jit_compile=jit_compile)
        model.fit(x[:8], batch_size=4, verbose=0)
        weights.append([v.numpy() for v in model.trainable_variables])
    for plain, scheduled in zip(*weights):
        # XLA rounds a product with a constant 1 at another place: one unit of float32.
        np.testing.assert_allclose(plain, scheduled, rtol=0, atol=1e-7 * jit_compile)


# Schedules


@pytest.mark.parametrize(
    ("algorithm", "steps_per_execution"),
    [(kv.AEVB, 1), (kv.AEVB, 3), (kv.AEVB, 2), (kv.WakeSleep, 3), (kv.FullVB, 3)],
)
def test_the_current_weight_is_in_the_logs(algorithm, steps_per_execution, make_model, x):
    model = build(make_model, algorithm, steps_per_execution=steps_per_execution)
    seen = fit(model, x, epochs=3)
    assert_follows_schedule(seen)
    assert len(set(seen.betas)) > 2


@pytest.mark.slow
def test_the_step_is_saved(make_model, x, tmp_path):
    model = build(make_model, optimizer=keras.optimizers.Adam(0.01))
    fit(model, x, epochs=1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.bound.kl_estimator == "analytic"
    assert "kl_estimator=analytic" in repr(loaded.bound)
    np.testing.assert_array_equal(loaded.elbo(x, seed=0), model.elbo(x, seed=0))
    for same in (model, loaded):
        seen = fit(same, x, epochs=3, initial_epoch=1)
        assert seen.steps[0] == 3
        assert_follows_schedule(seen)
    for actual, desired in zip(loaded.weights, model.weights):
        np.testing.assert_array_equal(actual, desired)


def test_the_step_survives_an_interruption(make_model, x, tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    fit_again = [build(make_model), build(make_model)]
    for model, epochs in zip(fit_again, (1, 2)):
        seen = Seen()
        model.fit(x[:12], batch_size=4, epochs=epochs, verbose=0, callbacks=[seen, backup])
        assert_follows_schedule(seen)
    assert seen.steps == [3, 4, 5]


def test_accumulated_batches_are_steps(make_model, x):
    """The same as for Keras' learning-rate schedules."""
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    assert_follows_schedule(fit(build(make_model, optimizer=optimizer), x, epochs=2))


def test_each_replica_counts_its_steps(make_model, x):
    models = [build(make_model, seed=seed, steps_per_execution=3) for seed in (0, 1)]
    fit(models[1], x, epochs=1)
    seen = [[Seen()], [Seen()]]
    kv.Replicas(models).fit(
        x[:12], batch_size=4, epochs=3, initial_epoch=1, verbose=0, callbacks=seen
    )
    for (callback,), ahead in zip(seen, (0, 3)):
        callback.steps = [step - 3 + ahead for step in callback.steps]
        assert_follows_schedule(callback)


def test_a_schedule_does_not_recompile(make_model, x):
    model = build(make_model)
    fit(model, x, epochs=1)
    programs = dict(model._programs.programs)
    fit(model, x, epochs=1)
    assert model._programs.programs == programs


def test_cycles(make_model, x):
    schedule = kv.Cyclical(WARMUP, 7)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    for step in range(20):
        assert float(schedule(step)) == float(copy(step)) == float(WARMUP(step % 7))
    model = build(make_model, bound=kv.ELBO(beta=schedule), steps_per_execution=3)
    assert_follows_schedule(fit(model, x, epochs=5), schedule)


@keras.saving.register_keras_serializable("tests_bounds")
class Annealed(kv.Bound):
    """A user's bound with a temperature of the likelihood."""

    surrogate = "annealed"

    def __init__(self, temperature, **kwargs):
        super().__init__(**kwargs)
        self.temperature = self.scheduled("temperature", temperature)

    def __call__(self, x, q, prior, decode, seed):
        reconstruction = ops.mean(decode(q.sample(1, seed=seed)).log_prob(x), axis=0)
        kl = q.kl_divergence(prior)
        terms = {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}
        return {**terms, "annealed": self.now(self.temperature) * reconstruction - kl}

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


def test_a_users_bound(make_model, x, tmp_path):
    model = build(make_model, bound=Annealed(WARMUP))
    logs = [model.train_on_batch(x, return_dict=True) for _ in range(3)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    logs.append(loaded.train_on_batch(x, return_dict=True))
    for step, log in enumerate(logs):
        expected = log["kl"] - float(WARMUP(step)) * log["reconstruction"]
        np.testing.assert_allclose(log["loss"], expected, rtol=1e-5, atol=1e-6)


# Estimators of the divergence


class Laplace(kv.DiagonalNormal):
    """A distribution without a registered KL divergence from a normal."""

    def distribution(self, mean, log_scale):
        return tfp.distributions.Independent(
            tfp.distributions.Laplace(mean, ops.exp(log_scale)), len(self.event_shape)
        )


class Correlated(kv.DiagonalNormal):
    def distribution(self, mean, log_scale):
        tfd = tfp.distributions
        return tfd.MultivariateNormalDiag(mean, ops.exp(log_scale))


def test_auto_reports_its_choice(make_model, noise, x):
    for posterior, settings, expected in (
        (kv.DiagonalNormal, {}, "analytic"),
        (Laplace, {}, "sampled"),
        (kv.DiagonalNormal, {"gradient": "stl"}, "sampled"),
        (kv.DiagonalNormal, {"kl": "sampled"}, "sampled"),
    ):
        model = make_model(posterior=posterior(2), bound=kv.ELBO(3, **settings))
        assert model.bound.kl_estimator == expected
        assert f"kl_estimator={expected}" in repr(model.bound)
        arguments = x, model.encode(x), model.prior.distribution(), model.decode
        actual, desired = (b(*arguments, noise(0)) for b in (model.bound, kv.ELBO(3, expected)))
        for name in kv.ELBO.terms:
            np.testing.assert_array_equal(actual[name], desired[name])


def test_free_bits_need_dimensions(make_model):
    with pytest.raises(ValueError, match=r"independent given x.*MultivariateNormalDiag"):
        make_model(posterior=Correlated(2), bound=kv.ELBO(free_bits=0.1, kl="sampled"))


def test_the_closed_form_has_no_score():
    with pytest.raises(ValueError, match=r"no score.*kl='auto'.*Received: kl='analytic'"):
        kv.ELBO(kl="analytic", gradient="stl")


def test_the_logs_report_a_weight_that_returns_to_its_default(make_model, x):
    """Also in evaluation, and for both weights."""
    model = build(make_model, bound=kv.ELBO(beta=0.5, free_bits=0.1))
    for beta, free_bits in ((0.5, 0.1), (1.0, 0.1), (1.0, 0.0), (2.0, 0.0)):
        model.bound.beta, model.bound.free_bits = beta, free_bits
        history = model.fit(x, verbose=0).history
        np.testing.assert_allclose(history["beta"], beta)
        np.testing.assert_allclose(history["free_bits"], free_bits, rtol=1e-6)  # float32
        assert model.evaluate(x, verbose=0, return_dict=True)["beta"] == beta


@keras.saving.register_keras_serializable("test_scheduled_bounds")
class Halved(kv.Bound):
    """Half of another bound is maximised."""

    surrogate = "half"

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def __call__(self, x, q, prior, decode, seed):
        inner = self.inner[0] if isinstance(self.inner, list) else self.inner
        terms = inner(x, q, prior, decode, seed)
        return {**terms, "half": terms["objective"] / 2}


@pytest.mark.parametrize("in_a_list", [False, True])
def test_a_bound_inside_another_one(make_model, x, in_a_list):
    """Its schedule advances, its weight is in the logs, and L applies to it."""

    def put(bound):
        return Halved([bound] if in_a_list else bound)

    model = build(make_model, bound=put(kv.ELBO(beta=WARMUP)))
    assert_follows_schedule(fit(model, x, epochs=3))
    inner = build(make_model, bound=kv.ELBO(beta=WARMUP))
    inner.set_weights(model.get_weights())
    for n in (1, 50):
        np.testing.assert_allclose(
            model.elbo(x, num_samples=n, seed=0), inner.elbo(x, num_samples=n, seed=0), rtol=1e-6
        )
    with pytest.raises(ValueError, match="closed form"):
        make_model(bound=put(kv.ELBO(kl="analytic")), prior=kv.MixturePrior("Normal", 2, 3))


def test_an_algorithm_of_ones_own_advances_its_bounds_schedule(make_model, x):
    class Own(kv.VariationalModel):
        def objective(self, x, training):
            q, prior = self.encode(x, training), self.prior_distribution()
            terms = self.bound(x, q, prior, self.decoder_of(training), self.next_seed())
            return kv.typing.Objective(-terms["objective"], terms)

    assert_follows_schedule(fit(build(make_model, Own), x, epochs=3))


def test_a_schedule_in_the_place_of_a_number(make_model, x):
    """A bound counts steps if its constructor receives a schedule."""
    model = make_model()
    model.compile("sgd")
    model.bound.beta = WARMUP
    with pytest.raises(ValueError, match=r"`model.bound = ELBO\(…\)`.*Received.*Polynomial"):
        model.fit(x, verbose=0)
    model.bound = kv.ELBO(beta=WARMUP)
    assert model.fit(x, verbose=0).history["beta"] == [0.0]
