"""The figures that the report shows: which are drawn, and which were not run."""

import dataclasses
from pathlib import Path

# Folder below the results, title, and the command that makes it.
FIGURES = (
    ("figure2", "Figure 2: the lower bound during training", "figure2"),
    ("figure3", "Figure 3: the marginal likelihood during training", "figure3"),
    ("figure4", "Figure 4: the manifold of two latent variables", "figure4"),
    ("figure5", "Figure 5: random samples", "figure5"),
    ("gradient_variance", "Variance of the gradient", "gradient-variance"),
    ("cost", "Cost of training", "all"),
)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure's files.

    Attributes:
        name: of its folder.
        title: for readers.
        command: of `python -m replication`, which makes it.
        pages: paths of its Markdown pages; empty if it was not run.
        pictures: paths of its pictures.
    """

    name: str
    title: str
    command: str
    pages: list[Path]
    pictures: list[Path]


def drawn_figures(results):
    """All figures, a list of `Figure` in the paper's order."""
    return [_figure(Path(results) / row[0], *row) for row in FIGURES]


def figures_section(figures):
    """The Markdown section that shows them."""
    return "\n".join(["## Figures\n", *(_entry(figure) for figure in figures)])


def not_run(figure):
    """The sentence where a figure would be."""
    return f"Not run yet: `python -m replication {figure.command}` makes it.\n"


def _figure(folder, name, title, command):
    pages, pictures = (sorted(folder.glob(pattern)) for pattern in ("*.md", "*.png"))
    return Figure(name, title, command, pages, pictures)


def _entry(figure):
    lines = [f"### {figure.title}\n"]
    if not figure.pages:
        return "\n".join([*lines, not_run(figure)])
    links = ", ".join(f"[{figure.name}/{p.name}]({figure.name}/{p.name})" for p in figure.pages)
    lines.append(f"{links}\n")
    lines += [f"![{figure.title}]({figure.name}/{p.name})\n" for p in figure.pictures]
    return "\n".join(lines)
