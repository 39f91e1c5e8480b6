"""The commands, with their help and messages."""

import contextlib
import csv
import io

import pytest
from commands import invoke

from replication.cli import main
from replication.measurements import records
from replication.plan.experiment import STEP_SIZES
from replication.train import jobs


def test_help_names_options_and_a_default():
    text = " ".join(invoke("figure2", "--help").output.split())
    for option in ("--dataset", "--latent-dim", "--algorithm", "--samples", "--seeds"):
        assert option in text
    for option in ("--step-size", "--data-dir", "--results", "--fresh", "AEVB_DATA_DIR"):
        assert option in text
    assert "[default: mnist, frey]" in text


@pytest.mark.parametrize(
    "samples, message",
    [
        ("many", "is not a number such as 1e6"),
        ("150", "not a multiple of 100 between 100 and 1e+10"),
        ("nan", "is not a number such as"),
    ],
)
def test_invalid_sample_counts(samples, message):
    result = invoke("figure2", "--samples", samples)
    assert result.exit_code == 2
    assert message in result.output


def test_only_frey_face_has_settings_of_the_text():
    result = invoke("figure2", "--dataset", "digits", "--text")
    assert result.exit_code == 2
    assert "Expected --text with Frey Face. Received: digits." in result.output


def test_too_few_samples_for_the_choice(tmp_path):
    result = invoke("figure2", "--dataset", "digits", "--samples", "1e4", "--results", tmp_path)
    assert result.exit_code == 1
    assert "Expected --samples 20000 or more" in result.output
    assert "Received: 10000." in result.output
    assert not list(tmp_path.iterdir())


def test_missing_data_prints_no_traceback(tmp_path):
    for command in (("data", "frey"), ("figure2", "--results", str(tmp_path))):
        result = invoke(*command, "--data-dir", str(tmp_path))
        assert result.exit_code == 1
        assert result.output.startswith("Error: Expected ")
        assert "--data-dir" in result.output
        assert "Traceback" not in result.output


def test_data_verifies_the_digits():
    result = invoke("data", "digits")
    assert result.exit_code == 0
    assert "1500 train    297 test  images 8x8  sha256 8f26b2bd" in result.output


def test_ctrl_c_says_how_to_resume(tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "load", interrupt)
    result = invoke("figure2", "--dataset", "digits", "--results", str(tmp_path))
    assert result.exit_code == 130
    assert "Run the same command again to resume." in result.output


@pytest.mark.slow
def test_figure2_chooses_the_step_size_and_continues(tmp_path):
    options = ["--dataset", "digits", "--latent-dim", "2", "--algorithm", "aevb", "--seeds", "2"]
    result = invoke("figure2", *options, "--samples", "25000", "--results", str(tmp_path))
    assert result.exit_code == 0, result.output
    written = [tmp_path / "figure2" / n for n in ("table.md", "figure2.png", "table.csv")]
    assert result.output.split()[:3] == [str(path) for path in written]

    runs = records.read_runs(tmp_path)
    pilots = {(r.experiment.step_size, r.experiment.seed): r.at(20_000)["train_elbo"] for r in runs}
    assert set(pilots) == {(step, seed) for step in STEP_SIZES for seed in (0, 1)}
    best = max(STEP_SIZES, key=lambda step: pilots[step, 0] + pilots[step, 1])
    ends = {(r.experiment.step_size, r.experiment.seed): r.rows[-1]["samples"] for r in runs}
    assert ends == {key: 25_000 if key[0] == best else 20_000 for key in pilots}

    rows = list(csv.DictReader((tmp_path / "figure2" / "step_sizes.csv").read_text().splitlines()))
    assert [float(r["step_size"]) for r in rows if r["verdict"] == "chosen"] == [best]


def test_output_into_a_string():
    """A program that calls the commands may have replaced stdout by a `StringIO`."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        main.main(["data", "--help"], standalone_mode=False)
    assert "Usage" in output.getvalue()
