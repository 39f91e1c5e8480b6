"""Computes with other values in place of some variables."""

import contextlib
from collections.abc import Iterator, Sequence

import keras

from keras_aevb.typing import Tensor


@contextlib.contextmanager
def substituted(
    model: keras.Layer, variables: Sequence[keras.Variable], values: Sequence[Tensor]
) -> Iterator[keras.StatelessScope]:
    """Makes a model compute with `values` in place of `variables`, which do not change.

    Assignments of its layers to non-trainable variables take effect at the end.

    Args:
        model: Keras layer.
        variables: some of its variables.
        values: tensors of their shapes.

    Returns:
        Context manager of the `keras.StatelessScope` with the values.
    """
    # A scope hides the enclosing one, so pass on the other variables' values.
    pairs = [(v, v.value) for v in model.variables] + list(zip(variables, values))
    with keras.StatelessScope(state_mapping=pairs, collect_losses=True) as scope:
        before = [scope.get_current_value(v) for v in model.non_trainable_variables]
        yield scope
    for variable, value in zip(model.non_trainable_variables, before):
        if scope.get_current_value(variable) is not value:
            variable.assign(scope.get_current_value(variable))
