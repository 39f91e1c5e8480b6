"""Commands as real processes, and the files that they leave."""

import json
import os
import subprocess
import sys
import time

import psutil

from replication.measurements import lock, records


class Processes:
    """Starts processes, and ends them with the context."""

    def __init__(self):
        self.all = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for process in self.all:
            process.kill()
            process.wait()
            process.stderr.close()

    def python(self, *arguments, **environment):
        """A process of this interpreter, with its standard error piped."""
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
        command = [sys.executable, *map(str, arguments)]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        self.all.append(subprocess.Popen(command, env=environment, **pipes))
        return self.all[-1]

    def command(self, results, *arguments):
        """A command of the replication."""
        return self.python("-m", "replication", *arguments, "--results", results)

    def scheduler(self, folder):
        """The address of a Dask scheduler without workers."""
        path = folder / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        dask = ["-m", "distributed.cli.dask_scheduler", *options, "--scheduler-file", path]
        wait_until(path.exists, self.python(*dask))
        return json.loads(path.read_text())["address"]

    def worker(self, scheduler, threads=1):
        """A Dask worker, which does not restart."""
        options = ["--nthreads", threads, "--no-nanny", "--no-dashboard"]
        return self.python("-m", "distributed.cli.dask_worker", scheduler, *options)


def wait_until(condition, process):
    deadline = time.monotonic() + 240
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_been_saved(results, run):
    """Whether a run has been saved at least once."""
    return (results / "runs" / run / records.RUN).exists()


def locks(results):
    return sorted(path.name for path in results.rglob(f"*{lock.SUFFIX}"))


def strays(results):
    """Files that a completed command should not leave."""
    return [p.name for p in results.rglob("*") if p.suffix in (lock.SUFFIX, ".tmp")]


def holders(results, run):
    """The processes that have the lock of a run open."""
    path = str(results / "runs" / f"{run}{lock.SUFFIX}")
    found = []
    for process in psutil.process_iter():
        try:
            found += [process.pid for file in process.open_files() if file.path == path]
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found
