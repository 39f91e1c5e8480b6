"""Invalid commands: a one-line error gives the reason, and nothing is lost.

The line says what was expected and what was received. Invalid options are generated for every
command that has them, and damage for every file that a command reads.
"""

import contextlib
import itertools
import json
import os
import shutil
import sys

import keras
import made_up
import numpy as np
import pytest
from commands import invoke

from replication.figures.text import NAMES
from replication.measurements import lock, variances
from replication.measurements.records import CHECKPOINT, SHAPE, save_checkpoint
from replication.measurements.shapes import ANY
from replication.plan.experiment import STEP_SIZES
from replication.plan.protocols import figure2_experiment, figure3_experiment
from replication.train import datasets
from replication.train.model import build
from replication.verify import reference

TRAINING = ("figure2", "figure3", "figure4", "figure5", "gradient-variance")
OPTIONS = {  # commands that have an option, and invalid values
    "--samples": (TRAINING, "0 -100 99 150 nan inf -inf 1e400 1e11 many"),
    "--latent-dim": (("figure2", "figure5", "gradient-variance"), "0 -2 2.5 nan 1000000000 many"),
    "--seeds": (("figure2", "figure3"), "0 -1 1.5 nan 1000000000 many"),
    "--step-size": (("figure2", "figure3"), "nan inf -inf 0 -0.1 1e-300 1e300 small"),
    "--n-train": (("figure3",), "0 -1 1.5 nan inf many"),
    "--dataset": (TRAINING, "cifar"),
    "--algorithm": (("figure2", "figure3"), "sgd"),
    "--preset": (("all",), "huge"),
}
BAD_OPTIONS = [
    (command, option, value)
    for option, (commands, values) in OPTIONS.items()
    for command, value in itertools.product(commands, values.split())
]
FOLDERS = [
    (command, option, value)
    for command in (*TRAINING, "all", "report", "verify")
    for option, value in (("--results", ""), ("--results", "a file"))
]
FOLDERS += [(command, "--results", "missing") for command in ("report", "verify")]

DAMAGE = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "conflict": lambda data: b"<<<<<<< HEAD\n" + data + b"=======\n" + data + b">>>>>>> other\n",
    "zeros": lambda data: bytes(len(data)),
    "latin-1": lambda data: "Größe".encode("latin-1") + data,
}
JSON_FILES = {  # each with its shape, and a command that reads it
    "run.json": (SHAPE, ["verify"]),
    "gradient_variance.json": (variances.SHAPE, ["verify"]),
    "reference.json": (reference.SHAPE, ["verify"]),
}
CHOSEN = figure2_experiment("digits", "aevb", 2, 0.02)
FIGURE4 = ["figure4", "--dataset", "digits", "--samples", "20000"]
LONGER = ["figure2", "--dataset", "digits", "--latent-dim", "2", "--algorithm", "aevb"]
LONGER += ["--step-size", "0.02", "--samples", "30000"]


