"""The progress display: on a terminal, and silent elsewhere."""

import io

import pytest
from rich.console import Console

from replication.train.progress import Display, RunProgress


def display(terminal):
    file = io.StringIO()
    with Display(Console(file=file, force_terminal=terminal, width=120)) as shown:
        progress = RunProgress(lambda **fields: shown.show("group", fields))
        progress.begin("mnist aevb", 0, 1_000_000)
        progress.update(250_000, -123.456)
        shown.say("step size 0.02 chosen")
    return file.getvalue()


def test_shows_samples_rate_bound_and_time_left():
    text = display(terminal=True)
    for part in ("mnist aevb", "250,000/1,000,000", "/s", "bound -123.5", "step size 0.02 chosen"):
        assert part in text


def test_the_rate_is_that_of_all_runs_together(monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("replication.train.progress.time.monotonic", lambda: next(clock))
    sent = []
    progress = RunProgress(lambda **fields: sent.append(fields))
    progress.begin("three runs", 1_000, 100_000)
    progress.update(11_000, -100.0, runs=3)
    assert sent[-1]["rate"] == "3,000/s" and sent[-1]["completed"] == 11_000


def test_a_bar_for_each_group_until_it_is_finished():
    file = io.StringIO()
    with Display(Console(file=file, force_terminal=True, width=120)) as shown:
        for group in "ab":
            shown.show(group, {"description": f"group {group}", "completed": 0, "total": 100})
        shown.finish("a")
        shown.show("a", {"completed": 100})  # a late message
        shown.finish("a")
        assert [task.description for task in shown.bars.tasks] == ["group b"]
    assert "group a" in file.getvalue() and "group b" in file.getvalue()


def test_progress_without_a_display_calls_check():
    def check():
        raise ZeroDivisionError

    progress = RunProgress()
    progress.begin("one run", 0, 100)
    progress.update(100, -1.0)
    assert not progress.due()
    progress.check = check
    with pytest.raises(ZeroDivisionError):
        progress.due()


def test_silent_without_a_terminal():
    assert display(terminal=False) == ""
