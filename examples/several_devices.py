"""One script for one device, several of one machine, and several machines.

    python examples/several_devices.py

uses all devices of this machine. To start several processes, set the environment variables listed
in docs/scaling.md. `batch_size` is the global batch size. Every process reads the same data and
makes the same calls. The first process saves the backup from which all resume.
"""

import os

import keras
from sklearn.datasets import load_digits

import keras_aevb as kv


def all_devices():
    """The scope of a distribution over all devices, and this process's number."""
    if keras.backend.backend() == "jax":
        if {"KERAS_DISTRIBUTION_NUM_PROCESSES", "SLURM_STEP_NODELIST"} & {*os.environ}:
            keras.distribution.initialize()
        import jax

        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        return distribution.scope(), jax.process_index()
    import tensorflow as tf

    if "TF_CONFIG" not in os.environ:
        return tf.distribute.MirroredStrategy().scope(), 0
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return strategy.scope(), strategy.cluster_resolver.task_id


def main(epochs=50, folder=None):
    x = (load_digits().data / 16).astype("float32")
    scope, process = all_devices()
    with scope:
        keras.utils.set_random_seed(0)  # the same initial weights in every process
        model = kv.AEVB(**kv.networks.bernoulli_mlp(64, latent_dim=6, hidden_units=64), seed=0)
        model.compile(keras.optimizers.Adam(0.003))
        callbacks = []
        if folder is not None:  # shared by all processes
            backup = keras.callbacks.BackupAndRestore(f"{folder}/backup", double_checkpoint=True)
            callbacks.append(backup)
        model.fit(x[:1500], epochs=epochs, batch_size=100, verbose=0, callbacks=callbacks)
        results = model.evaluate(x[1500:], verbose=0, return_dict=True)
        if folder is not None:  # every process must save, to take part in reading the weights
            model.save(f"{folder}/model_of_process_{process}.keras")
    return results


if __name__ == "__main__":
    print(main(folder="several_devices"))
