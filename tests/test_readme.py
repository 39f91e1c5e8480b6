"""The README's Python code runs, block after block."""

import functools
import pathlib
import re

import numpy as np
import pytest

README = pathlib.Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@functools.cache
def names_after(block):
    """The variables after a block. Each block is a test, so that memory is freed in between."""
    if block < 0:
        images = np.random.default_rng(0).random((200, 784), dtype="float32")
        return {"x_train": images, "x_test": images[:50]}
    names = names_after(block - 1)
    code = BLOCKS[block].replace("epochs=10", "epochs=1").replace("x[:100]", "x[:10]")
    exec(compile(code, f"{README}, block {block}", "exec"), names)
    return names


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readme"))
        yield


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_a_block_runs(block):
    names_after(block)


def test_the_regression_test_updates_and_compares(monkeypatch):
    test_bound = names_after(len(BLOCKS) - 1)["test_bound"]
    monkeypatch.setenv("KERAS_AEVB_UPDATE", "1")
    test_bound()
    monkeypatch.delenv("KERAS_AEVB_UPDATE")
    test_bound()
