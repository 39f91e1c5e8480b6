"""A resumed run is the uninterrupted run, to the last bit."""

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

import keras_aevb as kv

ROOT = Path(__file__).parents[2]
ALGORITHMS = [kv.AEVB, kv.WakeSleep, kv.FullVB, kv.MonteCarloEM]
X = np.random.default_rng(0).random((23, 6), dtype="float32")
SETTINGS = {"batch_size": 5, "epochs": 4, "verbose": 0}


def build(algorithm, seed=0):
    """With dropout, whose noise Keras does not save."""
    keras.utils.set_random_seed(1)
    dropout = keras.layers.Dropout(0.2, seed=3)
    parts = {
        "decoder": keras.Sequential([keras.layers.Dense(4, "tanh"), dropout]),
        "likelihood": kv.Bernoulli(6),
        "prior": kv.StandardNormal(2),
    }
    if algorithm is not kv.MonteCarloEM:
        parts["encoder"] = keras.Sequential([keras.layers.Dense(5, "tanh")])
        parts["posterior"] = kv.DiagonalNormal(2)
    model = algorithm(**parts, seed=seed)
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=2)
    return model


def assert_same_state(model, other):
    """Weights, chains, noise, and the optimizer: the same program on the same numbers."""
    ours = [*model.weights, *model.optimizer.variables, model.seed_generator.state]
    theirs = [*other.weights, *other.optimizer.variables, other.seed_generator.state]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=a.path)


class KilledError(Exception):
    pass


class Kill(keras.callbacks.Callback):
    """Ends training in epoch 2, after some batches."""

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 2 and batch == 3:
            raise KilledError

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_backup_and_restore(seed, algorithm, tmp_path):
    models = [build(algorithm, seed) for _ in range(3)]
    for model in models:
        model.seed_generator.state.assign(models[0].seed_generator.state.numpy())
    whole, killed, resumed = models
    whole.fit(X, **SETTINGS)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KilledError):
        killed.fit(X, **SETTINGS, callbacks=[backup(), Kill()])
    if seed is None:
        resumed.seed_generator.state.assign(np.array([7, 7]))  # as another process has it
    history = resumed.fit(X, **SETTINGS, callbacks=[backup()])
    assert history.epoch == [2, 3]
    assert_same_state(resumed, whole)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_save_load_and_go_on(algorithm, tmp_path):
    whole, first = build(algorithm), build(algorithm)
    whole.fit(X, **SETTINGS)
    first.fit(X, **{**SETTINGS, "epochs": 2})
    first.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.fit(X, **SETTINGS, initial_epoch=2)
    assert_same_state(loaded, whole)


@pytest.mark.parametrize("left", ['{"epoch": 2, "batch": 0}', "", '{"epo'])
def test_a_kill_between_the_two_files_of_a_backup(left, tmp_path):
    """The weights are those of epoch 3; the callback's own file is older, or damaged."""
    whole, killed, resumed = (build(kv.AEVB) for _ in range(3))
    whole.fit(X, **SETTINGS)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    killed.fit(X, **{**SETTINGS, "epochs": 3}, callbacks=[backup])
    (tmp_path / "training_metadata.json").write_text(left)
    resumed.fit(X, **SETTINGS, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)])
    assert_same_state(resumed, whole)


def test_a_kill_while_the_weights_are_written(tmp_path):
    """The backup before that is taken, if there is one."""
    whole, killed, resumed = (build(kv.AEVB) for _ in range(3))
    whole.fit(X, **SETTINGS)

    def backup():
        settings = {"double_checkpoint": True, "delete_checkpoint": False}
        return keras.callbacks.BackupAndRestore(tmp_path, **settings)

    killed.fit(X, **{**SETTINGS, "epochs": 3}, callbacks=[backup()])
    path = tmp_path / "latest.weights.h5"
    path.write_bytes(path.read_bytes()[:-3000])
    history = resumed.fit(X, **SETTINGS, callbacks=[backup()])
    assert history.epoch == [2, 3]
    assert_same_state(resumed, whole)


def test_another_fit_starts_from_its_own_initial_epoch(tmp_path):
    model = build(kv.AEVB)
    backup = keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model.fit(X, **SETTINGS, callbacks=[backup])
    resumed = model.fit(X, **{**SETTINGS, "epochs": 5}, callbacks=[backup])
    assert resumed.epoch == [4]
    assert model.fit(X, **SETTINGS).epoch == [0, 1, 2, 3]


def test_files_without_the_state_of_the_noise_load(tmp_path):
    """As files of versions before 0.1.0, whose layers have their variables alone."""
    model, other = build(kv.AEVB), build(kv.AEVB)
    store = {}
    keras.Model.save_own_variables(model, store)
    other.load_own_variables(store)
    np.testing.assert_array_equal(other.elbo(X, seed=0), model.elbo(X, seed=0))


# kill -9

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import keras, numpy as np
from test_resume import X, build, kv

model = build(getattr(kv, {algorithm!r}))
backup = keras.callbacks.BackupAndRestore(sys.argv[1], double_checkpoint=True)
log = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, flush=True))
model.fit(X, batch_size=5, epochs=40, verbose=0, callbacks=[backup, log])
states = [*model.weights, *model.optimizer.variables, model.seed_generator.state]
np.savez(sys.argv[2], *map(np.asarray, states))
"""


def start(algorithm, *arguments):
    program = PROGRAM.format(tests=str(Path(__file__).parent), algorithm=algorithm.__name__)
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_five_kills_change_no_bit(algorithm, tmp_path):
    """At random moments, of writing backups too; forty over algorithms and backends."""
    rng = random.Random(algorithm.__name__)
    for kill in range(5):
        process = start(algorithm, tmp_path / "backup", tmp_path / "killed.npz")
        process.stdout.readline()  # an epoch is done
        time.sleep(rng.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it had ended before kill {kill}"
    last = start(algorithm, tmp_path / "backup", tmp_path / "killed.npz")
    _, errors = last.communicate()
    assert last.returncode == 0, errors[-2000:]
    whole = start(algorithm, tmp_path / "other", tmp_path / "whole.npz")
    assert whole.wait() == 0
    with np.load(tmp_path / "killed.npz") as killed, np.load(tmp_path / "whole.npz") as expected:
        assert len(killed.files) == len(expected.files) > 5
        for name in expected.files:
            np.testing.assert_array_equal(killed[name], expected[name])
