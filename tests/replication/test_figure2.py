"""Figure 2's tables and picture, from synthetic run folders."""

import dataclasses
import math

import made_up
import numpy as np
import pandas as pd
import pytest
from made_up import read_csv
from matplotlib import image

from replication.errors import ReplicationError
from replication.figures import figure2
from replication.figures.text import count, csv_text, markdown, number, with_error
from replication.paper import paper_value
from replication.plan.experiment import LATENT_DIMS, Experiment
from replication.plan.protocols import figure2_experiment
from replication.plan.step_sizes import pilot_samples


def write_run(results, experiment, bounds):
    """A run folder from {samples: (training bound, test bound)}."""
    metrics = {
        samples: {"train_elbo": train, "train_sem": 0.1, "test_elbo": test, "test_sem": 0.2}
        for samples, (train, test) in bounds.items()
    }
    made_up.write_run(results, experiment, metrics)


def aevb(step_size, seed=0, latent_dim=20, dataset="mnist", **settings):
    return Experiment(dataset, "aevb", latent_dim, step_size, seed, **settings)


def grid(end):
    """The runner's counts from 10 000, where those of the digits start, to `end`."""
    steps = (10, 12.5, 16, 20, 25, 32, 40, 50, 63, 80)
    return [s for k in range(3, 8) for s in (int(m * 10**k) for m in steps) if s <= end]


def paper_like(experiment, end, offset=0.0):
    """The paper's curve shifted by `offset`, and arbitrary values outside its range."""

    def bound(samples, split):
        e = experiment
        value = paper_value(2, e.dataset, e.algorithm, e.latent_dim, split, at=samples).item()
        return -160 - 1e7 / samples if math.isnan(value) else value + offset

    return {0: (-1500.0, -1500.0)} | {s: (bound(s, "train"), bound(s, "test")) for s in grid(end)}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """tables(): builds the figure without its picture; returns table.csv's rows, and table.md."""
    monkeypatch.setattr("replication.figures.curves.draw", lambda *args: None)

    def build():
        page, _, table, _ = figure2.build(tmp_path)
        return read_csv(table), page.read_text()

    return build


@pytest.fixture
def roles(tables):
    """roles(): the role of each step size that is shown."""
    return lambda: {row["step_size"]: row["role"] for row in tables()[0]}


def test_a_row_by_hand(tmp_path, tables):
    bounds = {0: (-543.0, -543.1), 100_000: (-210.0, -211.0), 1_000_000: (-123.5, -124.5)}
    write_run(tmp_path, aevb(0.02), bounds | {1_250_000: (-121.0, -122.0)})
    rows, _ = tables()
    # 125·10⁴ is not 1, 2 or 5 times a power of ten, but it is the run's end.
    assert [row["samples"] for row in rows] == ["100000", "1000000", "1250000"]
    first, row, _ = rows
    assert list(row.items())[:9] == [
        ("dataset", "mnist"),
        ("latent_dim", "20"),
        ("algorithm", "aevb"),
        ("step_size", "0.02"),
        ("role", "given"),
        ("seeds", "1"),
        ("samples", "1000000"),
        ("train_elbo", "-123.5000"),
        ("test_elbo", "-124.5000"),
    ]
    assert row["test_sem_over_seeds"] == ""
    # The paper's AEVB at N_z = 20 and 10⁶ samples, to the rounding of four decimals.
    paper = paper_value(2, "mnist", "aevb", 20, "test", at=1e6)
    assert float(row["paper_test"]) == pytest.approx(-124.2, abs=0.06)
    assert float(row["paper_test"]) == pytest.approx(paper, abs=5e-5)
    assert float(row["test_difference"]) == pytest.approx(-124.5 - paper, abs=5e-5)
    paper = paper_value(2, "mnist", "aevb", 20, "train", at=1e6)
    assert float(row["train_difference"]) == pytest.approx(-123.5 - paper, abs=5e-5)
    # At 10⁵ samples the paper's curve has not entered its panel.
    assert first["paper_test"] == first["test_difference"] == first["train_difference"] == ""


