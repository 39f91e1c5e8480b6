"""Pages of the API reference, with a heading for every public name.

The source is parsed, not imported, so the pages need no backend.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "keras_aevb"
TITLES = {
    "models": "Models",
    "condition": "Conditions",
    "encoding": "Encoding layer",
    "distributions": "Distributions",
    "bounds": "Bounds",
    "marginal_likelihood": "Estimators of log p(x)",
    "batches": "Row batches",
    "gradients": "Gradient variance",
    "weight_prior": "The prior over weights",
    "networks": "keras_aevb.networks",
    "evaluation": "keras_aevb.evaluation",
    "pictures": "keras_aevb.pictures",
    "plots": "keras_aevb.plots",
    "callbacks": "keras_aevb.callbacks",
    "scikit_learn": "keras_aevb.scikit_learn",
    "testing": "keras_aevb.testing",
    "typing": "keras_aevb.typing",
}
# Public names that users subclass or call, but the package does not export.
FURTHER = {
    "marginal_likelihood": [
        "keras_aevb.marginal_likelihood.Estimator",
        "keras_aevb.marginal_likelihood.log_mean_exp",
    ],
    "scikit_learn": [
        "keras_aevb.scikit_learn.EncodingTransformer",
        "keras_aevb.scikit_learn.build_mlp",
    ],
}


def pages():
    """The reference: a dict from names of pages to Markdown."""
    names = public_names()
    written = {"index": _index(names)}
    for page, paths in names.items():
        introduction = _docstring(page)
        blocks = "\n".join(f"::: {_defined(path)}\n" for path in paths)
        written[page] = f"# {TITLES[page]}\n\n{introduction}\n\n{blocks}"
    return written


def public_names():
    """The documented names: a dict from pages to lists of dotted paths."""
    source = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    exported = _strings(source, "__all__")
    names = {page: [] for page in TITLES}
    for node in source.body:
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module.removeprefix("keras_aevb").removeprefix(".")
        for name in (alias.name for alias in node.names):
            if name not in exported or name == "__version__":
                continue
            if module:
                names[module].append(f"keras_aevb.{name}")
            else:
                names[name] += [f"keras_aevb.{name}.{n}" for n in _public(name)]
    for page, paths in FURTHER.items():
        names[page] += paths
    return names


def _public(module):
    """The public names of a module: its `__all__`, or else its own definitions."""
    source = ast.parse(_path(module).read_text("utf-8"))
    listed = _strings(source, "__all__")
    defined = [n.name for n in source.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return listed or [name for name in defined if not name.startswith("_")]


def _defined(path):
    """The path of a public name; `a.b.b` for an object `a.b` that a module `a/b.py` defines."""
    package, _, name = path.rpartition(".")
    folder = PACKAGE.joinpath(*package.split(".")[1:])
    return f"{path}.{name}" if (folder / f"{name}.py").exists() else path


def _path(module):
    package = PACKAGE / module / "__init__.py"
    return package if package.exists() else PACKAGE / f"{module}.py"


def _strings(source, name):
    """The strings of a list that a module assigns to a name."""
    for node in source.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    return []


def _docstring(module):
    source = ast.parse(_path(module).read_text("utf-8"))
    return ast.get_docstring(source, clean=False)  # with the indentation of its code


def _index(names):
    rows = [
        f"| [{TITLES[page]}]({page}.md) | "
        + ", ".join(f"[`{path.rpartition('.')[2]}`]({page}.md#{_defined(path)})" for path in paths)
        + " |"
        for page, paths in names.items()
    ]
    head = ["# API reference", "", "Every public name.", "", "| page | names |", "|---|---|"]
    return "\n".join([*head, *rows, ""])
