"""Which runs shared their machine, from synthetic sessions."""

import pytest

from replication.figures.cost import shared
from replication.measurements.records import Run
from replication.plan.experiment import Experiment


def a_run(seed, *sessions, machine="one", side_by_side=1):
    """A run that trains one sample per second, from (hh:mm:ss, first sample, last sample)."""
    rows = [{"samples": s, "seconds": float(s)} for s in range(0, 1001, 100)]
    info = [
        {
            "machine": machine,
            "started": f"2026-01-01T{start}+00:00",
            "samples_from": first,
            "samples_to": last,
            "side_by_side": side_by_side,
        }
        for start, first, last in sessions
    ]
    return Run(Experiment("digits", "aevb", 2, 0.01, seed), rows, {"sessions": info})


def seeds(runs):
    ids = {run.experiment.id: run.experiment.seed for run in runs}
    return {ids[i] for i in shared(runs)}


@pytest.mark.parametrize(
    "start, expected", [("10:04:59", {0, 1}), ("10:05:01", set()), ("09:58:21", {0, 1})]
)
def test_two_runs(start, expected):
    runs = [a_run(0, ("10:00:00", 0, 300)), a_run(1, (start, 0, 100))]
    runs[0].info["sessions"][0]["samples_to"] = 300
    assert seeds(runs) == expected


def test_a_later_session_counts_from_where_it_began():
    # 900 seconds in total, 200 of them in the second session, from 10:00 to 10:03:20.
    continued = a_run(0, ("08:00:00", 0, 700), ("10:00:00", 700, 900))
    assert seeds([continued, a_run(1, ("10:03:00", 0, 100))]) == {0, 1}
    assert seeds([continued, a_run(1, ("10:03:21", 0, 100))]) == set()


def test_a_long_run_overlaps_with_all_runs_during_it():
    runs = [a_run(0, ("10:00:00", 0, 1000))]
    runs += [a_run(1, ("10:01:00", 0, 100)), a_run(2, ("10:10:00", 0, 100))]
    runs += [a_run(3, ("10:20:00", 0, 100))]
    assert seeds(runs) == {0, 1, 2}


def test_runs_on_other_machines_do_not_share():
    runs = [a_run(0, ("10:00:00", 0, 300)), a_run(1, ("10:00:00", 0, 300), machine="two")]
    assert seeds(runs) == set()


def test_the_sessions_of_one_run_follow_each_other():
    assert seeds([a_run(0, ("10:00:00", 0, 300), ("10:05:00", 300, 400))]) == set()


def test_runs_side_by_side_do_not_share():
    """Two runs of 100 seconds each, in one program from 10:00:00 to 10:03:20."""
    group = [a_run(seed, ("10:00:00", 0, 100), side_by_side=2) for seed in (0, 1)]
    assert seeds([*group, a_run(2, ("10:03:21", 0, 100))]) == set()
    assert seeds([*group, a_run(2, ("10:03:19", 0, 100))]) == {0, 1, 2}
