"""Which runs are known to have shared their machine, from the times in their files."""

import datetime
import itertools


def shared(runs):
    """The runs during which another one was trained on the same machine.

    A session lasts from its start for at least as long as it trained. Other work on the machine
    leaves no trace in the files.

    Args:
        runs: list of `Run`.

    Returns:
        Set of their ids.
    """
    sessions = sorted(s for run in runs for s in _sessions(run))
    overlaps = set()
    for _, on_machine in itertools.groupby(sessions, lambda session: session[0]):
        latest_end, latest_id = float("-inf"), None
        for _, start, end, run_id in on_machine:
            if start < latest_end:
                overlaps |= {run_id, latest_id}
            if end > latest_end:
                latest_end, latest_id = end, run_id
    return overlaps


def _sessions(run):
    """Machine, start and end in seconds, and the run's id."""
    for session in run.info["sessions"]:
        start = datetime.datetime.fromisoformat(session["started"]).timestamp()
        trained = _seconds(run, session["samples_to"]) - _seconds(run, session["samples_from"])
        yield session["machine"], start, start + trained, run.experiment.id


def _seconds(run, samples):
    """Training time up to the last evaluation at or before `samples`."""
    return max((p.seconds for p in run.points if p.samples <= samples), default=0.0)