def test_seeds_are_averaged_at_common_points(tmp_path, tables):
    for seed, test in enumerate((-123.0, -125.0, -127.0)):
        bounds = {0: (-543.0, -543.0), 1_000_000: (test + 1, test)}
        if seed == 0:
            bounds[2_000_000] = (-115.0, -116.0)
        write_run(tmp_path, aevb(0.02, seed), bounds)
    (at_1e6, at_2e6), page = tables()
    assert at_1e6["seeds"] == "3"
    assert at_1e6["test_elbo"] == "-125.0000"
    assert at_1e6["train_elbo"] == "-124.0000"
    assert at_1e6["test_sem_over_seeds"] == f"{2 / math.sqrt(3):.4f}"
    assert (at_2e6["seeds"], at_2e6["test_sem_over_seeds"]) == ("1", "")
    assert "| −125.0 ± 1.2 |" in page


def test_the_page(tmp_path, tables):
    step = aevb(0.02)
    bounds = {0: (-543.0, -543.0), 100_000: (-210.0, -211.0), 1_000_000: (-123.0, -124.5)}
    write_run(tmp_path, step, bounds)
    sleep = figure2_experiment("mnist", "wake-sleep", 20, 0.02)
    write_run(tmp_path, sleep, bounds | {2_000_000: (-119.0, -120.5)})
    _, page = tables()
    table = [line for line in page.splitlines() if line.startswith("|")][:4]
    # The paper (AEVB −124.2; wake-sleep −130.8, −120.0) has no value at 10⁵, hence no column.
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    triples = ["10⁶ ours", "paper", "difference", "2·10⁶ ours", "paper", "difference"]
    assert cells[0] == ["N_z", "algorithm", "step size", "10⁵ ours", *triples]
    given = "0.02 (given)"
    assert cells[2][:7] == ["20", "AEVB", given, "−211.0", "−124.5", "−124.2", "−0.3"]
    assert cells[2][7] == cells[2][9] == "–"
    assert cells[3][:5] == ["20", "Wake-sleep", given, "−211.0", "−124.5"]
    assert cells[3][7:] == ["−120.5", "−120.0", "−0.5"]
    assert len({len(line) for line in table}) == 1


def test_the_chosen_and_the_closest_step_size(tmp_path, tables, roles):
    one, two, ten = aevb(0.01), aevb(0.02), aevb(0.1)
    write_run(tmp_path, one, paper_like(one, 2_000_000, offset=0.5))
    write_run(tmp_path, two, paper_like(two, 2_000_000, offset=2) | {100_000: (-200, -200)})
    write_run(tmp_path, ten, {0: (-543.0, -543.0), 100_000: (-1e6, -1e6)})
    assert roles() == {"0.01": "closest", "0.02": "chosen"}
    _, page = tables()
    assert "|  20 |       0.1 |     1 |       −1.0·10⁶ | diverged |" in page
    assert "These runs diverged" not in page
    choice = read_csv(tmp_path / "figure2" / "step_sizes.csv")
    assert [(r["step_size"], r["verdict"]) for r in choice] == [
        ("0.01", ""),
        ("0.02", "chosen"),
        ("0.1", "diverged"),
    ]
    assert choice[2]["score"] == "-1000000.0000"


def test_chosen_and_closest_can_be_the_same(tmp_path, roles):
    one, two = aevb(0.01), aevb(0.02)
    write_run(tmp_path, one, paper_like(one, 2_000_000, offset=-3))
    write_run(tmp_path, two, paper_like(two, 2_000_000) | {100_000: (-200, -200)})
    assert roles() == {"0.02": "chosen, closest"}


