"""On TensorFlow the replication's tests are behind the marker `slow`, but for whole commands.

Its code asks for no backend: it calls the library, whose tests run on both.
"""

from pathlib import Path

import keras
import pytest
from processes import Processes

ON_BOTH = {"test_cli.py", "test_everything.py", "test_optimizer.py", "test_sharing.py"}


def pytest_collection_modifyitems(items):
    if keras.backend.backend() == "jax":
        return
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in ON_BOTH:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def processes():
    """Real processes, which do not outlive the test."""
    with Processes() as started:
        yield started


@pytest.fixture
def python(processes):
    """python(*arguments): a process."""
    return processes.python
