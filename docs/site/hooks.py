"""Adds generated pages to the site: the reference, the results and the notebooks."""

import os
import re
from pathlib import Path

import reference
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "build" / "notebooks"
RESULTS = ROOT / "results"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files, config):
    """Adds the generated pages, and files of the repository that pages show."""
    for name, markdown in reference.pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=markdown))
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    files.append(File.generated(config, "changelog.md", content=changelog))
    for path in sorted(NOTEBOOKS.rglob("*")):
        if path.suffix in {".md", ".png", ".ipynb"}:
            name = path.relative_to(NOTEBOOKS).as_posix()
            _append(files, config, f"notebooks/{name}", path)
    for path in sorted(RESULTS.rglob("*")):
        name = path.relative_to(RESULTS)
        if name.parts[0] != "runs" and path.suffix in {".md", ".png", ".csv", ".json"}:
            _append(files, config, f"replication/results/{name.as_posix()}", path)
    return files


def on_page_markdown(markdown, page, config, files):
    """Replaces links to files that are not part of the site by their text."""

    def kept(match):
        image, text, target, _ = match.groups()
        if image or "://" in target or target.startswith("mailto:"):
            return match[0]
        folder = os.path.dirname(page.file.src_uri)
        path = os.path.normpath(os.path.join(folder, target)).replace(os.sep, "/")
        return match[0] if files.get_file_from_path(path) else text

    return LINK.sub(kept, markdown)


def _append(files, config, name, path):
    files.append(File.generated(config, name, abs_src_path=str(path)))