def test_decades_from_1e6_decide_what_is_closest(tmp_path, roles):
    # Far from the paper at 5·10⁵, where its curve is smoothed, and at 2·10⁶, but equal at 10⁶.
    one, two = aevb(0.01), aevb(0.02)
    off = {500_000: (-300.0, -300.0), 2_000_000: (-300.0, -300.0)}
    write_run(tmp_path, one, paper_like(one, 2_000_000) | off)
    write_run(tmp_path, two, paper_like(two, 2_000_000, 1) | {100_000: (-200, -200)})
    assert roles() == {"0.01": "closest", "0.02": "chosen"}


def test_all_shared_points_decide_where_no_decade_is_shared(tmp_path, roles):
    # At N_z = 3 the paper's curve enters its panel after 10⁶.
    one, two = aevb(0.01, latent_dim=3), aevb(0.02, latent_dim=3)
    write_run(tmp_path, one, paper_like(one, 2_000_000, 1))
    write_run(tmp_path, two, paper_like(two, 2_000_000, 4) | {100_000: (-200, -200)})
    assert roles() == {"0.01": "closest", "0.02": "chosen"}


def test_a_shorter_run_is_not_shown_and_a_longer_one_is(tmp_path, roles):
    one, two, five = aevb(0.01), aevb(0.02), aevb(0.05)
    write_run(tmp_path, one, paper_like(one, 500_000))
    write_run(tmp_path, two, paper_like(two, 2_000_000, 1) | {100_000: (-200, -200)})
    assert roles() == {"0.02": "chosen"}
    write_run(tmp_path, five, paper_like(five, 5_000_000, 9))
    assert roles() == {"0.02": "chosen, closest", "0.05": "given"}


def test_a_shorter_run_can_be_closest_where_both_can_be_compared(tmp_path, roles):
    one, two = aevb(0.01), aevb(0.02)
    write_run(tmp_path, one, paper_like(one, 1_000_000))
    write_run(tmp_path, two, paper_like(two, 2_000_000, 1) | {100_000: (-200, -200)})
    assert roles() == {"0.01": "closest", "0.02": "chosen"}


def frey(step_size, text, **settings):
    return figure2_experiment("frey", "aevb", 10, step_size, text=text, **settings)


@pytest.fixture
def both_settings(tmp_path):
    """Frey Face 20 nats above the paper's curve, and 150 above it with the text's settings."""
    for text, offset, best in ((False, 20.0, 0.01), (True, 150.0, 0.02)):
        for step in (0.01, 0.02):
            experiment = frey(step, text)
            chosen = {pilot_samples(experiment): (800.0 + (step == best), 800.0)}
            write_run(
                tmp_path, experiment, paper_like(experiment, 2_000_000, offset + 9 * step) | chosen
            )


def test_the_texts_own_settings_are_a_second_curve(both_settings, tables):
    rows, page = tables()
    at_1e6 = [row for row in rows if row["samples"] == "1000000"]
    assert [(row["step_size"], row["role"]) for row in at_1e6] == [
        ("0.01", "chosen, closest"),
        ("0.02", "text"),
    ]
    differences = [float(row["test_difference"]) for row in at_1e6]
    assert differences == pytest.approx([20.09, 150.18], abs=1e-3)
    assert "| 10  | AEVB      | 0.02 (text)" in page
    choice = [line for line in page.splitlines() if line.startswith("| Frey Face |")]
    assert [line.split("|")[5].strip() for line in choice] == ["", "", "text", "text"]


def test_the_second_curve_is_dotted(both_settings, tmp_path, monkeypatch):
    drawn = []

    def plot(axes, curve, colour, style):
        (role,) = curve.role.unique()
        drawn.append((role, curve.split.iloc[0], style["linestyle"]))

    monkeypatch.setattr("replication.figures.picture._plot", plot)
    figure2.build(tmp_path)
    dots, *_ = [style for role, _, style in drawn if role == "text"]
    on, off = dots[1]
    assert on <= 1 < off
    assert [place for *place, _ in drawn] == [
        ["chosen, closest", "train"],
        ["chosen, closest", "test"],
        ["text", "test"],
    ]


