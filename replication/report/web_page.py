"""The report as a self-contained web page."""

import base64
import html
import importlib.resources
import io
import json
import re
from pathlib import Path

from markdown_it import MarkdownIt

from replication.measurements.files import read_text, reading

QUALITY = 80  # of WebP
REMEDY = "Restore it, or generate it again with the command for {}"

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
{scripts}</body>
</html>
"""

CHART = """\
<figure class="chart">
<figcaption>Interactive version: choose a panel, switch curves on and off, and point at a curve to
see its values. The paper's curves are broad and pale. Diverged runs are left out.</figcaption>
<div id="{key}"></div>
</figure>
"""

SCRIPTS = """\
<script>{bundle}</script>
<script>
const charts = {charts};
for (const [key, chart] of Object.entries(charts)) {{
  vegaEmbed("#" + key, chart, {{actions: false, renderer: "svg", config: {config}}});
}}
</script>
"""

# Vega's greys suit a white page only; these follow the page's colours, which may be dark.
CONFIG = {
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "titleFontWeight": "normal",
        "domainColor": "#8888",
        "tickColor": "#8888",
        "gridColor": "#8883",
    },
    "view": {"stroke": None},
    "legend": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "titleFontWeight": "normal",
        "titleOrient": "left",
        "symbolBaseFillColor": "#888",
        "symbolBaseStrokeColor": "#888",
        "orient": "bottom",
        "direction": "horizontal",
        "layout": {"bottom": {"anchor": "start", "direction": "vertical"}},
    },
}


def web_page(results, before, figures, after, charts):
    """HTML with embedded pictures and charts.

    Args:
        results: folder of the results.
        before: Markdown before the figures.
        figures: list of `Figure`, whose pages become sections.
        after: Markdown after the figures.
        charts: dict from pictures (paths relative to the results) to results of `chart`. A chart
            follows its picture.
    """
    results = Path(results)
    pages = {page.resolve() for figure in figures for page in figure.pages}
    charts = {(results / path).resolve(): spec for path, spec in charts.items() if spec}
    renderer = _Renderer(pages, charts)
    parts = [renderer.render("\n".join(before), results)]
    for figure in figures:
        if not figure.pages:
            parts.append(renderer.render(f"## {figure.title}\n\n{figure.not_run}", results))
        for page in figure.pages:
            text = read_text(page, REMEDY.format(page.parent.name))
            parts.append(renderer.render(text, page.parent, page.resolve()))
    parts.append(renderer.render("\n".join(after), results))
    style = importlib.resources.files(__package__) / "style.css"
    return PAGE.format(
        title=html.escape(renderer.sections[0][1]),
        style=style.read_text(encoding="utf-8"),
        nav="\n".join(f'<a href="#{key}">{html.escape(t)}</a>' for key, t in renderer.sections),
        body="".join(parts),
        scripts=_scripts(renderer.drawn),
    )


def _scripts(charts):
    """Script elements: the libraries, and the charts by the ids of their elements."""
    if not charts:
        return ""
    import vl_convert

    # HTML ends a script at "</script", even within a string.
    bundle, specifications, config = (
        re.sub("</(?=script)", r"<\\/", text, flags=re.IGNORECASE)
        for text in (
            vl_convert.javascript_bundle(),  # type: ignore[call-arg]  # its stub lacks the default
            json.dumps(charts, ensure_ascii=False),
            json.dumps(CONFIG),
        )
    )
    return SCRIPTS.format(bundle=bundle, charts=specifications, config=config)


class _Renderer:
    """Renders Markdown as HTML, with raw HTML escaped, pictures embedded, and scrollable tables.

    A picture is shown only once.
    """

    def __init__(self, pages, charts):
        self.pages = pages
        self.charts = charts
        self.drawn = {}  # ids of elements to the charts in them
        self.shown = set()
        self.sections = []
        self.markdown = MarkdownIt("js-default")
        self.markdown.add_render_rule("image", _image)
        self.markdown.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
        self.markdown.add_render_rule("table_close", lambda *_: "</table></div>\n")

    def render(self, text, folder, page=None):
        """HTML of a Markdown text, whose links start from `folder`.

        Args:
            text: Markdown.
            folder: folder that its links are relative to.
            page: path of a figure's page, whose headings move one level down; else `None`.
        """
        tokens = self.markdown.parse(text)
        for i, token in enumerate(tokens):
            if token.type == "heading_open":
                self._enter(token, tokens[i + 1].content, page)
            if page and token.type.startswith("heading"):
                token.tag = f"h{int(token.tag[1]) + 1}"
            for child in token.children or []:
                if child.type == "link_open":
                    child.attrSet("href", self._target(child.attrGet("href"), folder))
        env = {"folder": folder}
        parts, chart = [], ""
        for block in _blocks(tokens):
            text, following = self._block(block, env)
            # A chart follows the caption of its picture.
            parts += [text, chart] if _is_caption(block) else [chart, text]
            chart = following
        return "".join([*parts, chart])

    def _block(self, tokens, env):
        """HTML of a block, and of the chart of its picture if that is shown for the first time."""
        pictures = {
            (env["folder"] / child.attrGet("src")).resolve()
            for token in tokens
            for child in token.children or []
            if child.type == "image"
        }
        if len(pictures) == 1 and pictures <= self.shown:
            return "", ""
        self.shown |= pictures
        text, charts = self.markdown.renderer.render(tokens, self.markdown.options, env), ""
        for path in pictures & self.charts.keys():
            key = f"chart-{path.stem}"
            self.drawn[key] = self.charts[path]
            charts += CHART.format(key=key)
        return text, charts

    def _enter(self, token, title, page):
        """Adds the id of a heading, and the navigation entry of a section.

        On a figure's page, only the title gets them.
        """
        if page is None or token.tag == "h1":
            key = _key(page) if page else _name(title)
            token.attrSet("id", key)
            if token.tag in ("h1", "h2"):
                self.sections.append((key, title))

    def _target(self, link, folder):
        """Maps a link to a figure's page to its section; other links do not change."""
        path = (folder / link).resolve()
        return f"#{_key(path)}" if path in self.pages else link


def _blocks(tokens):
    """Yields the tokens of each block: a heading, a paragraph, a table, a whole list."""
    start = 0
    for end, token in enumerate(tokens, 1):
        if token.level == 0 and token.nesting <= 0:
            yield tokens[start:end]
            start = end


def _is_caption(tokens):
    """Whether a block is a paragraph that consists of emphasis only."""
    children = [child for token in tokens for child in token.children or []]
    return bool(children) and (children[0].type, children[-1].type) == ("em_open", "em_close")


def _name(title):
    """The anchor that GitHub gives a heading, which the README links to."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


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
    remedy = REMEDY.format(path.parent.name)
    with reading(path, "a picture", remedy), Image.open(path) as picture:
        picture.convert("RGB").save(file, "WEBP", quality=QUALITY, method=6)
    return file.getvalue()
