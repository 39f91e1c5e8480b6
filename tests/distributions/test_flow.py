"""Normalising flows as priors and posteriors."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv

STEPS = {
    "coupling": lambda: [kv.Coupling(8), kv.Reverse(), kv.Coupling(8)],
    "masked autoregressive": lambda: [kv.Autoregressive(8), kv.Reverse(), kv.Autoregressive(8)],
    "inverse autoregressive": lambda: [kv.Autoregressive(8, inverse=True), kv.Reverse()],
}


def randomised(part):
    """Sets weights away from zero, since zero weights make a flow the identity."""
    generator = np.random.default_rng(0)
    for weight in part.trainable_variables:
        weight.assign(generator.normal(size=weight.shape, scale=0.4))
    return part


@pytest.fixture(scope="module", params=STEPS)
def prior(request):
    return randomised(kv.FlowPrior(kv.StandardNormal(2), STEPS[request.param]()))


def test_the_density_integrates_to_one(prior):
    """The rectangle rule on a wide plane; it converges fast for smooth densities."""
    width, n = 30.0, 800
    grid = np.linspace(-width, width, n)
    z = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2).astype("float32")
    p = prior.distribution()
    # In parts, since TensorFlow keeps the memory of large tensors.
    mass = sum(np.exp(np.float64(p.log_prob(part))).sum() for part in np.split(z, 8))
    # float32; a mesh of half the width changes the mass by 1e-6.
    np.testing.assert_allclose(mass * (grid[1] - grid[0]) ** 2, 1.0, atol=1e-5)


def test_inverse_and_density_of_samples(prior, noise):
    """z = f(ε) has the density of ε divided by |det ∂f/∂ε|, by finite differences."""
    bijector = prior.distribution().bijector
    epsilon = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    z = np.asarray(bijector.forward(epsilon))
    fresh = prior.distribution().bijector  # without cached values
    np.testing.assert_allclose(fresh.inverse(ops.convert_to_tensor(z)), epsilon, atol=1e-4)
    h = 1e-2
    columns = [
        (
            np.asarray(prior.distribution().bijector.forward(epsilon + h * e), "float64")
            - np.asarray(prior.distribution().bijector.forward(epsilon - h * e), "float64")
        )
        / (2 * h)
        for e in np.eye(2, dtype="float32")
    ]
    log_det = np.linalg.slogdet(np.stack(columns, -1))[1]
    expected = -0.5 * (epsilon**2).sum(1) - np.log(2 * np.pi) - log_det
    actual = prior.distribution().log_prob(ops.convert_to_tensor(z))
    # Errors of order h² in the step, and kinks of the activation.
    np.testing.assert_allclose(actual, expected, atol=0.02)


@pytest.mark.parametrize("inverse", [False, True])
def test_autoregressive_masks(inverse):
    """Shift and scale of an element depend on every element before it, and on no other."""
    step = kv.Autoregressive(16, inverse=inverse)
    step.build((None, 4))
    randomised(step)
    z = np.random.default_rng(1).normal(size=4).astype("float32")
    dependent = np.zeros((4, 4), bool)
    base = np.concatenate(step.shift_and_log_scale(z, step.hidden_mask, step.mask)).reshape(2, 4)
    for j in range(4):
        changed = z.copy()
        changed[j] += 1
        other = np.concatenate(step.shift_and_log_scale(changed, step.hidden_mask, step.mask))
        dependent[:, j] = (other.reshape(2, 4) != base).any(0)
    np.testing.assert_array_equal(dependent, np.tri(4, k=-1, dtype=bool))


def test_a_flow_starts_as_its_base():
    steps = [kv.Coupling(8), kv.Autoregressive(8, inverse=True)]
    prior, base = kv.FlowPrior(kv.StandardNormal(3), steps), kv.StandardNormal(3)
    z = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(
        prior.distribution().log_prob(z), base.distribution().log_prob(z), rtol=1e-6
    )


FLOWS = {
    "posterior": lambda: {
        "posterior": kv.FlowPosterior(kv.DiagonalNormal(2), STEPS["inverse autoregressive"]())
    },
    "prior": lambda: {"prior": kv.FlowPrior(kv.StandardNormal(2), STEPS["coupling"]())},
}


@pytest.mark.slow
@pytest.mark.parametrize("role", FLOWS)
def test_training_and_saving(role, make_model, x, tmp_path):
    model = make_model(kv.AEVB, bound=kv.ELBO(kl="sampled"), **FLOWS[role]())
    model.compile(keras.optimizers.Adam(0.05), jit_compile=keras.backend.backend() == "jax")
    before = model.elbo(x, num_samples=20, seed=0).mean()
    model.fit(x, batch_size=len(x), epochs=10, verbose=0)
    after = model.elbo(x, num_samples=20, seed=0)
    assert after.mean() > before
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, num_samples=20, seed=0), after)


def test_densities_of_samples_do_not_need_the_bijectors_cache(make_model, x, noise):
    model = make_model(kv.AEVB, bound=kv.ELBO(kl="sampled"), **FLOWS["posterior"]())
    randomised(model.posterior)
    q = model.encode(x)
    z = q.sample(seed=noise(0))
    remembered = q.log_prob(z)
    computed = model.encode(x).log_prob(ops.convert_to_tensor(np.asarray(z)))
    np.testing.assert_allclose(remembered, computed, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "part, message",
    [
        (lambda: kv.FlowPrior(kv.StandardNormal(2), []), "list of flow steps"),
        (lambda: kv.FlowPrior(kv.StandardNormal(2), [keras.layers.Dense(2)]), "list of flow steps"),
        (lambda: kv.FlowPrior(kv.DiagonalNormal(2), [kv.Reverse()]), "a Prior as base"),
        (lambda: kv.FlowPosterior(kv.StandardNormal(2), [kv.Reverse()]), "as base"),
        (lambda: kv.FlowPrior(kv.StandardNormal((2, 2)), [kv.Reverse()]), "one dimension"),
        (lambda: kv.FlowPrior(kv.StandardNormal(1), [kv.Coupling(2)]), "at least 2 elements"),
        (lambda: kv.Coupling(0), "`hidden_units`"),
        (lambda: kv.Autoregressive(4, inverse=1), "`inverse`"),
    ],
)
def test_errors(part, message):
    with pytest.raises(ValueError, match=message):
        part()
