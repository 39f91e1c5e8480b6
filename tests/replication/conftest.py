"""Fixtures of the replication's tests: real processes."""

import pytest
from processes import Processes


@pytest.fixture
def processes(ctrl_c):
    """Real processes, which end with the test; none ignores Ctrl-C."""
    with Processes() as started:
        yield started


@pytest.fixture
def python(processes):
    """python(*arguments): a process."""
    return processes.python
