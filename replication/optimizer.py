"""The paper's optimizer."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="replication")
class Adagrad(keras.optimizers.Adagrad):
    r"""Adagrad that starts from nothing and looks before it moves.

    $$G \leftarrow G + g^2, \qquad w \leftarrow w - α \, g / \sqrt{G + 10^{-8}}$$

    with G = 0 at first, and without the second assignment in the first `accumulate_only` steps:
    from G = 0 the first step would have length α in every coordinate, however small the gradient.

    Args:
        learning_rate: global step size α.
        accumulate_only: number of first steps in which the weights stay.

    Reference: Duchi, Hazan & Singer (2010); the settings are those of the authors' own code.
    """

    def __init__(self, learning_rate=0.01, accumulate_only=100, **kwargs):
        kwargs = {"initial_accumulator_value": 0.0, "epsilon": 1e-8, **kwargs}
        super().__init__(learning_rate, **kwargs)
        self.accumulate_only = accumulate_only

    def update_step(self, gradient, variable, learning_rate):
        moves = ops.cast(self.iterations >= self.accumulate_only, variable.dtype)
        super().update_step(gradient, variable, moves * ops.cast(learning_rate, variable.dtype))

    def get_config(self):
        return {**super().get_config(), "accumulate_only": self.accumulate_only}
