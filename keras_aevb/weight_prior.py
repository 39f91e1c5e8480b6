"""The prior over weights that MAP estimation adds to the loss."""

import keras
from keras import ops

from keras_aevb import arguments
from keras_aevb.distributions.precision import at_least_float32
from keras_aevb.typing import Config, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class WeightPrior(keras.regularizers.Regularizer):
    r"""The prior p(W) = N(0, I) as a penalty on the mean loss, without its constant.

    $$-\frac1N \log p(W) = \frac{1}{2N} \sum_{ij} W_{ij}^2 + \mathrm{const}$$

    in nats for each training example. A minibatch of M examples takes the share M/N of the prior,
    so its mean loss takes 1/N. The value equals `keras.regularizers.L2(0.5 / n_train)`, at lower
    cost.

    Args:
        n_train: number of training examples N.

    Call arguments:
        weights: tensor of any shape with at least one axis.

    Returns:
        The penalty, a scalar in the weights' precision, but at least float32.

    Raises:
        ValueError: if `n_train` is not a positive number that float32 can hold.

    Reference: Kingma & Welling (2013), sec. 5, the weight decay of its MAP estimates.

    Example:
        >>> import numpy as np
        >>> float(WeightPrior(n_train=50)(np.ones((5, 4), "float32")))
        0.19999998807907104
    """

    def __init__(self, n_train: float) -> None:
        self.n_train = float(arguments.number("n_train", n_train))

    def __call__(self, weights: Tensor) -> Tensor:
        weights = ops.convert_to_tensor(weights)
        dtype = keras.backend.standardize_dtype(weights.dtype)
        weights = ops.cast(weights, at_least_float32(dtype))
        # On a CPU, XLA vectorises a sum over columns, but not a sum over all elements. The factor
        # between the two sums keeps XLA from fusing them.
        return ops.sum(0.5 / self.n_train * ops.sum(ops.square(weights), axis=0))

    def get_config(self) -> Config:
        return {"n_train": self.n_train}
