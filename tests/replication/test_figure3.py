"""Figure 3's tables and picture, from synthetic run folders."""

import dataclasses
import itertools
import math

import made_up
import numpy as np
import pytest
from made_up import read_csv
from matplotlib import image

from replication.errors import ReplicationError
from replication.figures import figure3
from replication.measurements.table import averaged, curves, figure_table
from replication.paper import paper_curve, paper_value
from replication.plan import schedule
from replication.plan.protocols import figure3_experiment
from replication.plan.step_sizes import pilot_samples

ERRORS = {"density": 0.03, "importance": 0.04, "annealed": 0.04}  # together 0.05
UNTRAINED = {0: (-543.0, -543.0)}


def write_run(results, experiment, likelihoods, ends=None):
    """A run folder from {samples: (training, test likelihood)}; second estimates are 0.25 lower.

    Second estimates are measured at the ends of training, `ends`; default: at the last count.
    """
    recognition = experiment.algorithm != "mcem"
    second = "importance" if recognition else "annealed"
    ends = [max(likelihoods)] if ends is None else ends

    def metrics(split, likelihood, samples):
        values = {"density": likelihood}
        if samples in ends:
            values[second] = likelihood - 0.25
        values |= {f"{name}_error": ERRORS[name] for name in values}
        values |= {"elbo": likelihood - 2.0} if recognition else {}
        return {f"{split}_{name}": value for name, value in values.items()}

    points = {
        s: metrics("train", a, s) | metrics("test", b, s) for s, (a, b) in likelihoods.items()
    }
    made_up.write_run(results, experiment, points)


def run_of(algorithm, n_train=1000, step_size=0.02, seed=0, dataset="mnist"):
    return figure3_experiment(dataset, algorithm, n_train, step_size, seed)


def paper_like(experiment, end, offset=0.0):
    """The paper's curve shifted by `offset`, and arbitrary values outside its range."""
    e, step = experiment, experiment.samples_per_step

    def value(samples, split):
        key = (3, e.dataset, e.algorithm, e.latent_dim, split, e.n_train)
        paper = paper_value(*key, at=samples).item() if samples else math.nan
        return offset + (-165 - 2e5 / (samples + 1e3) if math.isnan(paper) else paper)

    counts = schedule.evaluations(schedule.whole(end, step), step, "likelihood")
    return {s: (value(s, "train"), value(s, "test")) for s in counts}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """tables(): builds the figure without its picture; returns table.csv's rows, and table.md."""
    monkeypatch.setattr("replication.figures.curves.draw", lambda *args: None)

    def build():
        page, _, table, _ = figure3.build(tmp_path)
        return read_csv(table), page.read_text()

    return build


def cells(page, heading):
    """The rows of the first table below a heading, header first, as lists of cells."""
    lines = page.split(f"## {heading}\n")[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in table]
    return [rows[0], *rows[2:]]


@pytest.mark.parametrize("n_train", [1000, 50_000])
def test_a_row_by_hand(tmp_path, tables, n_train):
    run = {3_000_000: (-134.5, -150.5), 10_000_000: (-124.5, -146.0)}
    write_run(tmp_path, run_of("aevb", n_train), UNTRAINED | run)
    rows, _ = tables()
    assert [row["samples"] for row in rows] == ["3000000", "10000000"]
    assert (rows[0]["test_elbo"], rows[0]["test_importance"]) == ("-152.5000", "")
    row = rows[1]
    given = {"dataset": "mnist", "n_train": str(n_train), "algorithm": "aevb", "step_size": "0.02"}
    ours = {"train_density": "-124.5000", "train_density_error": "0.0300"}
    others = {"test_importance": "-146.2500", "test_importance_error": "0.0400"}
    empty = {"test_annealed": "", "test_annealed_error": "", "test_sem_over_seeds": ""}
    given |= {"role": "given", "seeds": "1", "train_elbo": "-126.5000"} | ours | others | empty
    assert given.items() <= row.items()
    # The paper's AEVB at 10⁷ samples, to the rounding of four decimals.
    for split, value in (("train", -124.5), ("test", -146.0)):
        paper = paper_value(3, "mnist", "aevb", 3, split, n_train, at=1e7)
        assert float(row[f"{split}_paper"]) == pytest.approx(paper, abs=5e-5)
        assert float(row[f"{split}_difference"]) == pytest.approx(value - paper, abs=1e-4)


