"""The two phases of wake-sleep, each with gradients only for its own parameters."""

import functools

import keras
import numpy as np
import pytest
from binary import BinaryPosterior, BinaryPrior
from keras import ops

import keras_aevb as kv


def recognition(model):
    return model.encoder.trainable_variables + model.posterior.trainable_variables


def generation(model):
    return model.decoder.trainable_variables + model.likelihood.trainable_variables


def phase_gradients(model, x, gradients, term):
    variables = recognition(model) + generation(model)
    received = gradients(lambda: ops.mean(model.objective(x, True)[1][term]), variables)
    n = len(recognition(model))
    return received[:n], received[n:]


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("likelihood", [kv.Bernoulli, kv.Normal])
def test_phases_have_gradients_for_their_own_parameters_only(
    likelihood, kl, make_model, gradients, x
):
    model = make_model(kv.WakeSleep, likelihood=likelihood(6), bound=kv.ELBO(2, kl))
    of_recognition, of_generation = phase_gradients(model, x, gradients, "elbo")  # wake
    assert all(np.all(g == 0) for g in of_recognition)
    assert all(np.any(g != 0) for g in of_generation)
    of_recognition, of_generation = phase_gradients(model, x, gradients, "sleep")
    assert all(np.any(g != 0) for g in of_recognition)
    assert all(np.all(g == 0) for g in of_generation)


def flow():
    return {"posterior": kv.FlowPosterior(kv.DiagonalNormal(4), [kv.Coupling(8)])}


def hierarchy(top_down):
    levels = [kv.DiagonalNormal(4), kv.DiagonalNormal(2)]
    return {
        "posterior": kv.HierarchicalPosterior(levels, top_down=top_down),
        "prior": kv.HierarchicalPrior([kv.DiagonalNormal(4), kv.StandardNormal(2)]),
    }


@pytest.mark.parametrize(
    "parts",
    [flow, functools.partial(hierarchy, False), functools.partial(hierarchy, True)],
    ids=["flow", "bottom-up", "top-down"],
)
def test_the_wake_phase_has_no_gradient_in_any_variable_of_q(parts, make_model, gradients, x):
    model = make_model(kv.WakeSleep, bound=kv.ELBO(kl="sampled"), **parts())
    of_recognition, _ = phase_gradients(model, x, gradients, "elbo")
    assert len(of_recognition) >= 4
    assert all(np.all(g == 0) for g in of_recognition)
    of_recognition, of_generation = phase_gradients(model, x, gradients, "sleep")
    # Six of encoder and heads; a flow's hidden layer has none before the first step.
    assert sum(np.any(g != 0) for g in of_recognition) >= 6
    assert all(np.all(g == 0) for g in of_generation)


def test_both_phases_train_layers_that_p_and_q_share(make_model, gradients, x):
    shared = keras.layers.Dense(2, "tanh")
    decoder = keras.Sequential([shared, keras.layers.Dense(4, "tanh")])
    posterior = kv.DiagonalNormal(2, mean=keras.Sequential([keras.layers.Dense(2), shared]))
    tied = make_model(kv.WakeSleep, decoder=decoder, posterior=posterior)
    pseudo_inputs = make_model(kv.WakeSleep, prior=kv.VampPrior(3), bound=kv.ELBO(kl="sampled"))
    for model, variables in (
        (tied, shared.trainable_variables),
        (pseudo_inputs, pseudo_inputs.encoder.trainable_variables),
    ):
        for term in ("elbo", "sleep"):
            found = gradients(
                lambda model=model, term=term: ops.mean(model.objective(x, True)[1][term]),
                variables,
            )
            assert all(np.any(g != 0) for g in found)


def test_activity_penalties_of_both_phases_are_in_the_loss(make_model, x):
    """Once for the wake phase's z, once for the sleep phase's."""
    decoder = keras.Sequential([keras.layers.ActivityRegularization(l1=1.0)])
    model = make_model(kv.WakeSleep, decoder=decoder)
    model.objective(ops.convert_to_tensor(x), True)
    assert len(model.losses) == 2
    assert all(float(loss) > 0 for loss in model.losses)


def test_the_loss_is_minus_both_terms(make_model, gradients, x):
    model = make_model(kv.WakeSleep)
    loss, terms = model.objective(x, True)
    assert set(terms) == {"elbo", "reconstruction", "kl", "sleep"}
    assert {tuple(t.shape) for t in (loss, *terms.values())} == {(len(x),)}
    np.testing.assert_allclose(loss, -np.asarray(terms["elbo"]) - np.asarray(terms["sleep"]))


def test_wake_phase_ascends_log_p(make_model, gradients, noise, x):
    """The decoder's gradient is that of the mean of log p(x|z) over z ~ q(z|x)."""
    model = make_model(kv.WakeSleep)
    z = model.encode(x).sample(1, seed=noise(0))  # the model's first seed, seed=0
    variables = generation(model)
    expected = gradients(lambda: ops.mean(model.decode(z).log_prob(x)), variables)
    received = gradients(lambda: ops.mean(model.objective(x, True)[1]["elbo"]), variables)
    for actual, desired in zip(received, expected):
        # rtol: float32 in another order; atol: entries that are small because terms cancel
        np.testing.assert_allclose(actual, desired, rtol=1e-4, atol=1e-6)


