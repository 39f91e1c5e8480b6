"""What the person at the terminal sees of a long command; nothing where there is no terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

REFRESH_SECONDS = 0.5


class RunProgress:
    """A bar for runs that are trained side by side: samples, rate, current bound, time left.

    Use as a context manager around all runs of a command.
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
        self.task: TaskID | None = None

    def __enter__(self):
        self.bars.start()
        return self

    def __exit__(self, *exception):
        self._finish()
        self.bars.stop()

    def say(self, message):
        """A line above the bars."""
        if self.console.is_terminal:
            self.bars.console.print(message, highlight=False)

    def begin(self, description, done, total):
        """A new bar in place of the last one."""
        self._finish()
        self.started, self.start = time.monotonic(), done
        self.shown = 0.0
        self.total = total
        self.task = self.bars.add_task(
            description, total=total, completed=done, samples="", rate="", bound=""
        )

    def due(self):
        """Whether the display is old enough to be worth the cost of reading the bound."""
        return self.console.is_terminal and time.monotonic() - self.shown > REFRESH_SECONDS

    def update(self, done, bound, runs=1):
        """Each of so many runs has done so many samples."""
        assert self.task is not None  # `begin` comes first
        self.shown = time.monotonic()
        seconds = self.shown - self.started
        rate = runs * (done - self.start) / seconds if seconds > 0 else 0
        self.bars.update(
            self.task,
            completed=done,
            samples=f"{done:,}/{self.total:,}",
            rate=f"{rate:,.0f}/s",
            bound=f"bound {bound:,.1f}",
        )

    def _finish(self):
        """Turns the bar into a line above, so that a long command does not fill the screen."""
        if self.task is None:
            return
        fields = self.bars.tasks[-1].fields
        description = self.bars.tasks[-1].description
        self.say(f"{description:45} {fields['samples']:>24} {fields['rate']:>10} {fields['bound']}")
        self.bars.remove_task(self.task)
        self.task = None
