"""Which runs are known to have shared their machine, from the times in their files."""

import collections
import datetime
import itertools


def shared(runs):
    """The runs during which another one was trained on the same machine.

    A session lasts from its start for at least as long as it trained. Runs of one session, trained
    side by side, each with its part of the time, do not count as sharing. Other work on the machine
    leaves no trace in the files.

    Args:
        runs: list of `Run`.

    Returns:
        Set of their ids.
    """
    sessions = collections.defaultdict(list)
    for run in runs:
        for session in run.info["sessions"]:
            # A run by itself is a group of its own, whatever started in the same second.
            group = "" if session.get("side_by_side", 1) > 1 else run.experiment.id
            key = session["machine"], _start(session), group
            sessions[key].append((run.experiment.id, _trained(run, session)))
    overlaps = set()
    for _, on_machine in itertools.groupby(sorted(sessions.items()), lambda item: item[0][0]):
        latest_end, latest_ids = float("-inf"), set()
        for (_, start, _), members in on_machine:
            ids = {run_id for run_id, _ in members}
            end = start + sum(seconds for _, seconds in members)
            if start < latest_end:
                overlaps |= ids | latest_ids
            if end > latest_end:
                latest_end, latest_ids = end, ids
    return overlaps


def _start(session):
    return datetime.datetime.fromisoformat(session["started"]).timestamp()


def _trained(run, session):
    return _seconds(run, session["samples_to"]) - _seconds(run, session["samples_from"])


def _seconds(run, samples):
    """Training time up to the last evaluation at or before `samples`."""
    return max((p.seconds for p in run.points if p.samples <= samples), default=0.0)
