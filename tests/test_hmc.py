"""Hamiltonian Monte Carlo: leapfrog and acceptance by hand, stationarity, and the step size."""

import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb import hmc, tfp_classes
from keras_aevb._backend import tfp

PRECISION = np.array([0.5, 4.0])  # of a target with two independent coordinates
STEPS = 4


def log_target(z):
    return -0.5 * ops.sum(PRECISION.astype("float32") * ops.square(z), axis=-1)


def leapfrog(z, momentum, step_size):
    momentum = momentum - 0.5 * step_size * PRECISION * z
    for i in range(STEPS):
        z = z + step_size * momentum
        momentum = momentum - (1.0 if i < STEPS - 1 else 0.5) * step_size * PRECISION * z
    return z, momentum


def energy(z, momentum):
    return 0.5 * np.sum(PRECISION * z**2 + momentum**2, axis=-1)


def start(*shape):
    z = np.random.default_rng(0).normal(size=(*shape, 2)) / PRECISION**0.5
    return z.astype("float32")


@pytest.mark.parametrize("step_size", [0.3, 0.8, np.linspace(0.3, 0.8, 500)[:, None]])
def test_transition_is_leapfrog_and_metropolis(step_size, noise):
    """On a normal target z' is linear in z and momentum, so the momentum follows from z'."""
    z = start(500)
    z_new, acceptance = hmc.transition(log_target, z, np.float32(step_size), STEPS, noise(0))
    z_new, acceptance = np.asarray(z_new), np.asarray(acceptance)
    assert acceptance.shape == (500,)
    moved = np.any(z_new != z, axis=-1)
    assert np.all(z_new[~moved] == z[~moved])

    of_z, _ = leapfrog(np.ones(2), np.zeros(2), step_size)
    of_momentum, _ = leapfrog(np.zeros(2), np.ones(2), step_size)
    momentum = (z_new - of_z * z) / of_momentum
    _, momentum_new = leapfrog(z, momentum, step_size)
    expected = np.exp(np.minimum(0, energy(z, momentum) - energy(z_new, momentum_new)))
    # float32 energies below 20; where the step is long, momentum is a difference of large numbers
    np.testing.assert_allclose(acceptance[moved], expected[moved], atol=2e-4)
    assert np.ptp(expected[moved]) > 0.1

    # The number of accepted proposals has the mean Σ acceptance: five standard errors, odds 6e-7.
    variance = np.sum(acceptance * (1 - acceptance))
    assert abs(moved.sum() - acceptance.sum()) < 5 * variance**0.5


def test_momentum_is_standard_normal(noise):
    """One short leapfrog step from the mode moves by ε · momentum and is always accepted."""
    z, _ = hmc.transition(log_target, np.zeros((20_000, 2), "float32"), 1e-3, 1, noise(0))
    momentum = np.asarray(z) / 1e-3
    # Five standard errors of a mean, 1/√n, and of a second moment, √(2/n): odds 3e-6 in all.
    np.testing.assert_allclose(momentum.mean(0), 0, atol=5 / 20_000**0.5)
    np.testing.assert_allclose(np.cov(momentum.T), np.eye(2), atol=5 * (2 / 20_000) ** 0.5)


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_the_target_is_stationary_and_reached(scale, noise):
    """Steps are so long that without rejection the second variance would be 2.8 times 1/4."""
    z = scale * start(20_000)
    z, acceptance = hmc.transitions(log_target, z, 0.8, STEPS, noise(1), num_transitions=30)
    z = np.asarray(z)
    assert 0.5 < np.mean(acceptance) < 0.95
    variance = 1 / PRECISION
    # Five standard errors, of means σ/√n and of variances σ²√(2/n): odds 3e-6 in all. From the
    # mode, 30 transitions leave less than that.
    np.testing.assert_allclose(z.mean(0) / variance**0.5, 0, atol=5 / 20_000**0.5)
    np.testing.assert_allclose(z.var(0) / variance, 1, atol=5 * (2 / 20_000) ** 0.5)
    assert abs(np.corrcoef(z.T)[0, 1]) < 5 / 20_000**0.5


def test_momentum_and_acceptance_are_independent(noise):
    """In one dimension, where a random number used for both would show."""

    def log_normal(z):
        return -0.5 * ops.sum(ops.square(z), axis=-1)

    n = 20_000
    z = np.random.default_rng(0).normal(size=(n, 1)).astype("float32")
    z, acceptance = hmc.transitions(log_normal, z, 1.6, 2, noise(0), num_transitions=10)
    assert np.mean(acceptance) < 0.9
    # Five standard errors of a mean, 1/√n, and of a variance, √(2/n): odds 1.2e-6 in all.
    np.testing.assert_allclose(np.mean(z), 0, atol=5 / n**0.5)
    np.testing.assert_allclose(np.var(z), 1, atol=5 * (2 / n) ** 0.5)


