"""Reading of run folders."""

import json
import shutil

import made_up
import pytest

from replication.errors import ReplicationError
from replication.measurements import records
from replication.measurements.records import read_run, read_runs
from replication.plan.experiment import Experiment

EXPERIMENT = Experiment("digits", "aevb", 2, 0.01)


def test_a_run_is_read_back(tmp_path, monkeypatch):
    first, last = (dict.fromkeys(EXPERIMENT.measured, value) for value in (-44.0, -30.0))
    made_up.write_run(tmp_path, EXPERIMENT, {0: first, 100: last | {"test_more": 1.0}})
    (run,) = read_runs(tmp_path)
    assert run.experiment == EXPERIMENT
    assert made_up.numbers(run) == [
        {"samples": 0, **first},
        {"samples": 100, **last, "test_more": 1.0},
    ]
    monkeypatch.chdir(tmp_path / "runs" / EXPERIMENT.id)
    assert read_run(".") == run


def test_a_folder_with_a_run_of_other_settings_is_refused(tmp_path):
    """For example, its `run.json` is older and lacks a setting whose default has changed since."""
    made_up.write_run(tmp_path, EXPERIMENT, {0: {"test_elbo": -44.0}})
    folder = tmp_path / "runs" / EXPERIMENT.id
    folder = folder.rename(folder.with_name("digits-aevb-z2-00000000"))
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "id": folder.name}))
    expected = rf"named after\. Received: {EXPERIMENT.id}, so its settings were changed"
    with pytest.raises(ReplicationError, match=expected):
        read_runs(tmp_path)


@pytest.mark.parametrize("again", [True, False])
def test_a_run_that_another_command_starts_over_while_it_is_read(tmp_path, monkeypatch, again):
    """A run that changes between the reads of its two files is read again, or left out if gone."""
    ends = {s: dict.fromkeys(EXPERIMENT.measured, -44.0) for s in (0, 100)}
    made_up.write_run(tmp_path, EXPERIMENT, ends)
    read = records.read_metrics

    def start_over(folder):
        monkeypatch.setattr(records, "read_metrics", read)
        shutil.rmtree(folder)
        if again:
            made_up.write_run(tmp_path, EXPERIMENT, {0: ends[0]})
        return read(folder)

    monkeypatch.setattr(records, "read_metrics", start_over)
    runs = read_runs(tmp_path)
    assert [[row["samples"] for row in run.rows] for run in runs] == ([[0]] if again else [])
