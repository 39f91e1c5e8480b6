"""A resumed run equals an uninterrupted one, to the last bit."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import (
    CASES,
    X,
    assert_equal,
    case_name,
    set_state,
    state,
)

ROOT = Path(__file__).parents[2]
every_case = pytest.mark.parametrize("case", CASES, ids=case_name)
SETTINGS = {"batch_size": 2, "epochs": 4, "verbose": 0}  # five batches, in three executions
AEVB = CASES[0]


def build(case, seed=0):
    model = case.build(seed, compiled=False)
    case.compile(model, steps_per_execution=2)
    return model


class KilledError(Exception):
    pass


class Kill(keras.callbacks.Callback):
    """Ends training in epoch 2, after some batches."""

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 2:
            raise KilledError

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


@functools.cache
def uninterrupted(case):
    """A model, its initial state, and its state after four epochs."""
    model = build(case)
    start = state(model)
    model.fit(X, **SETTINGS)
    return model, start, state(model)


def from_the_start(case):
    """The model in its initial state, and the expected final state."""
    model, start, expected = uninterrupted(case)
    set_state(model, start)
    return model, expected


@every_case
@pytest.mark.parametrize("seed", [0, None])
def test_backup_and_restore(seed, case, tmp_path):
    """Without a seed, the new model has other seed states, which the backup replaces."""
    killed, expected = from_the_start(case)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KilledError):
        killed.fit(X, **SETTINGS, callbacks=[backup(), Kill()])
    resumed = build(case, seed)
    history = resumed.fit(X, **SETTINGS, callbacks=[backup()])
    assert history.epoch == [2, 3]
    assert_equal(state(resumed), expected)


@every_case
def test_save_load_and_continue(case, tmp_path):
    """The loaded model has the same config, state, outputs and further training."""
    model, expected = from_the_start(case)
    model.fit(X, **{**SETTINGS, "epochs": 2})
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is case.algorithm
    assert loaded.seed == model.seed == 0
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert_equal(state(loaded), state(model))
    actual, desired = case.outputs(loaded, X), case.outputs(model, X)
    for name, values in desired.items():
        np.testing.assert_array_equal(actual[name], values)
    loaded.fit(X, **SETTINGS, initial_epoch=2)
    assert_equal(state(loaded), expected)


@pytest.mark.parametrize("left", ['{"epoch": 2, "batch": 0}', "", '{"epo'])
def test_a_kill_between_the_two_files_of_a_backup(left, tmp_path):
    """The weights are those of epoch 3; the callback's own file is older, or damaged."""
    (killed, expected), resumed = from_the_start(AEVB), build(AEVB)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    killed.fit(X, **{**SETTINGS, "epochs": 3}, callbacks=[backup])
    (tmp_path / "training_metadata.json").write_text(left)
    resumed.fit(X, **SETTINGS, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert_equal(state(resumed), expected)


def test_a_kill_while_the_weights_are_written(tmp_path):
    """The previous backup is used, if there is one."""
    (killed, expected), resumed = from_the_start(AEVB), build(AEVB)

    def backup():
        settings = {"double_checkpoint": True, "delete_checkpoint": False}
        return keras.callbacks.BackupAndRestore(tmp_path, **settings)

    killed.fit(X, **{**SETTINGS, "epochs": 3}, callbacks=[backup()])
    path = tmp_path / "latest.weights.h5"
    path.write_bytes(path.read_bytes()[:-3000])
    history = resumed.fit(X, **SETTINGS, callbacks=[backup()])
    assert history.epoch == [2, 3]
    assert_equal(state(resumed), expected)


def test_another_fit_starts_from_its_own_initial_epoch(tmp_path):
    model, _ = from_the_start(AEVB)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model.fit(X, **SETTINGS, callbacks=[backup])
    resumed = model.fit(X, **{**SETTINGS, "epochs": 5}, callbacks=[backup])
    assert resumed.epoch == [4]
    assert model.fit(X, **SETTINGS).epoch == [0, 1, 2, 3]


class Load(keras.callbacks.Callback):
    """Loads weights when training begins."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        self.model.load_weights(self.path)


@pytest.mark.parametrize("how", ["load_weights", "load_model", "callback"])
def test_a_loaded_model_without_a_backup_trains_all_epochs(how, tmp_path):
    trained, model = build(AEVB), build(AEVB)
    trained.fit(X, **SETTINGS)
    callbacks = [keras.callbacks.BackupAndRestore(tmp_path / "new")]
    weights = tmp_path / "trained.weights.h5"
    trained.save_weights(weights)
    if how == "load_weights":
        model.load_weights(weights)
    elif how == "load_model":
        trained.save(tmp_path / "trained.keras")
        model = keras.saving.load_model(tmp_path / "trained.keras")
    else:
        callbacks.append(Load(weights))
    assert model.fit(X, **SETTINGS, callbacks=callbacks).epoch == [0, 1, 2, 3]
    model.fit(X, **SETTINGS)
    assert model.fit(X, **SETTINGS, callbacks=callbacks).epoch == [0, 1, 2, 3]


@pytest.mark.slow
def test_files_without_seed_states_load(tmp_path):
    """Files that `keras.Model` saved, which has no seed states."""
    model, other = build(AEVB), build(AEVB)
    store = {}
    keras.Model.save_own_variables(model, store)
    other.load_own_variables(store)
    np.testing.assert_array_equal(other.elbo(X, seed=0), model.elbo(X, seed=0))


# kill -9

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import keras, numpy as np
from test_resume import CASES, X, build

model = build(CASES[{number}])
backup = keras.callbacks.BackupAndRestore(sys.argv[1], double_checkpoint=True)
log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, flush=True))
model.fit(X, batch_size=2, epochs=40, verbose=0, callbacks=[backup, log])
states = [*model.weights, *model.optimizer.variables, model.seed_generator.state]
np.savez(sys.argv[2], *map(np.asarray, states))
"""


def start(case, *arguments):
    program = PROGRAM.format(tests=str(Path(__file__).parent), number=CASES.index(case))
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@every_case
def test_five_kills_change_no_bit(case, tmp_path):
    """Kills come at random moments, also during backups: 50 for 5 algorithms and 2 backends."""
    rng = random.Random(case.__name__)
    for kill in range(5):
        process = start(case, tmp_path / "backup", tmp_path / "killed.npz")
        process.stdout.readline()  # one epoch is finished
        time.sleep(rng.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it had ended before kill {kill}"
    last = start(case, tmp_path / "backup", tmp_path / "killed.npz")
    _, errors = last.communicate()
    assert last.returncode == 0, errors[-2000:]
    whole = start(case, tmp_path / "other", tmp_path / "whole.npz")
    assert whole.wait() == 0
    with np.load(tmp_path / "killed.npz") as killed, np.load(tmp_path / "whole.npz") as expected:
        assert len(killed.files) == len(expected.files) > 5
        for name in expected.files:
            np.testing.assert_array_equal(killed[name], expected[name])
