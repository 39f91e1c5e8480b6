"""Runs a notebook and writes Markdown, pictures, and a notebook without output for the site.

python docs/site/notebooks.py docs/notebooks/mnist.py build/notebooks
"""

import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbclient
import nbconvert

SECONDS = 900  # limit for a cell


def main(source, folder):
    """Writes `<name>.md`, `<name>/*.png` and `<name>.ipynb`.

    Args:
        source: the notebook, a Python file with cells after `# %%`.
        folder: folder of the files.
    """
    name = Path(source).stem
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    notebook = jupytext.read(source)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    jupytext.write(notebook, folder / f"{name}.ipynb")
    with tempfile.TemporaryDirectory() as scratch:
        nbclient.NotebookClient(notebook, timeout=SECONDS, resources=_in(scratch)).execute()
    markdown, resources = nbconvert.MarkdownExporter().from_notebook_node(
        notebook, {"unique_key": name, "output_files_dir": name}
    )
    for path, content in resources["outputs"].items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    title, rest = markdown.lstrip().split("\n", 1)
    link = f"[Download this notebook]({name}.ipynb); it ran when the site was built."
    (folder / f"{name}.md").write_text(f"{title}\n\n{link}\n{rest}", "utf-8")


def _in(folder):
    return {"metadata": {"path": folder}}


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    main(*sys.argv[1:])
