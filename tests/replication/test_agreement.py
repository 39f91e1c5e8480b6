"""Which differences between a run and its rerun are accepted."""

import math

import numpy as np

from replication.plan.protocols import figure2_experiment
from replication.verify import agreement, retraining

EXPERIMENT = figure2_experiment("digits", "aevb", 2, 0.02)


def pair(now, then, error=0.0):
    return agreement.Pair(EXPERIMENT, 20_000, "test_elbo", now, then, error)


def test_rounding_and_noise_explain_a_difference():
    assert pair(-30.0, -30.09).agrees() and pair(-30.0, -29.91).agrees()
    assert not pair(-30.0, -30.11).agrees() and not pair(-30.0, -30.02).agrees(retraining.CHAOS)
    assert pair(-30.0, -30.39, error=0.1).agrees()
    assert not pair(-30.0, -30.41, error=0.1).agrees()
    assert pair(math.nan, -math.inf).agrees()
    assert not pair(math.nan, -30.0).agrees() and not pair(-30.0, math.nan).agrees()


def spread(n):
    """n values of mean 0 and standard deviation 1."""
    draws = np.linspace(-1, 1, n)
    return draws / draws.std(ddof=1)


def test_differences_within_the_resolution_of_float32_are_accepted():
    """Next to 2³⁴, neighbouring numbers are 2048 apart."""
    then = -(2.0**34)
    for sign in (-1, 1):
        assert pair(then + sign * 4 * 2048, then).agrees()
        assert not pair(then + sign * 5 * 2048, then).agrees()


def test_consistent_values():
    """The interval's half-width is t √(1 + 1/n). The 99.865 % quantile of t is 6.62006 for n = 5,
    and 4.09420 for n = 10; with a twentieth of the odds, the 99.99325 % quantile is 6.33659."""
    for n, tests, t in ((5, 1, 6.62006), (10, 1, 4.09420), (10, 20, 6.33659)):
        draws, reach = spread(n), t * (1 + 1 / n) ** 0.5
        for value in (0.9999 * reach, -0.9999 * reach):
            assert agreement.is_consistent(value, draws, tests)
        assert not agreement.is_consistent(1.0001 * reach, draws, tests)
    assert not agreement.is_consistent(0.0, [0.0, math.nan])  # the spread is unknown


def test_commands_fail_by_chance_as_rarely_as_one_test(monkeypatch):
    """1000 commands of 10 chaotic runs, at a probability of a tenth: 1000 (1 − 0.99¹⁰) = 95.6
    failures are expected, and 651 if each run is tested at the full probability. A binomial number
    is outside 55 to 140 with probability 4·10⁻⁶.
    """
    monkeypatch.setattr(agreement, "ODDS", 0.1)
    seeds = np.random.default_rng(0).normal(size=(1000, 10, retraining.SEEDS + 1))
    failures = sum(
        not all(agreement.is_consistent(value, others, 10) for value, *others in command)
        for command in seeds
    )
    assert 55 <= failures <= 140
