"""The report as one web page that needs nothing beside it."""

import base64
import html
import importlib.resources
import io
import re
from pathlib import Path

from markdown_it import MarkdownIt

from replication.measurements.files import read_text, reading

QUALITY = 80  # of WebP
WAY_OUT = "Bring it back, or make it again by the command for {}"

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<nav>{nav}</nav>
<main>
{body}</main>
</body>
</html>
"""


def web_page(results, before, figures, behind):
    """HTML with the pictures inside.

    Args:
        results: folder of the results.
        before: Markdown that comes before the figures.
        figures: list of `Figure`, whose pages become sections.
        behind: Markdown that comes after them.
    """
    results = Path(results)
    renderer = _Renderer({page.resolve() for figure in figures for page in figure.pages})
    parts = [renderer.render("\n".join(before), results)]
    for figure in figures:
        if not figure.pages:
            parts.append(renderer.render(f"## {figure.title}\n\n{figure.not_run}", results))
        for page in figure.pages:
            text = read_text(page, WAY_OUT.format(page.parent.name))
            parts.append(renderer.render(text, page.parent, page.resolve()))
    parts.append(renderer.render("\n".join(behind), results))
    style = importlib.resources.files(__package__) / "style.css"
    return PAGE.format(
        title=html.escape(renderer.sections[0][1]),
        style=style.read_text(encoding="utf-8"),
        nav="\n".join(f'<a href="#{key}">{html.escape(t)}</a>' for key, t in renderer.sections),
        body="".join(parts),
    )


class _Renderer:
    """Markdown to HTML: raw HTML is escaped, pictures are put inside, tables scroll."""

    def __init__(self, pages):
        self.pages = pages
        self.sections = []
        self.markdown = MarkdownIt("js-default")
        self.markdown.add_render_rule("image", _image)
        self.markdown.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
        self.markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")

    def render(self, text, folder, page=None):
        """HTML of a Markdown text, whose links start from `folder`.

        Args:
            text: Markdown.
            folder: what its paths are relative to.
            page: its path if it is a figure's page, whose headings go one level down.
        """
        tokens = self.markdown.parse(text)
        for token, following in zip(tokens, [*tokens[1:], None]):
            if token.type == "heading_open" and token.tag in ("h1", "h2"):
                self._enter(token, following.content, page)
            if page and token.type.startswith("heading"):
                token.tag = f"h{int(token.tag[1]) + 1}"
            for child in token.children or []:
                if child.type == "link_open":
                    child.attrSet("href", self._target(child.attrGet("href"), folder))
        return self.markdown.renderer.render(tokens, self.markdown.options, {"folder": folder})

    def _enter(self, token, title, page):
        """Gives a section its id, and its place in the navigation if it is not inside a page."""
        if page is None or token.tag == "h1":
            key = _key(page) if page else re.sub(r"\W+", "-", title.lower()).strip("-")
            token.attrSet("id", key)
            self.sections.append((key, title))

    def _target(self, link, folder):
        """The section of a figure's page; any other link as it is, from the results' folder."""
        path = (folder / link).resolve()
        return f"#{_key(path)}" if path in self.pages else link


def _key(page):
    return f"{page.parent.name}-{page.stem}"


def _image(renderer, tokens, i, options, env):
    token = tokens[i]
    data = base64.b64encode(_webp(env["folder"] / token.attrGet("src"))).decode()
    return f'<img src="data:image/webp;base64,{data}" alt="{html.escape(token.content)}">'


def _webp(path):
    """A picture as WebP, a fraction of its size as PNG."""
    from PIL import Image

    file = io.BytesIO()
    way_out = WAY_OUT.format(path.parent.name)
    with reading(path, "a picture", way_out), Image.open(path) as picture:
        picture.convert("RGB").save(file, "WEBP", quality=QUALITY, method=6)
    return file.getvalue()
