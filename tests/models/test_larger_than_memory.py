"""Training on 20 GiB on disk with 2 GiB of memory, and validation of large arrays in parts."""

import subprocess
import sys

import numpy as np
import pytest

from keras_aevb.training import inputs

PROGRAM = """
import re, sys, threading, time
import keras, numpy as np
import keras_aevb as kv

kind, path = sys.argv[1:]
peak = [0]

def watch():
    while True:
        status = open("/proc/self/status").read()
        peak[0] = max(peak[0], int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]))
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
dtype, size = ("uint8", 1) if kind == "bytes" else ("float32", 4)
x = np.memmap(path, dtype, "w+", shape=(20 * 2**30 // (784 * size), 784))  # sparse: zeros
x[::100_000] = 1

class Batches(keras.utils.PyDataset):
    def __len__(self):
        return len(x) // 100

    def __getitem__(self, i):
        return (x[i * 100 : (i + 1) * 100],)

model = kv.AEVB(**kv.networks.bernoulli_mlp(784, 20, seed=0), seed=0)
model.compile("adam", steps_per_execution=10)
data, how = (Batches(workers=2), {}) if kind == "PyDataset" else (x, {"batch_size": 100})
history = model.fit(data, steps_per_epoch=50, epochs=2, verbose=0, **how).history
assert np.isfinite(history["elbo"]).all()
print(peak[0] / 2**20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["array", "bytes", "PyDataset"])
def test_20_gib_on_disk_in_2_gib_of_memory(kind, tmp_path):
    """The limit is for the process's own memory: the system can reclaim the file's pages."""
    program = [sys.executable, "-c", PROGRAM, kind, str(tmp_path / "x.bin")]
    outcome = subprocess.run(program, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    assert float(outcome.stdout.split()[-1]) < 2


def test_every_part_of_a_large_array_is_checked(make_model, monkeypatch):
    monkeypatch.setattr(inputs, "PART_BYTES", 100)
    model = make_model()
    model.compile()
    x = np.full((40, 6), 1, "uint8")
    expected = model.elbo(x, batch_size=40, seed=0)
    assert inputs.check_in_parts(x, model.likelihood) == 40
    parts = list(inputs.parts(x, "float32"))
    assert {p.dtype.name for p in parts} == {"float32"} and len(parts) == 3
    np.testing.assert_array_equal(np.concatenate(parts), x)
    np.testing.assert_array_equal(model.elbo(x.astype("float32"), batch_size=40, seed=0), expected)
    x[-1, -1] = 2
    with pytest.raises(ValueError, match=r"\[0, 1\].*2\.0"):
        model.fit(x, verbose=0)
