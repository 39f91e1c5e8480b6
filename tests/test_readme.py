"""The README's Python code runs."""

import pathlib
import re

import numpy as np

README = pathlib.Path(__file__).parent.parent / "README.md"


def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert len(blocks) == 7
    images = np.random.default_rng(0).random((200, 784), dtype="float32")
    names = {"x_train": images, "x_test": images[:50]}
    for block in blocks:
        exec(compile(block.replace("epochs=10", "epochs=1"), str(README), "exec"), names)
    monkeypatch.setenv("KERAS_AEVB_UPDATE", "1")
    names["test_bound"]()
    monkeypatch.delenv("KERAS_AEVB_UPDATE")
    names["test_bound"]()