def test_round_counts_are_interpolated_linearly_in_log_samples(tmp_path, tables):
    # 10⁵ and 10⁶ are the geometric means of their neighbours.
    run = {50_000: (-160.0, -161.0), 200_000: (-150.0, -153.0), 5_000_000: (-140.0, -147.0)}
    write_run(tmp_path, run_of("wake-sleep"), UNTRAINED | run)
    rows, _ = tables()
    values = {int(r["samples"]): (r["train_density"], r["test_density"]) for r in rows}
    assert list(values) == [100_000, 300_000, 1_000_000, 3_000_000, 5_000_000]
    assert values[100_000] == ("-155.0000", "-157.0000")
    assert values[1_000_000] == ("-145.0000", "-150.0000")
    assert values[5_000_000] == ("-140.0000", "-147.0000")


def test_the_error_over_seeds(tmp_path, tables):
    for seed, test in enumerate((-145.0, -147.0, -149.0)):
        run = {1_000_000: (test + 20, test)} | ({3_000_000: (-120.0, -144.0)} if seed == 0 else {})
        write_run(tmp_path, run_of("aevb", seed=seed), UNTRAINED | run)
    (at_1e6, at_3e6), page = tables()
    assert (at_1e6["seeds"], at_1e6["test_density"]) == ("3", "-147.0000")
    assert at_1e6["test_sem_over_seeds"] == f"{2 / math.sqrt(3):.4f}"
    assert (at_3e6["seeds"], at_3e6["test_sem_over_seeds"]) == ("1", "")
    assert " −147.0 ± 1.2 |" in page
    assert " −144.0 |" in page


def test_the_page_compares_the_algorithms_count_by_count(tmp_path, tables):
    run = {1_000_000: (-130.0, -148.0), 3_000_000: (-125.0, -146.0)}
    write_run(tmp_path, run_of("aevb"), UNTRAINED | run)
    # 15 000 samples per iteration: 10⁶ is not one of its counts, and it ends just after 3·10⁶.
    write_run(
        tmp_path, run_of("mcem"), UNTRAINED | {990_000: (-141, -152), 3_015_000: (-141, -152)}
    )
    write_run(tmp_path, run_of("wake-sleep"), UNTRAINED | {1_500_000: (-139.0, -151.0)})
    _, page = tables()
    header, *rows = cells(page, "MNIST, N_train = 1000")
    paper_columns = ["paper", "difference"]
    assert header[:3] == ["samples", "algorithm", "step size"]
    assert header[3:] == ["training: ours", *paper_columns, "test: ours", *paper_columns]
    assert [row[:2] for row in rows] == [
        ["10⁶", "AEVB"],
        ["10⁶", "MCEM"],
        ["1.5·10⁶", "Wake-sleep"],
        ["3·10⁶", "AEVB"],
        ["3·10⁶", "MCEM"],
    ]
    # The paper's AEVB has −129.00 and −147.17 there.
    difference = ["−1.0", "−148.0", "−147.2", "−0.8"]
    assert rows[0][2:] == ["0.02 (given)", "−130.0", "−129.0", *difference]
    assert rows[1][3] == "−141.0"