def refused(results, *arguments, status=1, **environment):
    """The one-line message of a failing command, which must leave every file unchanged."""
    before = contents(results)
    result = invoke(*arguments, "--results", str(results), **environment)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert contents(results) == before
    (message,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    return message


def contents(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("command, option, value", BAD_OPTIONS)
def test_an_invalid_value(tmp_path, command, option, value):
    message = refused(tmp_path, command, option, value, status=2)
    assert f"Invalid value for '{option}': " in message
    assert value in message or str(float(value)) in message
    expectations = ("range", "multiple of", "is not a", "is not one of")
    assert any(words in message for words in expectations)


@pytest.mark.parametrize("option", [("--jobs", "2"), ("--scheduler", "tcp://localhost:1")])
def test_jobs_and_scheduler_need_rerun(tmp_path, option):
    assert "with --rerun. Received: no --rerun" in refused(tmp_path, "verify", *option, status=2)


@pytest.mark.parametrize("command, option, value", FOLDERS)
def test_an_invalid_folder(tmp_path, monkeypatch, command, option, value):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("mine")
    result = invoke(command, option, value)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit)
    assert f"Invalid value for '{option}': " in result.output
    assert contents(tmp_path) == {tmp_path / "a file": b"mine"}


@pytest.mark.parametrize("command", (*TRAINING, "all", "report", "verify", "data"))
@pytest.mark.parametrize("backend", ["torch", "numpy", "openvino", "jaxx", "TensorFlow"])
def test_an_unsupported_backend(command, backend):
    result = invoke(command, KERAS_BACKEND=backend)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    expected = f"Error: Expected KERAS_BACKEND to be tensorflow or jax. Received: {backend}."
    assert result.output.startswith(expected)
    assert invoke(command, "--help", KERAS_BACKEND=backend).exit_code == 0


def test_a_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    result = invoke("data", "digits")
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "Received: import of sklearn.datasets halted" in result.output
    assert "pip install" in result.output


def test_a_missing_module_of_the_program(monkeypatch):
    """This is a bug, and needs its traceback."""

    def fail(*_):
        raise ImportError(name="replication.somewhere")

    monkeypatch.setattr(datasets, "load", fail)
    assert isinstance(invoke("data", "digits").exception, ImportError)


SIZES = {"digits": (1501, 2000, 10**9), "mnist": (50_001, 60_000)}


@pytest.mark.parametrize("name, n_train", [(n, size) for n in SIZES for size in SIZES[n]])
@pytest.mark.parametrize("algorithm", ["aevb", "mcem"])
def test_more_training_images_than_there_are(tmp_path, name, n_train, algorithm):
    data_dir = os.environ.get("AEVB_DATA_DIR")
    if name != "digits" and not data_dir:
        pytest.skip("needs MNIST in AEVB_DATA_DIR")
    # `--n-train 300` is valid, but this run must not start either.
    arguments = ["figure3", "--dataset", name, "--algorithm", algorithm, "--n-train", "300"]
    arguments += ["--n-train", str(n_train), "--step-size", "0.1"]
    message = refused(tmp_path, *arguments, AEVB_DATA_DIR=data_dir)
    assert f"training images of {name}. Received: {n_train}." in message
    assert "--n-train" in message


@pytest.mark.parametrize("command", ["figure2", "figure4", "figure5", "gradient-variance"])
def test_samples_that_suffice_only_for_one_data_set(tmp_path, command):
    """The choice for the digits takes 20 000, for MNIST 100 000; neither is started."""
    data_dir = os.environ.get("AEVB_DATA_DIR")
    if not data_dir:
        pytest.skip("needs MNIST in AEVB_DATA_DIR")
    arguments = ["--dataset", "digits", "--dataset", "mnist", "--samples", "5e4"]
    message = refused(tmp_path, command, *arguments, AEVB_DATA_DIR=data_dir)
    assert "Expected --samples 100000 or more, to choose the step size for mnist" in message


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Results of figures 2 and 4 and of the gradients, with a checkpoint, of 20 000 samples."""
    results = tmp_path_factory.mktemp("whole")
    digits = datasets.load("digits")
    for step_size in STEP_SIZES:
        experiment = figure2_experiment("digits", "aevb", 2, step_size)
        ends = {0: -44.0, 20_000: -20.0 if experiment == CHOSEN else -30.0}
        metrics = {s: dict.fromkeys(experiment.measured, value) for s, value in ends.items()}
        made_up.write_run(results, experiment, metrics, backend=keras.backend.backend())
    folder = results / "runs" / CHOSEN.id
    built = build(CHOSEN, digits)
    save_checkpoint(folder, built, 20_000, 2.0)
    row = {"samples": 0, "num_repeats": 9, "variance": 1.0, "standard_error": 0.1}
    places = itertools.product(variances.PARAMETERS, variances.ESTIMATORS)
    rows = [{**row, "parameters": p, "estimator": e} for p, e in places]
    text = json.dumps({"samples": 20_000, "variances": rows})
    (folder / variances.FILE).write_text(text)
    for command in (FIGURE4, ["report"], ["verify", "--update"], ["verify"]):
        result = invoke(*command, "--results", str(results))
        assert result.exit_code == 0, result.output
    # A page and a picture of a command that trains; they are made here without training.
    (results / "figure2").mkdir()
    shutil.copy(results / "figure4" / "manifold-digits.png", results / "figure2" / "figure2.png")
    (results / "figure2" / "table.md").write_text("# Figure 2\n\n![Curves](figure2.png)\n")
    return results


@pytest.fixture
def results(whole, tmp_path):
    return shutil.copytree(whole, tmp_path, dirs_exist_ok=True)


def named(results, name):
    (path, *_) = [path for path in sorted(results.rglob(name)) if CHOSEN.id in str(path)] or [
        *results.rglob(name)
    ]
    return path


def assert_says_what_to_do(message, path):
    assert message.startswith(f"Error: Expected {path.resolve()} to ")
    assert " Received: " in message
    assert any(words in message for words in ("Restore it", "Delete it", "Use that version"))


TEXTS = {name: command for name, (_, command) in JSON_FILES.items()}
TEXTS |= {"metrics.csv": ["verify"], "table.md": ["report"]}
DAMAGED = [
    (name, kind, command)
    for name, command in TEXTS.items()
    for kind in DAMAGE
    if name != "table.md" or kind == "latin-1"  # any text is a page
]
DAMAGED += [("figure2.png", kind, ["report"]) for kind in ("empty", "truncated", "zeros")]
DAMAGED += [(CHECKPOINT, kind, command) for kind in DAMAGE for command in (FIGURE4, LONGER)]
DAMAGED += [("run.json", "truncated", LONGER), ("metrics.csv", "conflict", FIGURE4)]
DAMAGED += [("digits.json", kind, FIGURE4) for kind in ("conflict", "truncated")]


@pytest.mark.parametrize("name, kind, command", DAMAGED)
def test_a_damaged_file(results, name, kind, command):
    path = named(results, name)
    if name == "digits.json":  # `figure4` has just written its own; this one is of another data set
        path = path.with_name("frey.json")
        shutil.copy(path.with_name(name), path)
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    if name != "digits.json":
        assert_says_what_to_do(refused(results, *command), path)
    else:  # the pictures are already drawn, unchanged
        result = invoke(*command, "--results", str(results))
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
        assert_says_what_to_do(result.output, path)


def entries(shape, place=()):
    """Pairs of the path of each entry of a shape, and whether the entry is required."""
    if isinstance(shape, list):
        yield from entries(shape[0], (*place, 0))
    elif isinstance(shape, dict):
        for key, inner in shape.items():
            if key is not ANY:
                yield (*place, key.removesuffix("?")), not key.endswith("?")
                yield from entries(inner, (*place, key.removesuffix("?")))


VALUES = (1, 0.5, "any", *NAMES, *variances.PARAMETERS, "A", "complete", "2026-01-01")


def example(shape):
    """A value of a shape."""
    if isinstance(shape, list):
        return [example(shape[0])]
    if isinstance(shape, dict):
        names = {"any" if key is ANY else key.removesuffix("?"): key for key in shape}
        return {name: example(shape[key]) for name, key in names.items()}
    return next(value for value in VALUES if shape(value))


ENTRIES = [
    (name, place, change)
    for name, (shape, _) in JSON_FILES.items()
    for place, needed in entries(shape)
    for change in ("lost", "of another type")
    if needed or change != "lost"
]


@pytest.mark.parametrize("name, place, change", ENTRIES)
def test_a_missing_entry_or_one_of_another_type(results, name, place, change):
    path = named(results, name)
    value = inside = example(JSON_FILES[name][0])
    for key in place[:-1]:
        inside = inside[key]
    if change == "lost":
        del inside[place[-1]]
    else:
        inside[place[-1]] = [] if isinstance(inside.get(place[-1]), dict) else {"a": 1}
    path.write_text(json.dumps(value))
    message = refused(results, *JSON_FILES[name][1])
    assert_says_what_to_do(message, path)
    assert place[-1] in message


def rewrite(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


INCONSISTENT = {
    "a new setting": lambda info: info["experiment"].update(warmup=5),
    "a new data set": lambda info: info["experiment"].update(dataset="cifar"),
    "a new algorithm": lambda info: info["experiment"].update(algorithm="iwae"),
    "a new measure": lambda info: info["experiment"].update(measure="fid"),
    "another seed": lambda info: info["experiment"].update(seed=1),
    "other units": lambda info: info["experiment"].update(hidden_units=[5]),
    "more rows": lambda info: info.update(rows=3),
    "fewer images than its name says": lambda info: (
        info["experiment"].update(n_train=60_000),
        info.update(data={"train": 50_000}),
    ),
    "an end without measurements": lambda info: info.update(status="complete", samples=20_100),
}


@pytest.mark.parametrize("command", (["verify"], ["report"], LONGER, FIGURE4))
@pytest.mark.parametrize("kind", INCONSISTENT)
def test_an_inconsistent_record(results, kind, command):
    path = named(results, "run.json")
    rewrite(path, INCONSISTENT[kind])
    message = refused(results, *command)
    assert str(path.parent) in message and " Received: " in message


TABLES = {
    "lost": lambda lines: None,
    "without rows": lambda lines: lines[:1],
    "without its first row": lambda lines: lines[:1] + lines[2:],
    "without its header": lambda lines: lines[1:],
    "with a row twice": lambda lines: [*lines, lines[-1]],
    "with rows in another order": lambda lines: lines[:1] + lines[:0:-1],
    "with a short row": lambda lines: [*lines, "30000,1.0"],
    "with a word": lambda lines: [line.replace("-44.0", "many") for line in lines],
    "with an empty cell": lambda lines: [line.replace("-44.0", "") for line in lines],
    "with another column": lambda lines: [lines[0].replace("test_elbo", "elbo"), *lines[1:]],
    "with a column twice": lambda lines: [lines[0].replace("test", "train"), *lines[1:]],
    "with an open quote": lambda lines: [*lines, '30000,"'],
}


@pytest.mark.parametrize("command", (["verify"], LONGER))
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_metrics(results, kind, command):
    path = named(results, "metrics.csv")
    lines = TABLES[kind](path.read_text().splitlines())
    path.unlink() if lines is None else path.write_text("\n".join(lines) + "\n")
    assert_says_what_to_do(refused(results, *command), path)


@pytest.mark.parametrize("rows", [0, 1])
def test_rows_lost_before_a_checkpoint(results, rows):
    """The run's own record has their number."""
    path = named(results, "metrics.csv")
    rewrite(named(results, "run.json"), lambda info: info.update(rows=2))
    path.write_text("\n".join(path.read_text().splitlines()[: 1 + rows]) + "\n")
    assert_says_what_to_do(refused(results, *LONGER), path)


@pytest.mark.parametrize("lost", ["metrics.csv", "both"])
def test_a_checkpoint_alone(results, lost):
    named(results, "metrics.csv").unlink()
    if lost == "both":
        named(results, "run.json").unlink()
    folder = named(results, CHECKPOINT).parent
    assert_says_what_to_do(refused(results, *LONGER), folder / "metrics.csv")


def test_a_checkpoint_of_another_run(results):
    """It has the same shape, so that only its name differs."""
    path = named(results, CHECKPOINT)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "run": "digits-aevb-z2-another"})
    message = refused(results, *LONGER)
    assert_says_what_to_do(message, path)
    assert "Received: that of digits-aevb-z2-another" in message


