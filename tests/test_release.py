"""Versions that are stated in several files agree."""

import pathlib
import re
import tomllib

import keras_aevb

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOW = (ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8")


def matrix(name):
    """A list of the workflow's matrix."""
    return re.findall(r"[\w.-]+", re.search(rf"^ +{name}: \[(.*)\]$", WORKFLOW, re.M)[1])


def supported():
    """The rows of the table of supported versions, as a dict from an extra to its cells."""
    page = (ROOT / "docs" / "start" / "install.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", page, flags=re.M)
    return {extra: [cell.strip() for cell in cells.split("|")] for extra, cells in rows}


def test_the_supported_versions_are_tested():
    table = supported()
    assert list(table) == matrix("extra")
    for extra, (backend, pythons, _) in table.items():
        assert extra in PROJECT["optional-dependencies"]
        assert extra.startswith(backend)
        assert pythons.split(", ") == matrix("python")


def test_the_tested_python_versions_are_those_of_the_package():
    pythons = matrix("python")
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)]
    assert named == ["3", *pythons]
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_the_citation_has_the_current_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {keras_aevb.__version__}\n" in citation