def test_the_algorithms_have_the_papers_order(tmp_path, tables):
    for algorithm in ("mcem", "wake-sleep", "aevb"):
        for n_train in (50_000, 1000):
            run = {1_000_000: (-150.0, -150.0)}
            write_run(tmp_path, run_of(algorithm, n_train), UNTRAINED | run)
    rows, page = tables()
    expected = [(n, a) for n in ("1000", "50000") for a in ("aevb", "wake-sleep", "mcem")]
    assert [(row["n_train"], row["algorithm"]) for row in rows] == expected
    assert page.index("N_train = 1000\n") < page.index("N_train = 50000\n")


def test_the_page_explains_mcems_count_which_the_papers_points_confirm(tmp_path, tables):
    write_run(tmp_path, run_of("mcem"), UNTRAINED | {15_000: (-150.0, -151.0)})
    _, page = tables()
    text = " ".join(page.split())
    assert "takes the whole training set as one batch" in text
    assert "(10 leapfrog steps + 5 updates)·N_train samples" in text
    assert "multiples of 15·1000 and 15·50000 samples" in text
    for n_train in (1000, 50_000):
        for split in ("train", "test"):
            iterations = paper_curve(3, "mnist", "mcem", 3, split, n_train).index / (15 * n_train)
            # Points read from the drawing are accurate to about 200 samples, 0.013 of 15 000.
            np.testing.assert_allclose(iterations, iterations.round(), rtol=0, atol=0.02)


def test_two_estimators_and_the_gap(tmp_path, tables):
    write_run(tmp_path, run_of("aevb"), UNTRAINED | {1_000_000: (-130.0, -148.0)})
    write_run(tmp_path, run_of("mcem"), UNTRAINED | {1_500_000: (-135.0, -149.0)})
    _, page = tables()
    header, *rows = cells(page, "Two estimators")
    assert header[-5:] == ["App. D", "other", "App. D − other", "ELBO", "gap"]
    # √(0.03² + 0.04²) = 0.05
    assert rows[0] == [
        *("MNIST", "1000", "AEVB", "0.02", "10⁶", "training"),
        *("−130.0", "−130.2", "+0.25 ± 0.05", "−132.0", "+1.8"),
    ]
    assert rows[3][2:] == [
        *("MCEM", "0.02", "1.5·10⁶", "test"),
        *("−149.0", "−149.2", "+0.25 ± 0.05", "–", "–"),
    ]


@pytest.mark.parametrize("ends", [(), (750_000,)])
@pytest.mark.parametrize(
    ("algorithm", "second", "bounds"),
    [("mcem", "annealed", "––"), ("aevb", "importance", ("−137.0", "−151.0"))],
)
def test_there_is_no_second_estimate_before_the_end(
    tmp_path, tables, algorithm, second, bounds, ends
):
    """The second estimate of an earlier, shorter training does not count."""
    likelihoods = {750_000: (-150.0, -160.0), 1_500_000: (-135.0, -149.0)}
    write_run(tmp_path, run_of(algorithm), UNTRAINED | likelihoods, ends)
    rows, page = tables()
    _, training, test = cells(page, "Two estimators")
    assert training[-6:] == ["training", "−135.0", "–", "–", bounds[0], "–"]
    assert test[-6:] == ["test", "−149.0", "–", "–", bounds[1], "–"]
    assert {row[f"train_{second}"] for row in rows} == {""}


def test_the_second_estimate_is_in_the_table_at_its_count(tmp_path, tables):
    """Whole iterations end a little after the round count."""
    likelihoods = {1_500_000: (-150.0, -160.0), 3_015_000: (-135.0, -149.0)}
    write_run(tmp_path, run_of("mcem"), UNTRAINED | likelihoods)
    rows, _ = tables()
    assert {row["samples"]: row["train_annealed"] for row in rows} == {
        "3000000": "",
        "3015000": "-135.2500",
    }


def test_the_difference_of_two_estimators_is_paired_over_seeds(tmp_path, tables):
    for seed, test in enumerate((-145.0, -149.0)):
        write_run(tmp_path, run_of("aevb", seed=seed), UNTRAINED | {1_000_000: (test, test)})
    row = cells(tables()[1], "Two estimators")[2]
    assert row[5:10] == ["test", "−147.0", "−147.2", "+0.2", "−149.0"]


