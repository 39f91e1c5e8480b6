"""Entries of `selection.py` exist, and every test runs on a backend by default."""

import ast
import collections
import json
import os
import subprocess
import sys

import pytest
from selection import CASES, LONGEST, ROOT, SLOW_ON, TAKE_TURNS

PATHS = {*SLOW_ON["jax"], *SLOW_ON["tensorflow"], *TAKE_TURNS, *LONGEST}


def test_paths():
    assert not [path for path in PATHS if not (ROOT / path).exists()]


def test_names():
    for file, tests in CASES.items():
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert set(tests) <= functions, file


def test_every_test_runs_on_a_backend():
    assert not SLOW_ON["jax"] & SLOW_ON["tensorflow"]
    assert not TAKE_TURNS & (SLOW_ON["jax"] | SLOW_ON["tensorflow"])


COLLECTED = """
import json
from _pytest.skipping import evaluate_skip_marks

def pytest_collection_finish(session):
    rows = []
    for item in session.items:
        marks = [mark.kwargs for mark in item.iter_markers("slow")]
        rows.append((item.nodeid, evaluate_skip_marks(item) is None, marks))
    with open("OUT", "w") as file:
        json.dump(rows, file)
"""


@pytest.mark.slow
def test_no_test_is_left_out_on_both_backends(tmp_path):
    """Each test function runs on a backend by default, unless the file itself marks it as slow."""
    runs = collections.defaultdict(list)
    for backend in ("jax", "tensorflow"):
        (tmp_path / "collected.py").write_text(COLLECTED.replace("OUT", str(tmp_path / backend)))
        command = ["--collect-only", "-q", "-p", "collected", "-m", "slow or not slow"]
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(tmp_path)}
        subprocess.run([sys.executable, "-m", "pytest", *command], cwd=ROOT, env=environment)
        for test, is_there, marks in json.loads((tmp_path / backend).read_text()):
            is_slow_anyway = {} in marks
            runs[test.split("[")[0]].append(is_slow_anyway or (is_there and not marks))
    assert len(runs) > 1000
    assert not [test for test, found in runs.items() if not any(found)]
