"""Trains groups on the workers of a Dask cluster, which share the results folder.

If a worker is lost, Dask gives its group to another one, which resumes from the last checkpoint
once the system has released the lost worker's lock. The lock also prevents two workers from
training the same run, if Dask wrongly takes a worker for lost.
"""

import asyncio
import concurrent.futures
import dataclasses
import functools
import itertools
import os
import sys
import time
import uuid

from replication import environment
from replication.errors import BusyError, DamagedFileError, ReplicationError
from replication.measurements import lock, provenance, records
from replication.train.groups import Folders, Group, train
from replication.train.progress import RunProgress

try:
    import distributed
except ImportError as error:
    raise ReplicationError(
        "Expected dask.distributed for --scheduler. Received: none. Install it with "
        "`pip install 'keras-aevb[dask]'`"
    ) from error

THREADS = "threads (`dask worker --nthreads`)"
SECONDS_TO_CONNECT = 30
# Seconds that a worker waits until the system releases a lost worker's lock on a run.
SECONDS_FOR_A_LOST_WORKER = 600.0
# Seconds until a worker's files must be visible on this machine.
SECONDS_TO_SEE = 120.0


@dataclasses.dataclass(frozen=True)
class Task:
    """A group to train, and the environment that the worker must have.

    Attributes:
        group: `Group`.
        folders: `Folders`.
        arguments: arguments of the command, for the record.
        about: dict of package versions, commit, Keras backend and precision of JAX's products.
        topic: Dask topic for progress messages; `None` if they are not shown.
        number: number of the group in these messages.
    """

    group: Group
    folders: Folders
    arguments: tuple[str, ...]
    about: dict[str, str | None]
    topic: str | None
    number: int


class Cluster:
    """The workers of a scheduler. Use as a context manager; an error inside stops all groups.

    Args:
        address: address of the scheduler, such as `tcp://10.0.0.1:8786`.
        folders: `Folders`, the same for all workers.
        display: `Display`.

    Raises:
        ReplicationError: if no scheduler answers.
    """

    def __init__(self, address, folders, display):
        self.address = address
        self.folders = folders
        self.display = display
        self._groups = {}
        self._topic = f"replication-{uuid.uuid4()}"
        try:
            self._client = distributed.Client(
                address, timeout=SECONDS_TO_CONNECT, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise ReplicationError(
                f"Expected a Dask scheduler at {address}. Received: {error}. Start one with `dask "
                "scheduler`, and pass the address that it prints"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        if display.is_seen:
            self._client.subscribe_topic(self._topic, self._show)
            if not self._client.scheduler_info()["workers"]:
                display.say(f"The scheduler at {address} has no workers yet: waiting for one")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        with self._client:
            if kind:
                self._executor.shutdown(wait=False)
                self._wait_until_free()

    def submit(self, group):
        """Returns the `concurrent.futures.Future` of a group."""
        number = len(self._groups)
        self._groups[number] = group
        topic = self._topic if self.display.is_seen else None
        about = _about(environment.backend())
        task = Task(group, self.folders, tuple(sys.argv[1:]), about, topic, number)
        return self._executor.submit(_train, task)

    def collect(self, future):
        """Waits until the files of a group's worker are visible on this machine."""
        try:
            infos = future.result()
        except (concurrent.futures.CancelledError, asyncio.CancelledError):
            raise ReplicationError(
                f"Expected the scheduler at {self.address} to keep running. Received: no "
                "connection. Start it again and run the same command again: saved results are "
                "still there"
            ) from None
        except distributed.scheduler.KilledWorker as error:
            raise ReplicationError(
                f"Expected a worker that runs to the end of a group. Received: {error} "
                "Run the same command again to resume"
            ) from None
        except ImportError as error:
            raise ReplicationError(
                "Expected workers that can import this program and its packages. Received: "
                f"{error}. Start them at the root of a clone, in the same environment"
            ) from None
        end = time.monotonic() + SECONDS_TO_SEE
        for info in infos:
            folder = records.runs_folder(self.folders.results) / info["id"]
            while not _shows(folder, info):
                if time.monotonic() > end:
                    raise ReplicationError(
                        f"Expected {folder} to contain the run that a worker has trained. "
                        "Received: another state or none. Choose a --results folder that all "
                        "workers share"
                    )
                time.sleep(0.1)

    def _show(self, event):
        number, fields = event[1]
        self.display.show(self._groups[number], fields)

    def _wait_until_free(self):
        experiments = itertools.chain(*(group.experiments for group in self._groups.values()))
        folders = [records.runs_folder(self.folders.results) / e.id for e in experiments]
        try:
            lock.require_free(folders, lock.SECONDS_FOR_A_WORKER)
        except BusyError as error:
            self.display.say(str(error))


def _shows(folder, info):
    """Whether a folder has this run, which another command may have continued since."""
    try:
        found = records.read_run(folder).info
    except (DamagedFileError, OSError):
        return False
    sessions = info["sessions"]
    return found["samples"] >= info["samples"] and found["sessions"][: len(sessions)] == sessions


# On the workers.


def _train(task):
    worker = distributed.get_worker()
    environment.set_defaults()
    _require_same_environment(task, worker)
    sys.argv[1:] = task.arguments
    key = worker.get_current_task()

    def check():
        """Stops training if the command has ended."""
        task = worker.state.tasks.get(key)
        if task is None or task.state not in ("executing", "long-running"):
            raise concurrent.futures.CancelledError

    def send(**fields):
        worker.log_event(task.topic, [task.number, fields])

    progress = RunProgress(send if task.topic else None, check)
    return train(task.group, task.folders, progress, SECONDS_FOR_A_LOST_WORKER)


def _require_same_environment(task, worker):
    """Raises an error unless this worker has the command's environment and a single thread."""
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
    else:
        backend = os.environ["KERAS_BACKEND"] = task.about["Keras' backend"]
    here = _about(backend) | {THREADS: worker.state.nthreads}
    wanted = task.about | {THREADS: 1}
    differing = [name for name in wanted | here if here.get(name) != wanted.get(name)]
    if differing:
        expected, received = (
            ", ".join(f"{name} {values.get(name) or 'none'}" for name in differing)
            for values in (wanted, here)
        )
        raise ReplicationError(
            f"Expected worker {worker.address} to have {expected}. Received: {received}. Restart "
            "it in the same environment and with the same clone as this command"
        )


@functools.cache  # the imported code, even if the folder changes later
def _about(backend):
    """The environment that determines a process's numbers."""
    return {
        **provenance.versions(),
        "commit": provenance.commit(),
        "Keras' backend": backend,
        environment.PRECISION: environment.precision(),
    }