def test_other_step_sizes_appear_only_in_the_table_of_step_sizes(tmp_path, tables):
    for algorithm in ("aevb", "mcem"):
        for step, score in ((0.01, -150.0), (0.02, -140.0), (0.1, -1e5)):
            e = run_of(algorithm, step_size=step)
            pilot = {pilot_samples(e): (score, score)}
            write_run(tmp_path, e, paper_like(e, pilot_samples(e)) | pilot)
    # The choice for 1000 images applies to 50 000 too.
    for step in (0.01, 0.02):
        write_run(tmp_path, run_of("aevb", 50_000, step), UNTRAINED | {200_000: (-150.0, -151.0)})
    rows, page = tables()
    assert {(row["algorithm"], row["step_size"], row["role"]) for row in rows} == {
        ("aevb", "0.02", "chosen"),
        ("mcem", "0.02", "chosen"),
    }
    assert {row["n_train"] for row in rows} == {"1000", "50000"}
    choice = read_csv(tmp_path / "figure3" / "step_sizes.csv")
    assert [(r["algorithm"], r["step_size"], r["score"], r["verdict"]) for r in choice] == [
        (algorithm, step, score, verdict)
        for algorithm in ("aevb", "mcem")
        for step, score, verdict in (
            ("0.01", "-150.0000", ""),
            ("0.02", "-140.0000", "chosen"),
            ("0.1", "-100000.0000", "diverged"),
        )
    ]
    assert "10⁵ samples for AEVB and wake-sleep (digits: 2·10⁴)" in page
    assert "3·10⁶ samples for MCEM (digits: 1.8·10⁵)" in page
    assert "| MCEM      |   3 |      0.02 |     1 |            −140.0 |   chosen |" in page
    assert "These runs diverged" not in page


def test_runs_that_diverge_for_the_larger_training_set_are_named_and_left_out(tmp_path, tables):
    for step in (0.01, 0.02, 0.1):
        pilot = {100_000: (-1e5 if step == 0.1 else -150 - step, -150.0)}
        write_run(tmp_path, run_of("aevb", step_size=step), UNTRAINED | pilot)
    write_run(tmp_path, run_of("aevb", 50_000, 0.1), UNTRAINED | {200_000: (math.nan, math.nan)})
    rows, page = tables()
    assert {row["n_train"] for row in rows} == {"1000"}
    header, *diverged = cells(page.replace("These runs diverged", "## runs\n"), "runs")
    assert header[2] == "N_train"
    assert diverged == [["MNIST", "AEVB", "50000", "0.1", "0", "200000", "nan"]]


def test_data_without_a_paper_curve_have_no_columns_for_it(tmp_path, tables):
    run = {30_000: (-30.0, -31.0), 50_000: (-25.0, -26.0)}
    write_run(tmp_path, run_of("aevb", 300, dataset="digits"), UNTRAINED | run)
    header, *rows = cells(tables()[1], "Digits, N_train = 300")
    assert header == ["samples", "algorithm", "step size", "training: ours", "test: ours"]
    assert [row[0] for row in rows] == ["3·10⁴", "5·10⁴"]


def test_runs_with_other_settings_do_not_belong_to_the_figure(tmp_path):
    for settings in ({"hidden_units": 500}, {"latent_dim": 2}, {"accumulate_only": 0}):
        other = dataclasses.replace(run_of("aevb"), **settings)
        write_run(tmp_path, other, UNTRAINED | {100_000: (-150.0, -150.0)})
    with pytest.raises(ReplicationError, match=r"Expected runs of figure 3 in .*runs"):
        figure3.build(tmp_path)