def test_the_wake_phase_trains_all_of_a_vamp_prior(make_model, gradients, noise, x):
    """Its gradient is that of log p(x, z): in the encoder and the heads by way of p(z)."""
    model = make_model(kv.WakeSleep, prior=kv.VampPrior(3), bound=kv.ELBO(kl="sampled"))
    z = ops.convert_to_tensor(np.asarray(model.encode(x).sample(1, seed=noise(0))))

    def log_p():
        return ops.mean(model.decode(z).log_prob(x) + model.prior_distribution().log_prob(z))

    expected = gradients(log_p, model.trainable_variables)
    received = gradients(
        lambda: ops.mean(model.objective(x, True)[1]["elbo"]), model.trainable_variables
    )
    for actual, desired in zip(received, expected):
        assert np.any(desired != 0)
        np.testing.assert_allclose(actual, desired, rtol=1e-4, atol=1e-6)  # float32, as above


@pytest.mark.parametrize("parts", [flow, functools.partial(hierarchy, False)])
def test_a_vamp_prior_of_flow_steps_or_levels_is_refused(parts, make_model):
    parts = {**parts(), "bound": kv.ELBO(kl="sampled")}
    make_model(kv.AEVB, **{**parts, "prior": kv.VampPrior(3)})
    parts["prior"] = kv.VampPrior(3)
    with pytest.raises(ValueError, match=r"without flow steps and levels.*with a VampPrior"):
        make_model(kv.WakeSleep, **parts)


def trained(make_model, x, frozen=()):
    """The parameters' values before one step, and after it."""
    model = make_model(kv.WakeSleep)
    before = [[v.numpy() for v in part(model)] for part in (recognition, generation)]
    for part in frozen:
        getattr(model, part).trainable = False
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(x, batch_size=len(x), verbose=0, shuffle=False)
    for part in frozen:
        getattr(model, part).trainable = True
    return before, [[v.numpy() for v in part(model)] for part in (recognition, generation)]


@pytest.mark.parametrize(
    "frozen, own", [(("decoder", "likelihood"), 0), (("encoder", "posterior"), 1)]
)
def test_a_step_is_the_same_when_the_other_part_is_frozen(frozen, own, make_model, x):
    before, after = trained(make_model, x)
    frozen_before, frozen_after = trained(make_model, x, frozen)
    for old, new, alone in zip(before[own], after[own], frozen_after[own]):
        assert np.any(old != new)
        # Another compiled program: float32 sums in another order.
        np.testing.assert_allclose(new, alone, rtol=1e-5, atol=1e-6)
    for old, new in zip(frozen_before[1 - own], frozen_after[1 - own]):
        np.testing.assert_array_equal(old, new)


@pytest.fixture
def graph_optimizer():
    """TensorFlow's optimizer of graphs, which reorders operations; tests run without it."""
    if keras.backend.backend() == "jax":
        yield
        return
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def test_both_phases_see_the_weights_before_the_step(make_model, x, graph_optimizer):
    """Fifty repeats of one step agree; a race between the phases' updates would change some."""
    model = make_model(kv.WakeSleep)
    model.compile(keras.optimizers.SGD(0.5))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    start = [v.numpy().copy() for v in variables]
    steps = set()
    for _ in range(50):
        for variable, value in zip(variables, start):
            variable.assign(value)
        model.fit(x, batch_size=len(x), shuffle=False, verbose=0)
        steps.add(b"".join(w.tobytes() for w in model.get_weights()))
    assert len(steps) == 1


# Samples of the sleep phase


class Recorder(keras.layers.Layer):
    """Records its inputs."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = []

    def call(self, x):
        self.seen.append(x)
        return x


def test_the_sleep_phase_samples_binary_pixels(make_model, x):
    recorder = Recorder()
    model = make_model(
        kv.WakeSleep, encoder=keras.Sequential([recorder, keras.layers.Dense(5, "tanh")])
    )
    recorder.seen.clear()
    model.objective(ops.convert_to_tensor(x), True)
    data, samples = (np.asarray(v) for v in recorder.seen)
    np.testing.assert_array_equal(data, x)
    assert samples.shape == x.shape
    assert set(np.unique(samples)) == {0.0, 1.0}


def test_the_sleep_phase_samples_the_model(make_model, noise):
    """z ~ N(0, I) and x ~ N(z, 1): variances 1 and 2, covariance 1."""
    model = make_model(
        kv.WakeSleep,
        decoder=keras.Sequential([keras.layers.Identity()]),
        posterior=kv.DiagonalNormal(6),
        likelihood=kv.Normal(
            6, mean=keras.layers.Dense(6, kernel_initializer="identity"), scale=1.0
        ),
    )
    x, z = (np.float64(v) for v in model.sample_joint(20_000, noise(0), noise(1)))
    assert x.shape == z.shape == (20_000, 6)
    # Five standard errors, each at most √8/√n (x²: equal to it); 18 comparisons: odds 1e-5.
    moments = [(z**2).mean(0), (x**2).mean(0), (x * z).mean(0)]
    for moment, expected in zip(moments, (1, 2, 1)):
        np.testing.assert_allclose(moment, expected, atol=5 * (8 / 20_000) ** 0.5)


# Posteriors that are not reparameterisable


@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_binary_latents_are_trained(kl, make_model):
    """Two clusters, one bit: the bound rises well above that of pixels without a latent.

    From some starts it stays on a plateau for longer: this one leaves it.
    """
    keras.utils.set_random_seed(100)
    bit = np.random.default_rng(0).integers(0, 2, (200, 1))
    x = np.repeat(bit, 6, axis=1).astype("float32")
    parts = {"posterior": BinaryPosterior(2), "prior": BinaryPrior(2), "bound": kv.ELBO(1, kl)}
    model = make_model(kv.WakeSleep, **parts)
    model.compile(keras.optimizers.Adam(0.05))
    history = model.fit(x, batch_size=20, epochs=40, verbose=0).history
    # Independent pixels reach -6 log 2 = -4.2; one bit that determines all reaches -log 2 = -0.7.
    assert history["elbo"][0] < -3.5
    assert model.elbo(x, num_samples=10, seed=0).mean() > -2
