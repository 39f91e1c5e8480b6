"""Tensors with the value of one expression and the gradient of another."""

from keras import ops

from keras_aevb.typing import Distribution, Tensor


def zero_with_gradient(value: Tensor) -> Tensor:
    """Zero, with the gradient of `value`."""
    return value - ops.stop_gradient(value)


def log_prob_by_path(q: Distribution, z: Tensor) -> Tensor:
    """log q(z|x), with a gradient in q's parameters only through the samples z.

    The gradient is the total derivative minus the score, which is the derivative at fixed z.

    Args:
        q: TFP distribution of batch shape `[B]`.
        z: reparameterised samples of q, of shape `[L, B, ...]`.

    Returns:
        Tensor of shape `[L, B]`.
    """
    return q.log_prob(z) - zero_with_gradient(q.log_prob(ops.stop_gradient(z)))


def with_scaled_gradient(z: Tensor, scale: Tensor) -> Tensor:
    """z, with its gradient multiplied by `scale`.

    Args:
        z: tensor of shape `[L, B, ...]`.
        scale: tensor of shape `[L, B]`.
    """
    scale = ops.reshape(scale, (*ops.shape(scale), *[1] * (len(z.shape) - len(scale.shape))))
    return ops.stop_gradient(z) + ops.stop_gradient(scale) * zero_with_gradient(z)
