"""The lists of tests that do not run by default name tests that exist."""

import ast

import pytest
from selection import CASES, ROOT, SLOW_ON, TAKE_TURNS


@pytest.mark.parametrize("path", sorted({*SLOW_ON["jax"], *SLOW_ON["tensorflow"], *TAKE_TURNS}))
def test_paths(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("file", CASES)
def test_names(file):
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert set(CASES[file]) <= functions


def test_every_test_runs_on_a_backend():
    assert not SLOW_ON["jax"] & SLOW_ON["tensorflow"]
    assert not TAKE_TURNS & (SLOW_ON["jax"] | SLOW_ON["tensorflow"])
