"""What the replication's tests share: real processes."""

import pytest
from processes import Processes


@pytest.fixture
def processes():
    """Real processes, which do not outlive the test."""
    with Processes() as started:
        yield started


@pytest.fixture
def python(processes):
    """python(*arguments): a process."""
    return processes.python
