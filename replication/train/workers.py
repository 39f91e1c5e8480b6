"""Who trains the groups of a command: this process, or processes of its own beside it."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from replication import environment
from replication.errors import WorkerError
from replication.measurements import provenance
from replication.train.groups import train
from replication.train.progress import RunProgress


def default_number():
    """One process for each core, which makes more samples a second than threads do; one in all
    where there is a GPU, which all would share."""
    return 1 if provenance.gpus() else environment.available_cores()


class ThisProcess:
    """Trains a group at once, with all cores."""

    def __init__(self, places, display):
        self.places = places
        self.display = display

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def submit(self, group):
        """Returns the future of a group that is trained already."""

        def send(**fields):
            self.display.show(group, fields)

        future: concurrent.futures.Future = concurrent.futures.Future()
        seen = self.display.is_seen
        future.set_result(train(group, self.places, RunProgress(send if seen else None)))
        return future

    def collect(self, future):
        """Raises the error that ended a group, if one did."""
        future.result()


class Processes:
    """Trains groups in several processes, each with its share of the cores.

    Use as a context manager. An error inside stops all of them as Ctrl-C does: what was kept of
    their runs stays. They do not outlive this process, even if it is killed.

    Args:
        number: of processes.
        places: `Places`.
        display: `Display`.
    """

    def __init__(self, number, places, display):
        self.places = places
        self.display = display
        context = multiprocessing.get_context("spawn")
        self._messages = context.SimpleQueue()
        self._stopped = context.Event()
        shared = self._messages, self._stopped, max(1, environment.available_cores() // number)
        self._executor = concurrent.futures.ProcessPoolExecutor(number, context, _begin, shared)
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind:
                self._interrupt()
            self._executor.shutdown(cancel_futures=True)
        except KeyboardInterrupt:  # once more, from somebody who cannot wait
            for process in multiprocessing.active_children():
                process.kill()
            raise

    def submit(self, group):
        """Returns the `concurrent.futures.Future` of a group."""
        is_seen = self.display.is_seen
        with _interrupts_blocked():  # a process that is started now begins with them blocked
            return self._executor.submit(_train, group, self.places, is_seen)

    def collect(self, future):
        """Raises the error that ended a group, if one did."""
        try:
            future.result()
        except BrokenProcessPool:
            raise WorkerError(
                "Expected every process of --jobs to run to its end. Received: one that was "
                "killed, as the system does where memory is short. Give less --jobs and the same "
                "command again: what was kept so far is still there"
            ) from None

    def _interrupt(self):
        self._stopped.set()
        for process in multiprocessing.active_children():
            if process.pid is not None and hasattr(signal, "pthread_sigmask"):
                os.kill(process.pid, signal.SIGINT)
            else:
                process.terminate()

    def _listen(self):
        # To the end of the program: a process that was killed may have left the queue locked.
        while True:
            self.display.show(*self._messages.get())


@contextlib.contextmanager
def _interrupts_blocked():
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


# In the processes.

_shared: Any = None


def _begin(messages, stopped, cores):
    """The first thing that a process does."""
    global _shared
    _shared = messages, stopped
    environment.share(cores)
    sys.unraisablehook = _interrupt_again
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # but while it trains
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a child process
    parent.join()
    os._exit(1)


def _train(group, places, is_seen):
    messages, stopped = _shared

    def send(**fields):
        messages.put((group, fields))

    signal.signal(signal.SIGINT, _interrupt_once)
    try:
        if stopped.is_set():
            raise KeyboardInterrupt
        return train(group, places, RunProgress(send if is_seen else None))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt_again(unraisable):
    """Python drops what a callback of the garbage collector raises, as JAX has one."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(signal.SIGINT, _interrupt_once)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()


def _interrupt_once(number, frame):
    """The terminal interrupts all processes, and then this one's parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
