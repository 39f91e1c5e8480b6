"""TensorFlow: TFP's distributions, with faster sampling within XLA.

TFP hashes the seed with the generator itself, and on a CPU XLA evaluates that hash again for every
element. Here the seed's 64 bits are the key: Philox is designed for keys that differ in one bit. As
in TFP, a seed gives different numbers inside and outside XLA.
"""

from typing import Any

import tensorflow as tf

from keras_aevb._backend.tensorflow import tfd, tfp


class Normal(tfd.Normal):
    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        noise = tf.raw_ops.StatelessRandomNormalV2(
            **_philox_arguments(self, n, seed), dtype=self.dtype
        )
        return self.loc + self.scale * noise


class Bernoulli(tfd.Bernoulli):
    def _sample_n(self, n: Any, seed: Any = None) -> tf.Tensor:
        probabilities = self.probs_parameter()
        noise = tf.raw_ops.StatelessRandomUniformV2(
            **_philox_arguments(self, n, seed), dtype=probabilities.dtype
        )
        return tf.cast(noise < probabilities, self.dtype)


def _philox_arguments(distribution: Any, n: Any, seed: Any) -> dict[str, Any]:
    """Arguments of a random operation for n draws; accepts any TFP seed."""
    return {
        "shape": tf.concat([[n], distribution.batch_shape_tensor()], 0),
        "key": tf.reshape(tf.bitcast(tfp.random.sanitize_seed(seed), tf.uint64), [1]),
        "counter": tf.zeros(2, tf.uint64),
        "alg": tf.random.Algorithm.PHILOX.value,
    }
