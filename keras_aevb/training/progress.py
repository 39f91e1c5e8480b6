"""A progress bar for long computations."""

import time

import keras

from keras_aevb import arguments
from keras_aevb.typing import Config, Verbose

# Seconds before the bar appears.
PATIENCE = 2.0


class Progress:
    """Keras' progress bar, shown once a computation has taken a few seconds.

    The time of the first batch, which compiles a program, does not count.

    Args:
        verbose: `"auto"` to show the bar after a few seconds, 1 from the beginning, 0 never.
        total: number of batches, or `None` if unknown.
    """

    def __init__(self, verbose: Verbose = "auto", total: int | None = None) -> None:
        arguments.check_fit(verbose=verbose)
        self.patience = {"auto": PATIENCE, 0: float("inf")}.get(verbose, 0.0)
        self.total = total
        self.start: float | None = None
        self.is_shown = False

    def update(self, done: int) -> None:
        """Shows that `done` batches are done."""
        if self.start is None:
            self.start = time.monotonic()
            self.bar = keras.utils.Progbar(self.total, unit_name="batch")  # starts its clock
        self.is_shown |= time.monotonic() - self.start >= self.patience
        if self.is_shown:
            self.bar.update(done, finalize=False)
        self.done = done

    def end(self) -> None:
        """Ends the bar's line."""
        if self.is_shown:
            self.bar.update(self.done, finalize=True)


class PredictionProgress(keras.callbacks.Callback):
    """A callback that shows a `Progress` of `predict`."""

    def __init__(self, verbose: Verbose = "auto") -> None:
        super().__init__()
        self.verbose = verbose

    def on_predict_begin(self, logs: Config | None = None) -> None:
        self.progress = Progress(self.verbose, self.params["steps"])

    def on_predict_batch_end(self, batch: int, logs: Config | None = None) -> None:
        self.progress.update(batch + 1)

    def on_predict_end(self, logs: Config | None = None) -> None:
        self.progress.end()
