"""Run folders that are read back."""

import made_up
import pytest

from replication.errors import ReplicationError
from replication.experiment import Experiment
from replication.records import read_run, read_runs

EXPERIMENT = Experiment("digits", "aevb", 2, 0.01)


def test_a_run_is_read_back(tmp_path, monkeypatch):
    made_up.write_run(tmp_path, EXPERIMENT, {0: {"test_elbo": -44.0}, 100: {"test_elbo": -30.0}})
    (run,) = read_runs(tmp_path)
    assert run.experiment == EXPERIMENT
    assert [(p.samples, p.metrics) for p in run.points] == [
        (0, {"test_elbo": -44.0}),
        (100, {"test_elbo": -30.0}),
    ]
    monkeypatch.chdir(tmp_path / "runs" / EXPERIMENT.id)
    assert read_run(".") == run


def test_a_folder_with_a_run_of_other_settings_is_refused(tmp_path):
    """As one of a version with other defaults, whose settings left them out."""
    made_up.write_run(tmp_path, EXPERIMENT, {0: {"test_elbo": -44.0}})
    folder = tmp_path / "runs" / EXPERIMENT.id
    folder = folder.rename(folder.with_name("digits-aevb-z2-00000000"))
    with pytest.raises(ReplicationError, match=rf"named after. Found {EXPERIMENT.id}: it comes"):
        read_runs(tmp_path)
