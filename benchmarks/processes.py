"""Two processes on the two cores of one machine, against one process on one of them.

    KERAS_BACKEND=jax python benchmarks/processes.py

prints, for several batch sizes, milliseconds of a step of the paper's MNIST model with N_z = 20
(815 824 weights) in one process, and in two that share each batch over the loopback interface. Each
process runs on its own core. Each number is from the fastest of ten epochs of five steps.
"""

import json
import os
import socket
import subprocess
import sys
import time

BATCH_SIZES = (100, 400, 1600)
STEPS = 5


def worker(num_processes, process, ports):
    """Trains and prints milliseconds of a step for each batch size."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[process]})
    if num_processes > 1 and os.environ["KERAS_BACKEND"] == "tensorflow":
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        task = {"type": "worker", "index": process}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    import contextlib

    import keras
    import numpy as np

    import keras_aevb as kv

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.start)

    scope = contextlib.nullcontext()
    if num_processes > 1 and keras.backend.backend() == "jax":
        keras.distribution.initialize(f"127.0.0.1:{ports[0]}", num_processes, process)
        scope = keras.distribution.DataParallel(auto_shard_dataset=False).scope()
    elif num_processes > 1:
        import tensorflow as tf

        scope = tf.distribute.MultiWorkerMirroredStrategy().scope()
    with scope:
        for batch_size in BATCH_SIZES:
            seconds = []
            keras.utils.set_random_seed(0)
            model = kv.AEVB(**kv.networks.bernoulli_mlp(784, latent_dim=20), seed=0)
            model.compile("adagrad", steps_per_execution=STEPS)
            x = np.random.default_rng(0).random((STEPS * batch_size, 784), dtype="float32")
            model.fit(x, batch_size=batch_size, epochs=11, verbose=0, callbacks=[Clock()])
            if process == 0:
                print("STEP", batch_size, 1000 * min(seconds[1:]) / STEPS, flush=True)


def milliseconds(num_processes):
    """A dict from batch sizes to the time of a step."""
    with socket.socket() as a, socket.socket() as b:
        for s in (a, b):
            s.bind(("127.0.0.1", 0))
        ports = [str(s.getsockname()[1]) for s in (a, b)]
    command = [sys.executable, __file__, str(num_processes)]
    first, *others = [
        subprocess.Popen([*command, str(i), *ports], stdout=subprocess.PIPE, text=True)
        for i in range(num_processes)
    ]
    lines = first.communicate()[0].splitlines()
    for other in others:
        other.communicate()
    steps = [line.split()[1:] for line in lines if line.startswith("STEP")]
    return {int(batch_size): float(value) for batch_size, value in steps}


def main():
    one, two = milliseconds(1), milliseconds(2)
    print("| batch | one process, ms | two processes, ms | speed-up |\n|---:|---:|---:|---:|")
    for size in BATCH_SIZES:
        print(f"| {size} | {one[size]:.1f} | {two[size]:.1f} | {one[size] / two[size]:.2f} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        worker(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    else:
        main()