def test_transitions_equal_repeated_single_ones(noise):
    z = start(3, 5)
    seeds = tfp.random.split_seed(noise(0), 4)
    expected = z
    for i in range(4):
        expected, acceptance = hmc.transition(log_target, expected, 0.8, STEPS, seeds[i])
    received = hmc.transitions(log_target, z, 0.8, STEPS, noise(0), num_transitions=4)
    assert np.any(np.asarray(acceptance) < 1)
    # float32 in another program
    np.testing.assert_allclose(received[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(received[1], acceptance, rtol=1e-5)


def test_chains_of_one_example_have_independent_noise(noise):
    z, _ = hmc.transition(log_target, np.zeros((3, 5, 2), "float32"), 0.1, STEPS, noise(0))
    assert len(np.unique(np.asarray(z))) == 30


def test_joint_log_density(make_model, x):
    model = make_model(prior=kv.StandardNormal(2))
    prior = model.prior.distribution()
    z = np.random.default_rng(0).normal(size=(4, len(x), 2)).astype("float32")
    received = hmc.joint_log_density(x, prior, model.decode)(z)
    logits = np.asarray(model.decode(z).distribution.logits, "float64")
    of_x = np.sum(x * logits - np.log1p(np.exp(logits)), axis=-1)
    of_z = -0.5 * np.sum(np.float64(z) ** 2, axis=-1) - np.log(2 * np.pi)
    np.testing.assert_allclose(received, of_z + of_x, rtol=1e-5)  # float32


def test_z_of_any_rank(noise):
    def log_density(z):
        return -0.5 * ops.sum(ops.square(z), axis=(-2, -1))

    z, acceptance = hmc.transition(log_density, np.zeros((5, 2, 3), "float32"), 0.1, 3, noise(0))
    assert (tuple(z.shape), tuple(acceptance.shape)) == ((5, 2, 3), (5,))


def test_adapted():
    step_size = ops.convert_to_tensor(np.array([1.0, 1.0, 2.0, 3.0, 4.0], "float32"))
    acceptance = np.array([0.0, 0.89, 0.91, 1.0, np.nan], "float32")  # NaN: the step was too long
    expected = [1 / 1.02, 1 / 1.02, 2 * 1.02, 3 * 1.02, 4 / 1.02]
    np.testing.assert_allclose(hmc.adapted(step_size, acceptance), expected, rtol=1e-6)  # float32


def test_the_kernel_stores_density_and_gradient_of_its_state(noise):
    kernel = tfp_classes.HamiltonianMonteCarlo(log_target, 0.8, STEPS)
    z = ops.convert_to_tensor(start(500))
    state = kernel.bootstrap_results(z)
    accepted = []
    for seed in tfp.random.split_seed(noise(0), 3):
        new_z, state = kernel.one_step(z, state, seed=seed)
        accepted.append(np.any(np.asarray(new_z != z), axis=-1))
        z = new_z
        np.testing.assert_allclose(state.log_density, log_target(z), rtol=1e-5)  # float32
        np.testing.assert_allclose(state.gradient, -PRECISION * np.asarray(z), rtol=1e-5)
    assert 0 < np.mean(accepted) < 1


@pytest.mark.parametrize("step_size", [1e30, np.inf, np.nan])
def test_a_diverging_trajectory_is_rejected(step_size, noise):
    z = start(5)
    received, acceptance = hmc.transition(log_target, z, step_size, STEPS, noise(0))
    np.testing.assert_array_equal(received, z)
    np.testing.assert_array_equal(acceptance, 0)


def test_steps_from_zero_density_are_accepted(noise):
    def half_line(z):
        return ops.where(z[..., 0] > 0, -z[..., 0], -np.inf)

    z, acceptance = hmc.transition(half_line, np.float32([[-1e-3]] * 500), 1.0, 1, noise(0))
    inside = np.asarray(z)[:, 0] > 0
    # A momentum above 1e-3, about half of 500, leads inside: five standard deviations, odds 6e-7.
    assert abs(inside.sum() - 250) < 5 * 125**0.5
    np.testing.assert_array_equal(np.asarray(acceptance)[inside], 1)