def test_without_a_choice_all_step_sizes_are_given(tmp_path, tables, roles):
    write_run(tmp_path, aevb(0.01), {0: (-543.0, -543.0), 10_000: (-210.0, -210.0)})
    write_run(tmp_path, aevb(0.02), {0: (-543.0, -543.0), 10_000: (-200.0, -200.0)})
    assert roles() == {"0.01": "given", "0.02": "given"}
    assert "Step sizes" not in tables()[1]


def test_data_without_a_paper_curve_show_the_chosen_step_size(tmp_path, tables, roles):
    for step, bound in ((0.01, -30.0), (0.02, -25.0)):
        bounds = {0: (-44.0, -44.0), 10_000: (-35.0, -35.0), 20_000: (bound, bound)}
        write_run(tmp_path, aevb(step, latent_dim=2, dataset="digits"), bounds)
    assert roles() == {"0.02": "chosen"}
    header = "| N_z | algorithm | step size     | 10⁴ ours | 2·10⁴ ours |"
    assert header in tables()[1]


def test_runs_that_diverge_after_the_pilot_are_named_and_left_out(tmp_path, tables, roles):
    one, two = aevb(0.01), aevb(0.02)
    write_run(tmp_path, one, paper_like(one, 1_000_000))
    late = {100_000: (-200, -200), 1_000_000: (math.nan, math.nan)}
    write_run(tmp_path, two, paper_like(two, 1_000_000) | late)
    # At N_z = 5 the table of pilot runs shows it, at N_z = 20 it does not.
    write_run(tmp_path, aevb(0.02, latent_dim=5), {0: (-543, -543), 100_000: (-600, -600)})
    # 0.02 was chosen, but all its runs diverged.
    assert roles() == {"0.01": "given"}
    _, page = tables()
    assert "These runs diverged" in page
    assert "|  20 |      0.02 |    0 | 1000000 |            nan |" in page
    assert "|   5 |      0.02 |    0 |" not in page


def test_runs_with_other_settings_do_not_belong_to_the_figure(tmp_path):
    write_run(tmp_path, aevb(0.01, accumulate_only=0), {0: (-543.0, -543.0), 100: (-1.0, -1.0)})
    with pytest.raises(ReplicationError, match=r"Expected runs of figure 2 in .*runs"):
        figure2.build(tmp_path)


@pytest.mark.parametrize(
    "datasets", [("mnist", "frey"), ("mnist",), ("digits",), tuple(LATENT_DIMS)]
)
def test_the_picture_shows_our_curves(tmp_path, datasets):
    for dataset in datasets:
        e = aevb(0.02, latent_dim=5, dataset=dataset)
        for seed in (0, 1):
            run = dataclasses.replace(e, seed=seed)
            write_run(tmp_path, run, paper_like(e, 2_000_000, offset=seed))
    paths = figure2.build(tmp_path)
    assert [p.name for p in paths] == ["table.md", "figure2.png", "table.csv", "step_sizes.csv"]
    assert all(p.parent == tmp_path / "figure2" and p.exists() for p in paths)
    assert paths[1].stat().st_size < 500_000
    pixels = image.imread(paths[1])[..., :3]
    columns = 5 if "frey" in datasets else 6 if "mnist" in datasets else 2
    assert pixels.shape == (348 * len(datasets), 360 * columns, 3)
    blue = np.array([0x00, 0x72, 0xB2]) / 255  # ours, at full strength
    on_curve = np.all(np.abs(pixels - blue) < 0.01, axis=-1)
    for row in np.split(on_curve, len(datasets)):
        assert row.sum() > 200


@pytest.mark.parametrize(("end", "columns"), [(-170.0, 6), (-140.0, 7)])
def test_a_panel_that_the_paper_lacks_is_drawn_if_its_frame_shows_a_curve(tmp_path, end, columns):
    """The paper's five N_z of MNIST start at 3, its frame at −150 nats."""
    two, twenty = aevb(0.01, latent_dim=2), aevb(0.01)
    write_run(tmp_path, twenty, paper_like(twenty, 2_000_000))
    write_run(tmp_path, two, {0: (-543.0, -543.0), 100_000: (end - 9, end - 9), 10**6: (end, end)})
    pixels = image.imread(figure2.build(tmp_path)[1])
    assert pixels.shape[1] == 360 * columns  # one of them for the legend