def test_a_checkpoint_of_another_shape(results):
    path = named(results, CHECKPOINT)
    other = build(figure2_experiment("digits", "aevb", 5, 0.02), datasets.load("digits"))
    save_checkpoint(path.parent, other, 20_000, 1.0)
    assert_says_what_to_do(refused(results, *LONGER), path)


def test_fresh_starts_a_damaged_run_over(results):
    named(results, "run.json").write_text("{")
    result = invoke(*LONGER[:-1], "100", "--fresh", "--results", str(results))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", (["verify"], ["report"], LONGER))
def test_a_copied_run_folder(results, command):
    folder = named(results, "run.json").parent
    copy = shutil.copytree(folder, folder.with_name(f"{folder.name} (copy)"))
    message = refused(results, *command)
    assert message.startswith(f"Error: Expected {copy} to contain the run that it is named after.")
    assert f"Received: {folder.name}, which was copied or renamed" in message
    assert "Delete it" in message


@pytest.mark.parametrize(
    "name, command",
    [
        ("run.json", ["verify"]),
        ("metrics.csv", ["verify"]),
        (variances.FILE, ["verify"]),
        ("reference.json", ["verify"]),
        ("reference.json", ["verify", "--update"]),
        ("README.md", ["report"]),
        ("figure2.png", ["report"]),
        (CHECKPOINT, FIGURE4),
        ("report.lock", ["report"]),
        (f"{CHOSEN.id}.lock", LONGER),
    ],
)
def test_a_folder_in_the_place_of_a_file(results, name, command):
    if name.endswith(".lock"):
        path = results / name if name == "report.lock" else results / "runs" / name
    else:
        path = named(results, name)
        path.unlink()
    path.mkdir()
    message = refused(results, *command)
    assert str(path) in message and "Received: Is a directory" in message


def test_a_file_in_the_place_of_the_runs(tmp_path):
    (tmp_path / "runs").write_text("mine")
    message = refused(tmp_path, *LONGER)
    assert str(tmp_path / "runs") in message


SMALL = ["--dataset", "digits", "--latent-dim", "2", "--samples", "30000"]


@pytest.mark.parametrize(
    "command",
    [
        LONGER,
        [*LONGER, "--fresh"],
        [*LONGER, "--latent-dim", "5"],  # which would be trained second
        ["figure2", *SMALL, "--algorithm", "wake-sleep", "--algorithm", "aevb"],
        FIGURE4,
        ["figure5", *SMALL],
        ["gradient-variance", *SMALL],
        ["all", "--preset", "smoke"],
    ],
)
def test_another_command_trains_a_run(results, command):
    """One line, before anything is trained, even if other runs would come first."""
    folder = results / "runs" / CHOSEN.id
    with lock.runs([folder]):
        message = refused(results, *command)
    assert message.startswith(f"Error: Expected no other command to train {folder}. Received: ")
    assert f"by process {os.getpid()} on " in message
    assert "--results" in message


def test_another_command_trains_a_run_of_figure_3(tmp_path):
    """The larger training set comes second."""
    folder = tmp_path / "runs" / figure3_experiment("digits", "aevb", 1500, 0.02).id
    with lock.runs([folder]):
        message = refused(tmp_path, "figure3", "--dataset", "digits", "--samples", "1e6")
    assert f"Expected no other command to train {folder}. Received: " in message