def test_interpolation_stays_within_a_seeds_range(tmp_path):
    for seed, end in enumerate((200_000, 400_000)):
        run = {100_000: (-150.0, -160.0), end: (-140.0, -150.0)}
        write_run(tmp_path, run_of("aevb", seed=seed), UNTRAINED | run)
    counts = (99_999, 400_001)
    found = curves(figure_table(3, tmp_path), counts)
    means = averaged(found.assign(role=""))
    assert (means.samples.min(), means.samples.max()) == (100_000, 400_000)
    assert {*means.samples[means.evaluated]} == {100_000, 200_000, 400_000}
    train, test = (found[found.split == split] for split in ("train", "test"))
    assert [*train.value[train.samples == 200_000]] == pytest.approx([-140.0, -145.0])
    assert len(test[test.samples == 300_000]) == 1


@pytest.mark.parametrize("datasets", [("mnist",), ("digits",), ("mnist", "digits")])
def test_the_picture_shows_our_curves(tmp_path, datasets):
    for dataset in datasets:
        for height, algorithm in enumerate(("aevb", "wake-sleep", "mcem")):
            n_train = 1000 if dataset == "mnist" else 300
            for seed in (0, 1):
                e = run_of(algorithm, n_train, seed=seed, dataset=dataset)
                write_run(tmp_path, e, paper_like(e, 5_000_000, offset=height + seed))
    paths = figure3.build(tmp_path)
    assert [p.name for p in paths] == ["table.md", "figure3.png", "table.csv", "step_sizes.csv"]
    assert all(p.parent == tmp_path / "figure3" and p.exists() for p in paths)
    assert paths[1].stat().st_size < 500_000
    pixels = image.imread(paths[1])[..., :3]
    # 4.4 by 3.7 inches of 120 pixels. The paper has two panels of MNIST. The legend takes half a
    # panel, or the free cell beside the one panel of the digits.
    columns = {("mnist",): 2.5, ("digits",): 1.5}.get(datasets, 2)
    assert pixels.shape == (444 * len(datasets), 528 * columns, 3)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)):
        on_curve = np.all(np.abs(pixels - np.array(colour) / 255) < 0.01, axis=-1)
        for row in np.split(on_curve[:, :600], len(datasets)):  # without the legend
            assert row.sum() > 200


def test_the_picture_has_the_training_above_the_test_curve(tmp_path):
    write_run(tmp_path, run_of("aevb"), paper_like(run_of("aevb"), 5_000_000))
    pixels = image.imread(figure3.build(tmp_path)[1])[..., :3]
    blue = np.array([0x00, 0x72, 0xB2]) / 255
    # From 10⁶ to 5·10⁶ samples training rises from −129 to −118 nats, test from −147 to −143.
    on_curve = np.all(np.abs(pixels[:, 240:380] - blue) < 0.01, axis=-1).sum(axis=1)
    assert on_curve[100:200].sum() > 50
    assert on_curve[200:250].sum() == 0
    assert on_curve[250:320].sum() > 50


def test_the_picture_is_the_same_every_time(tmp_path):
    write_run(tmp_path, run_of("aevb"), paper_like(run_of("aevb"), 1_000_000))
    pictures = [figure3.build(tmp_path)[1].read_bytes() for _ in range(2)]
    assert pictures[0] == pictures[1]


def test_diverged_untrained_and_short_runs_can_be_drawn(tmp_path):
    write_run(tmp_path, run_of("aevb"), UNTRAINED | {1000: (math.nan, math.nan)})
    figure3.build(tmp_path)
    write_run(tmp_path, run_of("mcem", 300, dataset="digits"), UNTRAINED)
    figure3.build(tmp_path)
    short = {4500: (-500.0, -500.0)}
    write_run(tmp_path, run_of("mcem", 300, seed=1, dataset="digits"), UNTRAINED | short)
    figure3.build(tmp_path)
    assert [r["samples"] for r in read_csv(tmp_path / "figure3" / "table.csv")] == ["4500"]