@pytest.mark.parametrize(
    "ends, left", [([10_000], 1000), ([10_000, 25_000], 10_000), ([10_000, 10**8], 10**5)]
)
def test_left_axis_limit_without_a_curve_of_the_paper(tmp_path, monkeypatch, ends, left):
    """The axis starts a decade before a single point, and cuts off the start of a long curve."""
    pictures = []
    monkeypatch.setattr("replication.figures.picture.write_png", lambda f, _: pictures.append(f))
    run = aevb(0.02, latent_dim=2, dataset="digits")
    write_run(tmp_path, run, {0: (-44.0, -44.0)} | dict.fromkeys(ends, (-30.0, -30.0)))
    figure2.build(tmp_path)
    assert pictures[0].axes[0].get_xlim() == pytest.approx((left, 1.1 * ends[-1]))


@pytest.mark.slow
def test_the_picture_is_the_same_every_time(tmp_path):
    write_run(tmp_path, aevb(0.02), paper_like(aevb(0.02), 1_000_000))
    pictures = [figure2.build(tmp_path)[1].read_bytes() for _ in range(2)]
    assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_diverged_untrained_and_short_runs_can_be_drawn(tmp_path):
    digits = aevb(0.02, latent_dim=2, dataset="digits")
    write_run(tmp_path, digits, {0: (-44.0, -44.0), 1000: (math.nan, math.nan)})
    figure2.build(tmp_path)
    write_run(tmp_path, aevb(0.02), {0: (-543.0, -543.0)})
    figure2.build(tmp_path)
    other = dataclasses.replace(digits, latent_dim=5)
    write_run(tmp_path, other, {0: (-44.0, -44.0), 1000: (-40.0, -40.0)})
    figure2.build(tmp_path)
    assert [r["samples"] for r in read_csv(tmp_path / "figure2" / "table.csv")] == ["1000"]


def test_numbers_and_tables_as_text():
    assert [number(v) for v in (-104.84, 0.05, -0.04, math.nan)] == ["−104.8", "0.1", "0.0", "–"]
    assert number(0.25, "+") == "+0.2"
    assert number(-104.846, digits=2) == "−104.85"
    assert number(-242582835.2) == "−2.4·10⁸" and number(99_999.0) == "99999.0"
    # An error has two digits if these, rounded, are 10 to 35, else one; 0.0096 becomes 0.010.
    assert with_error(-1.4094, 0.0096) == "−1.409 ± 0.010"
    assert with_error(-172.84, 3.54) == "−172.8 ± 3.5"
    assert with_error(-172.84, 3.56) == "−173 ± 4"
    assert with_error(9509.0, 312.0) == "9510 ± 310"
    assert with_error(2.04, 0.25, "+") == "+2.04 ± 0.25"
    assert with_error(3060194981.0, 50467829.0) == "(3.06 ± 0.05)·10⁹"
    assert with_error(2.72e-4, 3.4e-6) == "(2.720 ± 0.034)·10⁻⁴"
    assert with_error(0.003, 0.1) == "0.00 ± 0.10"
    assert with_error(-4.0, math.nan) == with_error(-4.0, 0.0) == "−4.0"
    assert with_error(math.nan, 1.0) == "–"
    assert [count(s) for s in (100, 20_000, 10**8, 250_000_000, 1_234_500)] == [
        "10²",
        "2·10⁴",
        "10⁸",
        "2.5·10⁸",
        "1.23·10⁶",
    ]
    assert markdown(pd.DataFrame({"a": ["wide"], "long": ["1"]}), left=1) == (
        "| a    | long |\n|:-----|-----:|\n| wide |    1 |"
    )
    assert csv_text(pd.DataFrame({"a": [1], "b": [0.5], "c": [math.nan]})) == "a,b,c\n1,0.5000,\n"
