"""Every public part is in the table of checks, with tests that use it."""

import inspect
import pathlib
import re

import pytest

import keras_aevb as kv

ROOT = pathlib.Path(__file__).parent.parent
ROWS = [
    (re.findall(r"`(\w+)`", line.split("|")[1]), re.findall(r"\(\.\./(\S+?)\)", line))
    for line in (ROOT / "docs" / "checks.md").read_text().splitlines()
    if line.startswith("| `")
]
# Base classes, data and penalties, which are not in the tables of `docs/checks.md`.
OTHERS = {
    "Bound",
    "ConditionalDistribution",
    "EpochMinibatches",
    "FlowStep",
    "LatentVariableModel",
    "Prior",
    "RandomMinibatches",
    "RowBatches",
    "VariationalModel",
    "WeightPrior",
}


def test_no_public_class_is_missing():
    """A new class needs a row: an independent value, a gradient, and its tests."""
    public = {name for name in kv.__all__ if inspect.isclass(getattr(kv, name))}
    in_the_table = {name for names, _ in ROWS for name in names}
    assert in_the_table == public - OTHERS


@pytest.mark.parametrize("names, files", ROWS, ids=lambda value: "-".join(value)[:40])
def test_the_tests_are_there(names, files):
    assert files
    # Algorithms stand in the contract's list of cases.
    extra = ["tests/models/contract.py", "tests/supports.py"]
    text = "".join((ROOT / path).read_text() for path in [*files, *extra])
    for name in names:
        assert re.search(rf"\b{name}\b|{name.lower()}", text), name
