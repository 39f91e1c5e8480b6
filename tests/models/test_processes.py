"""Two processes on one machine train, evaluate and predict like one.

`tf.distribute.MultiWorkerMirroredStrategy` and `jax.distributed`, with one device in each process.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from several_devices import PARTS, environment

from keras_aevb.models import weight_posterior

BACKEND = keras.backend.backend()

SETUP = {
    "jax": """
import sys, keras
keras.distribution.initialize("127.0.0.1:" + sys.argv[1], 2, int(sys.argv[3]))
def on_several_devices():
    return keras.distribution.DataParallel(auto_shard_dataset=False).scope()
def with_sharded_weights():
    mesh = keras.distribution.DeviceMesh((1, 2), ["batch", "model"])
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*dense.*/kernel"] = (None, "model")
    return keras.distribution.ModelParallel(layout_map=layouts, auto_shard_dataset=False).scope()
""",
    "tensorflow": """
import json, os, sys
workers = ["127.0.0.1:" + port for port in sys.argv[1:3]]
task = {"type": "worker", "index": int(sys.argv[3])}
os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before any other operation
def on_several_devices():
    return strategy.scope()
""",
}[BACKEND]
ARGUMENTS = "process, folder = int(sys.argv[3]), sys.argv[4]\n"


def free_ports():
    """Two free ports; another process may take them before they are used."""
    with socket.socket() as a, socket.socket() as b:
        for s in (a, b):
            s.bind(("127.0.0.1", 0))
        return [str(s.getsockname()[1]) for s in (a, b)]


def run_two(program, folder, timeout=900):
    """Runs a program in two processes; returns their exit codes and error outputs."""
    command = [sys.executable, "-c", SETUP + PARTS + ARGUMENTS + program, *free_ports()]
    variables = environment(CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")
    processes = [
        subprocess.Popen(
            [*command, str(i), str(folder)], env=variables, stderr=subprocess.PIPE, text=True
        )
        for i in range(2)
    ]
    try:
        errors = [process.communicate(timeout=timeout)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes], errors


def in_two_processes(program, folder):
    """The `results` of both processes, which must be equal."""
    write = "json.dump(results, open(f'{folder}/results{process}.json', 'w'))\n"
    codes, errors = run_two(program + write, folder)
    assert codes == [0, 0], "\n\n".join(error[-3000:] for error in errors)
    first, second = (json.loads((folder / f"results{i}.json").read_text()) for i in range(2))
    assert first == second
    return first


@pytest.fixture(scope="module")
def parts():
    """The namespace of the program, run in this process on one device."""
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weight_posterior, "diagonal_normal", None)  # restored after the tests
        exec(PARTS, names)
        yield names


def check_equal(several, one):
    for actual, desired in zip(several, one, strict=True):
        # float32 sums in another order, over some ten steps
        np.testing.assert_allclose(actual, desired, rtol=2e-5, atol=1e-6)


ALL = [
    "AEVB",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("WakeSleep", "FullVB")),
    *([pytest.param("MonteCarloEM", marks=pytest.mark.slow)] if BACKEND == "jax" else []),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_two_processes_equal_one(name, parts, tmp_path):
    # 33 examples in batches of 16: the last batch leaves a process without an example.
    program = f"results = run(on_several_devices(), 33, 16, {name!r})\n"
    one = parts["run"](contextlib.nullcontext(), 33, 16, name)
    check_equal(in_two_processes(program, tmp_path), one)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="Keras shards weights only on jax")
def test_weights_in_two_processes(parts, tmp_path):
    """Each process holds half of a kernel's columns. The test compares outputs, not
    weights: `get_weights` and `save` need whole kernels in one process.
    """
    program = """
with with_sharded_weights():
    model = build(kv.AEVB)
    assert num_sharded(model)
    fitted = model.fit(X, batch_size=16, epochs=2, verbose=0).history
    results = [list(fitted.values()), model.evaluate(X, verbose=0)]
    results.append(model.predict(X, verbose=0).tolist())
"""
    model = parts["build"](parts["kv"].AEVB)
    x = parts["X"]
    history = model.fit(x, batch_size=16, epochs=2, verbose=0).history
    one = [list(history.values()), model.evaluate(x, verbose=0), model.predict(x, verbose=0)]
    check_equal(in_two_processes(program, tmp_path), one)


@pytest.mark.slow
def test_noise_and_data_of_two_processes(parts, tmp_path):
    """On jax the noise equals that of one device; under a strategy each replica has its own.

    Both processes refuse arrays that differ between them.
    """
    program = """
def plain(seed=0):
    keras.utils.set_random_seed(1)
    model = kv.AEVB(**kv.networks.bernoulli_mlp(12, latent_dim=2, hidden_units=4), seed=seed)
    model.compile(keras.optimizers.SGD(0.01))
    return model

def refused(call):
    try:
        call()
    except ValueError as error:
        return "same batches" in str(error)

with on_several_devices():
    model = plain()
    results = [list(model.fit(X, batch_size=16, verbose=0).history.values())]
    if keras.backend.backend() == "tensorflow":
        from keras_aevb import _backend

        def draws():  # the number that each replica draws, at the replica's index
            i = tf.distribute.get_replica_context().replica_id_in_sync_group
            drawn = tf.random.stateless_uniform([], _backend.next_seed(model.seed_generator))
            return _backend.sum_over_replicas(tf.one_hot(i, 2, drawn, 0.0))

        numbers = strategy.run(draws)
        results.append(len({*numbers.numpy().tolist()}) == 2)
    else:
        results.append(True)
    results.append(refused(lambda: plain().fit(X[process:], verbose=0)))
"""
    history, differs, is_refused = in_two_processes(program, tmp_path)
    assert differs
    assert is_refused
    if BACKEND == "jax":
        names = {}
        exec(PARTS + program.split("with on_several_devices")[0], names)
        one = names["plain"]().fit(names["X"], batch_size=16, verbose=0).history
        check_equal(history, list(one.values()))


KILLED = """
import os
class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if process == 1 and epoch == 2:
            os.kill(os.getpid(), 9)

with on_several_devices():
    model = build(kv.AEVB)
    backup = keras.callbacks.BackupAndRestore(folder + "/backup", double_checkpoint=True)
    history = model.fit(X, batch_size=16, epochs=4, verbose=0, callbacks=[backup, KILL])
results = [weight.tolist() for weight in model.get_weights()], history.epoch
"""


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_training_resumes(parts, tmp_path):
    """Only the first process writes the backup; the resumed result equals that of one process."""
    codes, errors = run_two(KILLED.replace("KILL]", "Kill()]"), tmp_path)
    assert codes[1] == -signal.SIGKILL, errors[1][-3000:]
    assert codes[0] not in (0, -signal.SIGKILL), errors[0][-3000:]
    reason = {"jax": "another task died|by peer", "tensorflow": "Unavailable"}
    assert any(word in errors[0] for word in reason[BACKEND].split("|")), errors[0][-3000:]
    weights, epochs = in_two_processes(KILLED.replace(", KILL]", "]"), tmp_path)
    assert epochs == [2, 3]
    model = parts["build"](parts["kv"].AEVB)
    model.fit(parts["X"], batch_size=16, epochs=4, verbose=0)
    check_equal(weights, model.get_weights())
    assert not (tmp_path / "backup").exists()
