"""The site: every public name is in its reference, and the code of its pages and notebooks runs."""

import importlib
import importlib.util
import inspect
import pathlib
import re

import keras
import matplotlib
import numpy as np
import pytest

import keras_aevb as kv

DOCS = pathlib.Path(__file__).parent.parent / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if "```python" in path.read_text("utf-8")]
SLOW = {"algorithms"}  # Markov chains of four models
NOTEBOOKS = [
    pytest.param(path, marks=[pytest.mark.slow] * (path.stem in SLOW), id=path.stem)
    for path in sorted((DOCS / "notebooks").glob("*.py"))
]


@pytest.fixture(autouse=True)
def no_windows():
    backend = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    matplotlib.pyplot.close("all")
    matplotlib.use(backend)


def reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "site" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference():
    names = reference().public_names()
    documented = {path for paths in names.values() for path in paths}
    expected = set()
    for name in kv.__all__:
        value = getattr(kv, name)
        if inspect.ismodule(value):
            public = getattr(value, "__all__", None) or [
                n
                for n, v in vars(value).items()
                if not n.startswith("_") and getattr(v, "__module__", "") == value.__name__
            ]
            expected |= {f"keras_aevb.{name}.{n}" for n in public}
        elif name != "__version__":
            expected.add(f"keras_aevb.{name}")
    assert documented - expected == {
        "keras_aevb.marginal_likelihood.Estimator",
        "keras_aevb.marginal_likelihood.log_mean_exp",
        "keras_aevb.scikit_learn.EncodingTransformer",
        "keras_aevb.scikit_learn.build_mlp",
    }
    assert expected <= documented


def test_every_entry_of_the_reference_has_an_example():
    names = reference().public_names()
    assert ">>> " in kv.typing.__doc__  # one for all of its names: type aliases have no docstring
    without = []
    for path in (path for page, paths in names.items() if page != "typing" for path in paths):
        module, _, name = path.rpartition(".")
        value = getattr(importlib.import_module(module), name)
        if ">>> " not in vars(value).get("__doc__", value.__doc__):
            without.append(path)
    assert without == []


def test_pages_of_the_reference_are_in_the_navigation():
    navigation = (DOCS.parent / "mkdocs.yml").read_text("utf-8")
    for page in reference().pages():
        assert f"reference/{page}.md" in navigation


# Small budgets make importance weights unreliable, and a page may use only a part of q(z|x).
@pytest.mark.filterwarnings("default::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner")
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28)).astype("uint8")
    mnist = (images, np.arange(200) % 10)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (mnist, mnist))  # no download
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL):
        exec(compile(block.replace("epochs=10", "epochs=1"), str(page), "exec"), names)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_runs_with_a_small_budget(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # without a copy of MNIST
    source, count = re.subn(r"^EPOCHS = \d+$", "EPOCHS = 1", notebook.read_text(), flags=re.M)
    assert count == 1
    names = {"__name__": "__main__"}
    exec(compile(source, str(notebook), "exec"), names)
    assert matplotlib.pyplot.get_fignums()
