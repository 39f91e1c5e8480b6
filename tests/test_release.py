"""All files agree on versions; the changelog, the workflows and links are well-formed."""

import pathlib
import re
import tomllib

import pytest
from packaging.requirements import Requirement

import keras_aevb

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = ROOT / ".github" / "workflows"
WORKFLOW = (WORKFLOWS / "tests.yml").read_text("utf-8")
# Packages as the table of supported versions names them.
NAMES = {
    "jax": "JAX",
    "tensorflow": "TensorFlow",
    "tensorflow-probability": "TensorFlow Probability",
    "tf-keras": "tf-keras",
    "tfp-nightly": "nightly TensorFlow Probability",
}


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


@pytest.mark.parametrize("extra", ["tensorflow", "jax", "jax-latest"])
def test_the_supported_versions_are_those_that_an_extra_asks_for(extra):
    parts = supported()[extra][2].split(", ")
    requirements = [Requirement(r) for r in PROJECT["optional-dependencies"][extra]]
    assert len(parts) == len(requirements)
    for part, requirement in zip(parts, requirements):
        assert part.startswith(NAMES[requirement.name])
        versions = re.findall(r"\d+\.\d+", part)
        lower = [s.version for s in requirement.specifier if s.operator == ">="]
        assert versions[:1] == lower or requirement.name == "tfp-nightly"
        assert all(version in requirement.specifier for version in versions)
        upper = [s.version for s in requirement.specifier if s.operator == "<"]
        if upper:  # the last minor version below it
            major, minor = versions[-1].split(".")
            assert upper == [f"{major}.{int(minor) + 1}"]


def test_the_tested_python_versions_are_those_of_the_package():
    pythons = matrix("python")
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)]
    assert named == ["3", *pythons]
    assert PROJECT["requires-python"] == f">={pythons[0]}"


def test_the_citation_and_the_changelog_have_the_current_version():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    date = re.search(r"^date-released: (\d{4}-\d\d-\d\d)$", citation, re.M)[1]
    assert f"\nversion: {keras_aevb.__version__}\n" in citation
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    unreleased, *released = re.findall(r"^## (.*)$", changelog, re.M)
    assert unreleased == "Unreleased"
    assert released[0] == f"{keras_aevb.__version__} - {date}"


def test_the_changelog_has_the_usual_sections_once_for_each_version():
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    usual = ["Upgrade notes", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for version in re.split(r"^## ", changelog, flags=re.M)[1:]:
        sections = re.findall(r"^### (.*)$", version, re.M)
        assert sections == [name for name in usual if name in sections]


def test_workflows_name_actions_by_commit():
    for path in WORKFLOWS.iterdir():
        for action in re.findall(r"uses: (.*)", path.read_text("utf-8")):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), path.name


@pytest.mark.parametrize("page", sorted(path.name for path in ROOT.glob("*.md")))
def test_links_to_files_of_the_repository_lead_to_them(page):
    links = re.findall(r"\]\(([^):#]+)\)", (ROOT / page).read_text("utf-8"))
    assert [link for link in links if not (ROOT / link).exists()] == []