@pytest.mark.parametrize(
    "name, command",
    [("report", ["report"]), ("reference", ["verify", "--update"]), ("figure4", FIGURE4)],
)
def test_another_command_writes_for_too_long(results, monkeypatch, name, command):
    monkeypatch.setattr(lock, "SECONDS_FOR_AN_OUTPUT", 0.0)
    with lock.output(results, name):
        message = refused(results, *command)
    path = results / name
    assert message.startswith(f"Error: Expected no other command to write {path}. Received: ")
    assert f"by process {os.getpid()} on " in message


@pytest.mark.parametrize("command", (["report"], ["verify", "--update"], ["verify"], LONGER))
def test_a_run_in_training_does_not_block_other_commands(results, command):
    """Commands that only read it, or train another run, continue."""
    with lock.runs([results / "runs" / figure2_experiment("digits", "aevb", 2, 0.1).id]):
        result = invoke(*command, "--results", str(results))
    assert result.exit_code == 0, result.output


@contextlib.contextmanager
def nobody(folder):
    """A user who may read but not write, since root may write everywhere."""
    folder.chmod(0o555)
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("command", [["report"], ["verify", "--update"], LONGER, FIGURE4])
def test_no_permission_to_write(command, tmp_path_factory):
    # Its parents are accessible only to the user who runs the tests.
    results = tmp_path_factory.mktemp("foreign")
    parents = [p for p in results.parents if p.stat().st_uid == os.geteuid() and p.name]
    modes = {p: p.stat().st_mode for p in parents}
    try:
        for parent in parents:
            parent.chmod(0o755)
        with nobody(results):
            message = refused(results, *command)
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)
    first = {"report": "report.lock", "verify": "reference.lock"}.get(command[0], "runs")
    assert f"Expected to read or write {results / first}. Received: Permission denied." in message


def test_there_are_more_than_120_cases():
    tests = [BAD_OPTIONS, FOLDERS, DAMAGED, ENTRIES, INCONSISTENT, TABLES]
    assert sum(map(len, tests)) > 120
