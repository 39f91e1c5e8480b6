"""The scripts in `examples` run, for one epoch."""

import pathlib
import runpy

import keras
import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


def test_there_are_examples():
    assert len(SCRIPTS) >= 8


# On JAX most of the time goes into compiling, a minute for all.
SLOW_ON_JAX = [pytest.mark.slow] * (keras.backend.backend() == "jax")


@pytest.mark.parametrize(
    "script", [pytest.param(path, id=path.stem, marks=SLOW_ON_JAX) for path in SCRIPTS]
)
def test_example_runs(script):
    results = runpy.run_path(str(script))["main"](epochs=1)
    assert results and np.isfinite(list(results.values())).all()
