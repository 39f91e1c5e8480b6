"""The sample counts at which a run is evaluated and saved."""

import itertools

import pytest

from replication.plan import schedule


@pytest.mark.parametrize("first", [10**4, 10**5])
def test_one_two_and_five_of_every_decade_are_evaluated(first):
    counts = schedule.evaluations(10**8, first=first)
    assert counts[1] == first
    for decade in (10**5, 10**6, 10**7):
        assert {decade, 2 * decade, 5 * decade} <= set(counts)
        assert len([c for c in counts if decade <= c < 10 * decade]) == 10
    assert counts[0] == 0
    assert counts[-1] == 10**8


def test_any_end_is_evaluated():
    assert schedule.evaluations(3_000_000)[-2:] == [2_500_000, 3_000_000]


def stops(done, *grid):
    """The counts after `done` at which the runner pauses."""
    grid = schedule.Schedule(*grid)
    counts = []
    while done < grid.samples:
        done = grid.next_stop(done)
        counts.append(done)
    return counts


def test_every_count_is_a_whole_number_of_minibatches():
    assert all(count % 100 == 0 for count in stops(0, 10**7))


def test_no_stretch_is_longer_than_the_longest():
    counts = [0, *stops(0, 5 * 10**6)]
    gaps = [b - a for a, b in itertools.pairwise(counts)]
    assert min(gaps) > 0
    assert max(gaps) == schedule.LONGEST_STRETCH


def test_counts_are_rounded_up_to_whole_training_steps():
    counts = schedule.evaluations(5 * 10**6, 15_000, "likelihood")
    assert all(count % 15_000 == 0 for count in counts)
    assert counts[:4] == [0, 105_000, 300_000, 1_005_000]
    assert counts[-1] == 5_010_000
    assert stops(0, 5 * 10**6, 750_000)[:2] == [750_000, 1_500_000]


def test_continues_after_the_finished_samples():
    assert stops(900_000, 10**6) == [1_000_000]
    assert schedule.Schedule(10**6).next_stop(10**6 - 1) == 10**6


def test_another_count_may_be_evaluated_too():
    assert 2_010_000 not in schedule.Schedule(5 * 10**6, 15_000, "likelihood").evaluations
    assert (
        2_010_000 in schedule.Schedule(5 * 10**6, 15_000, "likelihood", also=2_010_000).evaluations
    )
    assert max(schedule.Schedule(10**6, also=3 * 10**6).evaluations) == 10**6
