"""The scripts in `examples` run, for one epoch."""

import pathlib
import runpy

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def test_there_are_examples():
    assert len(SCRIPTS) >= 8


@pytest.mark.filterwarnings("default::UserWarning")  # small budgets: unreliable importance weights
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_example_runs(script):
    results = runpy.run_path(str(script))["main"](epochs=1)
    assert results and np.isfinite(list(results.values())).all()
