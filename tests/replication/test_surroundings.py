"""Full disks, read-only folders and other locales."""

import contextlib
import os
import subprocess
import sys

import pytest
from commands import invoke
from made_up import numbers

from replication.measurements import records

TRAINING = ["figure2", "--dataset", "digits", "--latent-dim", "2", "--algorithm", "aevb"]
TRAINING += ["--step-size", "0.02", "--samples", "20000"]


def mount(folder, options):
    call = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(call, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """disk(options): a folder with its own file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with contextlib.ExitStack() as stack:

        def mounted(options):
            if sys.platform != "linux" or not mount(folder, options):
                pytest.skip("needs permission to mount a tmpfs")
            stack.callback(subprocess.run, ["umount", str(folder)], check=True)
            return folder

        yield mounted


@pytest.mark.slow
def test_a_full_disk_prints_one_line_and_training_resumes_when_there_is_space(disk, tmp_path):
    """There is space for one checkpoint of 110 KB, not for a second one."""
    results = disk("size=180k")
    full = invoke(*TRAINING, "--results", results)
    assert full.exit_code == 1
    (message,) = full.stderr.splitlines()
    folder = next((results / "runs").iterdir())
    assert message.startswith(f"Error: Expected to read or write {folder}")
    assert "Received: No space left on device. Free disk space and run the same command" in message
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint.npz", "metrics.csv", "run.json"]
    kept = records.read_run(folder).info["samples"]
    assert 0 < kept < 20_000

    subprocess.run(["mount", "-o", "remount,size=4m", str(results)], check=True)
    continued = invoke(*TRAINING, "--results", results)
    assert continued.exit_code == 0, continued.stderr
    run, other = records.read_run(folder), tmp_path / "other"
    assert [s["samples_from"] for s in run.info["sessions"]] == [0, kept]
    assert invoke(*TRAINING, "--results", other).exit_code == 0
    expected = records.read_run(other / "runs" / folder.name)
    assert numbers(run) == numbers(expected)


@pytest.mark.parametrize(
    "first, arguments",
    [
        ("runs", TRAINING),
        ("report.lock", ["report"]),
        ("reference.lock", ["verify", "--update"]),
        pytest.param("runs", ["all", "--preset", "smoke"], marks=pytest.mark.slow),
    ],
)
def test_a_read_only_folder_prints_one_line(disk, first, arguments):
    results = disk("ro")
    result = invoke(*arguments, "--results", results)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: Expected to read or write {results / first}. Received: Read-only file "
        "system. Choose another folder and run the same command again: saved results "
        "are still there\n"
    )


@pytest.mark.slow
def test_a_locale_without_special_characters(tmp_path):
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    results = tmp_path / "Größe"
    for arguments in (TRAINING, ["report"], ["verify", "--update"], ["verify"]):
        result = subprocess.run(
            [sys.executable, "-m", "replication", *arguments, "--results", str(results)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **locale},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        assert result.returncode == 0, result.stderr
    assert "±" in (results / "README.md").read_text(encoding="utf-8")
