"""Trains the groups of a command in this process or in several."""

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
from replication.errors import ReplicationError
from replication.measurements import provenance
from replication.train.groups import train
from replication.train.progress import RunProgress


def default_number():
    """One process per core, which is faster than threads, or a single one with a GPU."""
    return 1 if provenance.gpus() else environment.available_cores()


class ThisProcess:
    """Trains groups in this process, one at a time with all cores."""

    def __init__(self, folders, display):
        self.folders = folders
        self.display = display

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def submit(self, group):
        """Trains a group, and returns its completed future."""

        def send(**fields):
            self.display.show(group, fields)

        future: concurrent.futures.Future = concurrent.futures.Future()
        seen = self.display.is_seen
        future.set_result(train(group, self.folders, RunProgress(send if seen else None)))
        self.display.finish(group)
        return future

    def collect(self, future):
        """Raises the error that ended a group, if one did."""
        future.result()


class Processes:
    """Trains groups in several processes, each with its share of the cores.

    Use it as a context manager. An error inside stops all processes, as Ctrl-C does; saved results
    remain. The processes end with this one, even if it is killed.

    Args:
        number: number of processes.
        folders: `Folders`.
        display: `Display`.
    """

    def __init__(self, number, folders, display):
        self.folders = folders
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
        except KeyboardInterrupt:  # a second Ctrl-C
            for process in multiprocessing.active_children():
                process.kill()
            raise

    def submit(self, group):
        """Returns the `concurrent.futures.Future` of a group."""
        is_seen = self.display.is_seen
        with _interrupts_blocked():  # inherited by a process started here
            return self._executor.submit(_train, group, self.folders, is_seen)

    def collect(self, future):
        """Raises the error that ended a group, if one did."""
        try:
            future.result()
        except BrokenProcessPool:
            raise ReplicationError(
                "Expected every process of --jobs to run to its end. Received: a killed process, "
                "perhaps for lack of memory. Run the same command again with fewer --jobs: saved "
                "results are still there"
            ) from None

    def _interrupt(self):
        self._stopped.set()
        for process in multiprocessing.active_children():
            if process.pid is not None and hasattr(signal, "pthread_sigmask"):
                os.kill(process.pid, signal.SIGINT)
            else:
                process.terminate()

    def _listen(self):
        # Runs until the program ends, because a killed process may have left the queue locked.
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


# Functions that run in the processes.

_shared: Any = None


def _begin(messages, stopped, cores):
    """Initializes a process."""
    global _shared
    _shared = messages, stopped
    environment.limit_resources(cores)
    sys.unraisablehook = _interrupt_again
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `_train` enables it
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a child process
    parent.join()
    os._exit(1)


def _train(group, folders, is_seen):
    messages, stopped = _shared

    def send(**fields):
        messages.put((group, fields))

    signal.signal(signal.SIGINT, _interrupt_once)
    try:
        if stopped.is_set():
            raise KeyboardInterrupt
        return train(group, folders, RunProgress(send if is_seen else None))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt_again(unraisable):
    """Repeats an interrupt that Python dropped in a callback of the garbage collector (JAX's)."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(signal.SIGINT, _interrupt_once)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()


def _interrupt_once(number, frame):
    """Interrupts once; both the terminal and the parent process send the signal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt
