"""The report: the README, and the web page as text and in a real browser."""

import base64
import html.parser
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_up import write_run
from made_up_results import write_bounds, write_panel
from matplotlib import image
from PIL import Image

from replication.claims import CLAIMS, Evidence
from replication.claims.rules import Claim, Estimate, Finding, Judgement, Number, Verdict
from replication.errors import ReplicationError
from replication.plan.protocols import figure2_experiment
from replication.report import write_report
from replication.report.charts import chart
from replication.report.sections import FIGURES, sentence

ROOT = Path(__file__).parents[2]
ELBOS = ("train_elbo", "test_elbo")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# A window of chromium is never narrower than 500 pixels; a frame inside can be.
FRAME = """<!DOCTYPE html>
<script>addEventListener("message", e => { document.body.dataset.measured = e.data; });</script>
<body><iframe src="index.html" width="{width}" height="800" style="border: 0"></iframe></body>
"""
# Simulates a reader's clicks and pointer moves; counts the curves before and after each click.
MEASURE = """
<script>
addEventListener("load", async () => {
  const wait = () => new Promise(done => setTimeout(done, 300));
  const chart = document.querySelector("#chart-figure2");
  const curves = () => chart.querySelectorAll(".mark-line path").length;
  const press = async text => {
    const labels = [...chart.querySelectorAll("label")];
    labels.find(label => label.textContent.trim() === text).querySelector("input").click();
    await wait();
    return curves();
  };
  await wait();
  const counts = [curves(), await press("step size 0.01"), await press("step size 0.01")];
  counts.push(await press("seed 1"), await press("paper"));
  const point = chart.querySelector(".hover_marks path");
  const place = point.getBoundingClientRect();
  const at = {bubbles: true, clientX: place.x + 5, clientY: place.y + 5};
  point.dispatchEvent(new PointerEvent("pointermove", at));
  point.dispatchEvent(new MouseEvent("mousemove", at));
  await wait();
  const images = [...document.images];
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - innerWidth,
    images: images.length,
    broken: images.filter(i => !i.complete || i.naturalWidth === 0).length,
    charts: document.querySelectorAll("figure.chart svg").length,
    widest: Math.max(...[...document.querySelectorAll("figure.chart svg")].map(e => e.clientWidth)),
    counts,
    hover: document.querySelector("#vg-tooltip-element")?.innerText ?? "",
    requests: performance.getEntriesByType("resource").map(e => e.name.slice(0, 60)),
  }), "*");
});
</script>
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two panels of figure 2, its page and a picture, like those of the command."""
    results = tmp_path_factory.mktemp("whole")
    write_panel(results, "mnist", 20, end=2_000_000)
    write_panel(results, "frey", 2, end=1_000_000)
    folder = results / "figure2"
    folder.mkdir()
    noise = np.random.default_rng(0).random((60, 90, 3))
    image.imsave(folder / "figure2.png", noise)
    (folder / "table.md").write_text(
        "# Figure 2: made up\n\n![Curves](figure2.png)\n\n## Steps\n\n"
        "| a | b |\n|:--|--:|\n| <b>1 & 2</b> | −3 |\n"
    )
    return results


@pytest.fixture
def results(whole, tmp_path):
    return shutil.copytree(whole, tmp_path, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def built(whole, tmp_path_factory):
    """The README's text and the web page's."""
    results = shutil.copytree(whole, tmp_path_factory.mktemp("built"), dirs_exist_ok=True)
    readme, page, _ = write_report(results)
    return readme.read_text(), page.read_text()


class Page(html.parser.HTMLParser):
    """Tags in order, with their content; checks that they close."""

    VOID = ("meta", "link", "img", "br", "hr")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_files(results):
    paths = write_report(results)
    assert paths == [results / n for n in ("README.md", "index.html", "distances.csv")]
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_report(results)] == first
    header, *rows = paths[2].read_text().splitlines()
    assert header.startswith("figure,dataset,latent_dim,n_train,algorithm,split,samples,difference")
    # Two algorithms and splits: MNIST at 10⁶ and 2·10⁶, Frey Face at 10⁶.
    assert len(rows) == 12
    assert rows[1] == '2,mnist,20,,aevb,train,2000000,0.0000,0.3000,"2 seeds, examples"'


def test_without_runs(tmp_path):
    with pytest.raises(ReplicationError, match="Expected runs in"):
        write_report(tmp_path)


def test_the_readme_begins_with_figure_2_and_a_sentence_for_each_claim(built):
    readme, _ = built
    title, picture, caption, heading, sentences, numbers, *_ = readme.split("\n\n")
    assert (title, heading) == ("# Results", "## The paper's claims")
    assert picture.endswith("](figure2/figure2.png)") and caption.startswith("*Figure 2")
    found = re.split(r"^\d\. ", sentences, flags=re.MULTILINE)[1:]
    for claim, words in zip(CLAIMS, found, strict=True):
        assert " ".join(claim.statement.split()) in " ".join(words.split())
        assert re.match(r"\*\*[A-Z][a-z ]+:\*\* ", words)
    counts = "replicated in 1 of 9 panels, partly in 1, budget too small to say in 7."
    assert " ".join(found[0].split()).endswith(counts)
    assert numbers.startswith("## The numbers")
    assert readme.count("](figure2/figure2.png)") == 1


def test_the_readme_has_every_claim_with_its_rule_and_verdict(built):
    readme, _ = built
    text = " ".join(readme.replace(">", " ").split())
    for i, claim in enumerate(CLAIMS, 1):
        assert f"### {i}. {claim.name}: " in readme
        for words in (claim.statement, claim.source, claim.rule):
            assert " ".join(words.replace(">", " ").split()) in text


def test_missing_figures_are_named(built):
    readme, page = built
    assert readme.count("Not run yet: run `python -m replication ") == len(FIGURES) - 1
    assert "### Figure 2: the lower bound during training\n\n[figure2/table.md]" in readme
    assert page.count("Not run yet: run <code>python -m replication ") == len(FIGURES) - 1


def test_closeness_deviations_and_provenance(built):
    readme, _ = built
    assert re.search(r"\| 2 +\| MNIST +\| AEVB +\| +10⁶ \| +0\.0 \|", readme)
    deviations = readme.partition("## Deviations")[2].partition("###")[0]
    items = re.findall(r"^\| +(\d+) \|(?:[^|]|\\\|)+\|", deviations, re.MULTILINE)
    assert items == [str(i) for i in range(1, len(items) + 1)] and len(items) > 15
    assert re.search(r"\| 2 +\| Abacus, 2 cores \(cpu:0\), jax \| +8 \| +2·10⁶ \|", readme)
    assert "| 0123456 |" in readme
    assert "- Python 3.11.7, keras 3.15.1, jax 0.6.2" in readme


def test_the_readmes_links_lead_to_files(results):
    readme = write_report(results)[0].read_text()
    links = re.findall(r"\]\(([^)]+)\)", readme)
    assert len(links) >= 4
    assert all((results / link).exists() for link in links if not link.startswith("#"))
    # GitHub's names of headings.
    headings = re.findall(r"^#+ (.*)$", readme, re.MULTILINE)
    names = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert {link[1:] for link in links if link.startswith("#")} <= names


def test_the_web_page_is_well_formed_and_self_contained(built):
    page = Page(built[1])
    assert page.tags[0][0] == "html" and page.all("html")[0]["lang"] == "en"
    assert page.all("script") == [{}, {}]  # within the page
    [picture] = page.all("img")  # once, although two parts of the report show it
    order = ("<img ", "<em>Figure 2 of the paper", '<div id="chart-figure2">', "<h2 ")
    assert sorted(order, key=built[1].index) == [*order]
    assert picture["alt"].startswith("Figure 2 of the paper")
    kind, data = picture["src"].split(",")
    assert kind == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as decoded:
        assert decoded.size == (90, 60)
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    style = built[1].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    anchors = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    assert {"#figure2-table", "#the-papers-claims"} <= set(anchors)
    assert {anchor[1:] for anchor in anchors} <= set(ids)


def test_the_web_page_has_the_figures_pages_one_level_down(built):
    page = Page(built[1])
    assert len(page.all("h1")) == 1
    assert '<h2 id="figure2-table">Figure 2: made up</h2>' in built[1]
    assert "<h3>Steps</h3>" in built[1]


def test_the_web_page_escapes(results):
    experiment = figure2_experiment("mnist", "aevb", 5, 0.01)
    write_bounds(results, experiment, 1_000_000, machine="<script>alert(1)</script> & Co")
    page = Page(write_report(results)[1].read_text())
    assert page.all("script") == [{}, {}] and not page.all("b")
    assert "<b>1 & 2</b>" in page.text and "<script>alert(1)</script> & Co" in page.text


def test_sentences():
    lead = Number("lead", Estimate(2, 0.5, ("3 seeds",)), "> 0")

    def judged(*verdicts, numbers=(lead,)):
        claim = Claim("name", "A beats B", "sec. 1", "panels", "rule", list)
        return Judgement(claim, [Finding(v, v, numbers, "not run: A") for v in verdicts])

    yes, _, no, small = Verdict
    assert sentence(judged(yes, yes)) == "**Replicated:** A beats B."
    expected = "**Partly:** A beats B: replicated in 2 of 3 panels, not replicated in 1."
    assert sentence(judged(yes, no, yes)) == expected
    unknown = "**Budget too small to say:** A beats B (not run)."
    assert sentence(judged(small, small, numbers=())) == unknown


def test_parts_that_lack_the_same_runs_are_one_row(tmp_path):
    experiment = figure2_experiment("digits", "aevb", 2, 0.01)
    write_run(tmp_path, experiment, {0: dict.fromkeys(ELBOS, -40.0)})
    rules = write_report(tmp_path)[0].read_text().split("## The rules")[1]
    (row,) = (line for line in rules.splitlines() if line.startswith("| all 9 panels"))
    assert row.split("|")[3].strip() == "not run, or diverged: AEVB, Wake-sleep"
    assert "| N_train = 1000: MCEM reaches AEVB " in rules


def test_charts_show_every_run_that_did_not_diverge_and_the_paper(results):
    table = Evidence(results).table
    found = chart(2, table)
    header, *rows = found["data"]["values"].splitlines()
    assert header == "panel,algorithm,split,source,step,seed,samples,value"
    ours = table[table.samples >= 100_000]
    assert len([row for row in rows if ",ours," in row]) == len(ours)
    [value] = ours[
        (ours.dataset == "mnist")
        & (ours.algorithm == "aevb")
        & (ours.split == "test")
        & (ours.seed == 1)
        & (ours.samples == 10**6)
    ].value
    assert f'"MNIST, N_z = 20",AEVB,test,ours,0.01,1,1000000,{value:.2f}' in rows
    assert any(row.startswith('"Frey Face, N_z = 2",Wake-sleep,test,paper,–,–,') for row in rows)
    names = {p["bind"].get("name") for p in found["params"] if "bind" in p}
    assert {"panel ", "step size 0.01 ", "seed 0 ", "seed 1 ", "paper "} <= names
    assert chart(3, table) is None


def test_charts_of_data_without_a_curve_in_the_paper(tmp_path):
    experiment = figure2_experiment("digits", "aevb", 2, 0.01)
    values = {0: -40.0, 10_000: -30.0, 20_000: -25.0}
    write_run(tmp_path, experiment, {s: dict.fromkeys(ELBOS, v) for s, v in values.items()})
    page = write_report(tmp_path)[1].read_text()
    assert Page(page).all("script") == []  # charts follow pictures, and there are none
    found = chart(2, Evidence(tmp_path).table)
    scale = found["layer"][0]["encoding"]["y"]["scale"]
    assert scale["domainMin"] == {"expr": '({"Digits, N_z = 2": -30.0})[panel]'}
    assert scale["domainMax"] == {"expr": '({"Digits, N_z = 2": -25.0})[panel]'}
    assert {row.split(",")[4] for row in found["data"]["values"].splitlines()[1:]} == {"ours"}


@pytest.mark.slow
def test_the_page_of_this_repositorys_results_is_small(tmp_path):
    copy = shutil.copytree(ROOT / "results", tmp_path / "results")
    page = write_report(copy)[1]
    Page(page.read_text())
    assert page.stat().st_size < 3_000_000


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(tmp_path, width):
    copy = shutil.copytree(ROOT / "results", tmp_path / "results")
    page = write_report(copy)[1]
    text, end, rest = page.read_text().rpartition("</body>")  # the library has one, too
    page.write_text(f"{text}{MEASURE}{end}{rest}")
    frame = copy / "frame.html"
    frame.write_text(FRAME.replace("{width}", str(width)))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,900"]
    command += ["--virtual-time-budget=15000", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    measured = json.loads(Page(done.stdout.strip()).all("body")[0]["data-measured"])
    assert "CONSOLE" not in done.stderr
    assert measured["width"] == width
    assert measured["overflow"] <= 0
    assert measured["images"] >= 1 and measured["broken"] == 0
    assert measured["charts"] == 2 and measured["widest"] <= width
    all_on, without_step, again, without_seed, without_paper = measured["counts"]
    assert all_on == again > without_step
    assert all_on > without_seed > without_paper
    assert re.search(r"samples\s+[\d,]+\s+nats\s+−[\d.]+", measured["hover"])
    assert [name for name in measured["requests"] if not name.startswith("data:")] == []
