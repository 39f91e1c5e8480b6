"""The progress display: on a terminal, and silent elsewhere."""

import io

from rich.console import Console

from replication.train.progress import RunProgress


def display(terminal):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120)
    with RunProgress(console) as progress:
        progress.begin("mnist aevb", 0, 1_000_000)
        progress.update(250_000, -123.456)
        progress.say("step size 0.02 chosen")
    return file.getvalue()


def test_shows_samples_rate_bound_and_time_left():
    text = display(terminal=True)
    for part in ("mnist aevb", "250,000/1,000,000", "/s", "bound -123.5", "step size 0.02 chosen"):
        assert part in text


def test_the_rate_is_that_of_all_runs_together(monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("replication.train.progress.time.monotonic", lambda: next(clock))
    with RunProgress(Console(file=io.StringIO(), force_terminal=True)) as progress:
        progress.begin("three runs", 1_000, 100_000)
        progress.update(11_000, -100.0, runs=3)
        assert progress.bars.tasks[-1].fields["rate"] == "3,000/s"
        progress.task = None


def test_silent_where_there_is_no_terminal():
    assert display(terminal=False) == ""
