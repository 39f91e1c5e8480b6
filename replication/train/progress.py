"""Progress display of a command at a terminal.

`Display` draws a bar for each group of runs in training. A `RunProgress` reports the progress of a
group from its process, which may be on another machine.
"""

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

REFRESH_SECONDS = 0.5


class RunProgress:
    """The progress of a group of runs: samples, rate, current bound.

    Args:
        send: function called with the fields of a bar as keyword arguments. Default: none, without
            a display.
        check: function called between training steps, which may raise an error to stop training.
    """

    def __init__(self, send=None, check=None):
        self.send = send
        self.check = check

    def begin(self, description, done, total):
        """Starts at `done` of `total` samples of each run."""
        self.started, self.start = time.monotonic(), done
        self.shown = 0.0
        self.total = total
        if self.send:
            self.send(description=description, completed=done, total=total)

    def due(self):
        """Calls `check`; returns whether to update the display, for which the bound is read."""
        if self.check:
            self.check()
        return self.send is not None and time.monotonic() - self.shown > REFRESH_SECONDS

    def update(self, done, bound, runs=1):
        """Reports that each of `runs` runs has trained on `done` samples."""
        self.shown = time.monotonic()
        seconds = self.shown - self.started
        rate = runs * (done - self.start) / seconds if seconds > 0 else 0
        if self.send:
            self.send(
                completed=done,
                samples=f"{done:,}/{self.total:,}",
                rate=f"{rate:,.0f}/s",
                bound=f"bound {bound:,.1f}",
            )


class Display:
    """Progress bars of all groups in training, with samples, rate, current bound and time left.

    Use it as a context manager around all runs of a command.
    """

    def __init__(self, console=None):
        self.console = console or Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[samples]}", justify="right"),
            TextColumn("{task.fields[rate]}", justify="right"),
            TextColumn("{task.fields[bound]}", justify="right"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
            disable=not self.console.is_terminal,
            speed_estimate_period=60,
        )
        self.tasks = {}
        self.finished = set()
        self.lock = threading.Lock()

    def __enter__(self):
        self.bars.start()
        return self

    def __exit__(self, *exception):
        for group in [*self.tasks]:
            self.finish(group)
        self.bars.stop()

    @property
    def is_seen(self):
        return self.console.is_terminal

    def say(self, message):
        """Prints a line above the bars."""
        if self.is_seen:
            self.bars.console.print(message, highlight=False)

    def show(self, group, fields):
        """Draws a message of a group's `RunProgress`; any thread may call it.

        Args:
            group: identifies the group.
            fields: dict of the fields of its bar.
        """
        with self.lock:
            if group in self.finished:  # a late message
                return
            if group not in self.tasks:
                blank = {"description": "", "total": None, "samples": "", "rate": "", "bound": ""}
                self.tasks[group] = self.bars.add_task(**{**blank, **fields})
            else:
                self.bars.update(self.tasks[group], **fields)

    def finish(self, group):
        """Replaces a bar by a line above the others, so that bars do not fill the screen."""
        with self.lock:
            self.finished.add(group)
            number = self.tasks.pop(group, None)
            if number is None:
                return
            task = next(task for task in self.bars.tasks if task.id == number)
            fields = task.fields
            self.say(
                f"{task.description:45} {fields['samples']:>24} {fields['rate']:>10} "
                f"{fields['bound']}"
            )
            self.bars.remove_task(number)
