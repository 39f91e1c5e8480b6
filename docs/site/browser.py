"""Opens every page of the built site in a headless browser, and prints what is wrong.

    uv run --no-project --with playwright playwright install --with-deps chromium
    uv run --no-project --with playwright docs/site/browser.py build/site

Each page opens from a server and from the disk, on a phone and on a desktop, in light and in dark
colours. It must fit the screen, draw its equations, request nothing from other sites and print no
error in the console. The contrast between text and background, as WCAG 2.2 defines it, must be at
least `CONTRAST`. The search for each key of `SEARCHES` must find its page of the reference.

The environment variable CHROMIUM is the path of a browser to use in place of Playwright's.
"""

import functools
import http.server
import os
import sys
import threading
from pathlib import Path

from playwright.sync_api import TimeoutError, sync_playwright

SCREENS = {"phone": (400, 800), "desktop": (1280, 800)}  # width and height in pixels
COLOURS = ("light", "dark")
SEARCHES = {"importance weighted": "bounds", "Observed": "distributions", "replicas": "models"}
CONTRAST = 3.0  # WCAG's minimum for large text; the theme's code fails the one for small text

# Returns the problems of the open page.
FIND_PROBLEMS = """
(contrast) => {
  const problems = [];
  const page = document.documentElement;
  if (page.scrollWidth > window.innerWidth)
    problems.push(`${page.scrollWidth} pixels wide on a screen of ${window.innerWidth}`);
  for (const error of document.querySelectorAll(".katex-error"))
    problems.push(`equation not drawn: ${error.title || error.textContent}`);
  for (const formula of document.querySelectorAll(".arithmatex"))
    if (!formula.querySelector(".katex"))
      problems.push(`equation not drawn: ${formula.textContent}`);
  for (const image of document.images)
    if (image.complete && !image.naturalWidth) problems.push(`no image at ${image.src}`);

  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const mixed = (colours) => {  // the visible colour of stacked layers, back to front
    brush.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
    }
    return brush.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (rgb) => {
    const [r, g, b] = [...rgb].slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const seen = new Set();
  const article = document.querySelector("article");
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    const words = texts.currentNode.textContent.trim();
    const hidden = ".katex-mathml, .headerlink, .md-clipboard, svg, [style*=background]";
    if (!words || !box.width || style.visibility == "hidden" || element.closest(hidden)) continue;
    const layers = [];
    for (let e = element; e; e = e.parentElement)
      layers.unshift(getComputedStyle(e).backgroundColor);
    const back = luminance(mixed(["white", ...layers]));
    const front = luminance(mixed(["white", ...layers, style.color]));
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    const key = `${element.className} ${style.color}`;
    if (ratio < contrast && !seen.has(key)) {
      seen.add(key);
      problems.push(`contrast ${ratio.toFixed(1)}: ${words}`);
    }
  }
  return problems;
}
"""


class Visit:
    """A page of the browser whose errors and requests are collected."""

    def __init__(self, browser, home, screen, colours):
        width, height = SCREENS[screen]
        self.home = home
        self.kind = f"{home.split(':')[0]}, {screen}, {colours}"
        self.problems = []
        self.page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme=colours
        )
        self.page.on("request", self._requested)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("console", self._printed)

    def _requested(self, request):
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.problems.append(f"requests {request.url}")

    def _printed(self, message):
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def open(self, name):
        """Returns the problems of a page."""
        self.problems = []
        self.page.goto(f"{self.home}/{name}")
        self.page.wait_for_load_state("networkidle")
        return [*self.page.evaluate(FIND_PROBLEMS, CONTRAST), *self.problems]

    def search(self, words, expected):
        """Returns the problems of a search from the first page."""
        self.open("index.html")
        if self.page.viewport_size["width"] < 800:
            self.page.click("label.md-header__button[for=__search]")
        self.page.locator("input.md-search__input").press_sequentially(words)
        link = self.page.locator(f'a.md-search-result__link[href*="/{expected}.html"]')
        try:
            link.first.wait_for(state="attached", timeout=20_000)
        except TimeoutError:
            self.problems.append(f"the search finds nothing in {expected}.html")
        return self.problems


def serve(folder):
    """Serves a folder in a thread; returns its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main(site):
    names = sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
    names.remove("404.html")  # its links start at the server's root
    assert names, f"no pages in {site}"
    failures = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"))
        for home in (serve(site), site.absolute().as_uri()):
            for screen in SCREENS:
                for colours in COLOURS:
                    visit = Visit(browser, home, screen, colours)
                    found = [(name, problem) for name in names for problem in visit.open(name)]
                    for words, expected in SEARCHES.items():
                        found += [(words, problem) for problem in visit.search(words, expected)]
                    for where, problem in found:
                        print(f"{visit.kind}: {where}: {problem}")
                    print(f"{visit.kind}: {len(names)} pages, {len(found)} problems", flush=True)
                    failures += len(found)
                    visit.page.close()
        browser.close()
    return failures


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1])) else 0)
