"""Trains groups on the workers of a Dask cluster, which share the folder of the results.

A worker that is lost is none to wait for: Dask gives its group to another one, which continues from
the last checkpoint once the system has released the lost one's lock. The lock is what keeps two
from training one run, also where Dask takes a worker for lost that is not.
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
from replication.commands import BACKENDS
from replication.errors import BusyError, DamagedFileError, WorkerError
from replication.measurements import lock, provenance, records
from replication.train.groups import Group, Places, train
from replication.train.progress import RunProgress

try:
    import distributed
except ImportError as error:
    raise WorkerError(
        "Expected dask.distributed for --scheduler. Received: none. Install it, as by "
        "`pip install 'keras-aevb[dask]'`"
    ) from error

THREADS = "threads (`dask worker --nthreads`)"
SECONDS_TO_CONNECT = 30
# How long a worker waits for a run that a lost worker still has, until the system releases it.
SECONDS_FOR_A_LOST_WORKER = 600.0
# How long a file system may take to show here what a worker wrote.
SECONDS_TO_SEE = 120.0


@dataclasses.dataclass(frozen=True)
class Order:
    """What a worker gets: a group, and what makes its numbers those of the command's own process.

    Attributes:
        group: `Group`.
        places: `Places`.
        arguments: of the command, for the record.
        about: dict of the packages' versions, the source's commit and Keras' backend.
        topic: Dask's topic for what progress sends; `None` if nobody looks.
        number: of the group there.
    """

    group: Group
    places: Places
    arguments: tuple[str, ...]
    about: dict[str, str | None]
    topic: str | None
    number: int


class Cluster:
    """The workers of a scheduler. Use as a context manager; an error inside stops all groups.

    Args:
        address: of the scheduler, such as `tcp://10.0.0.1:8786`.
        places: `Places`, the same for all workers.
        display: `Display`.

    Raises:
        WorkerError: if no scheduler answers.
    """

    def __init__(self, address, places, display):
        self.address = address
        self.places = places
        self.display = display
        self._groups = {}
        self._topic = f"replication-{uuid.uuid4()}"
        try:
            self._client = distributed.Client(
                address, timeout=SECONDS_TO_CONNECT, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"Expected a Dask scheduler at {address}. Received: {error}. Start one with `dask "
                "scheduler`, and name the address that it prints"
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
        about = _about(os.environ.get("KERAS_BACKEND") or BACKENDS[0])
        order = Order(group, self.places, tuple(sys.argv[1:]), about, topic, number)
        return self._executor.submit(_train, order)

    def collect(self, future):
        """Waits until what a group's worker wrote is seen here."""
        try:
            infos = future.result()
        except (concurrent.futures.CancelledError, asyncio.CancelledError):
            raise WorkerError(
                f"Expected the scheduler at {self.address} to stay. Received: no connection. Start "
                "it again and give the same command again: what was kept so far is still there"
            ) from None
        except distributed.scheduler.KilledWorker as error:
            raise WorkerError(
                f"Expected a worker that lives to the end of a group of runs. Received: {error} "
                "Give the same command again to continue"
            ) from None
        except ImportError as error:
            raise WorkerError(
                "Expected workers that find this program and its packages. Received: "
                f"{error}. Start them at the root of a clone, in an environment like this one"
            ) from None
        end = time.monotonic() + SECONDS_TO_SEE
        for info in infos:
            folder = records.runs_folder(self.places.results) / info["id"]
            while not _shows(folder, info):
                if time.monotonic() > end:
                    raise WorkerError(
                        f"Expected {folder} to hold what a worker has trained. Received: another "
                        "state or none. Name a --results folder that all workers share"
                    )
                time.sleep(0.1)

    def _show(self, event):
        number, fields = event[1]
        self.display.show(self._groups[number], fields)

    def _wait_until_free(self):
        experiments = itertools.chain(*(group.experiments for group in self._groups.values()))
        folders = [records.runs_folder(self.places.results) / e.id for e in experiments]
        try:
            lock.require_free(folders, lock.SECONDS_FOR_A_WORKER)
        except BusyError as error:
            self.display.say(str(error))


def _shows(folder, info):
    try:
        return records.read_run(folder).info == info
    except (DamagedFileError, OSError):
        return False


# On the workers.


def _train(order):
    worker = distributed.get_worker()
    _require_like(order, worker)
    sys.argv[1:] = order.arguments
    environment.prepare()
    key = worker.get_current_task()

    def check():
        """Ends the training of a group that nobody waits for any more."""
        task = worker.state.tasks.get(key)
        if task is None or task.state not in ("executing", "long-running"):
            raise concurrent.futures.CancelledError

    def send(**fields):
        worker.log_event(order.topic, [order.number, fields])

    progress = RunProgress(send if order.topic else None, check)
    return train(order.group, order.places, progress, SECONDS_FOR_A_LOST_WORKER)


def _require_like(order, worker):
    """Raises a `WorkerError` unless this worker makes the numbers of the command's own process."""
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
    else:
        backend = os.environ["KERAS_BACKEND"] = order.about["Keras' backend"]
    here = _about(backend) | {THREADS: worker.state.nthreads}
    wanted = order.about | {THREADS: 1}
    differing = [name for name in wanted | here if here.get(name) != wanted.get(name)]
    if differing:
        expected, received = (
            ", ".join(f"{name} {values.get(name) or 'none'}" for name in differing)
            for values in (wanted, here)
        )
        raise WorkerError(
            f"Expected worker {worker.address} to have {expected}. Received: {received}. Start it "
            "anew, in an environment and a clone like those of this command"
        )


@functools.cache  # what was imported then, whatever lies in the folder later
def _about(backend):
    """What a process makes its numbers with."""
    return {**provenance.versions(), "commit": provenance.commit(), "Keras' backend": backend}
