"""Moments and parameters of q(z|x)."""

from collections.abc import Sequence

from keras_aevb._backend import tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.wrapper import Wrapper
from keras_aevb.typing import Tensor, Terms


def described(posterior: ConditionalDistribution, parameters: Sequence[Tensor]) -> Terms:
    """The mean and standard deviation of a distribution, if they exist, and its parameters.

    Args:
        posterior: `ConditionalDistribution`.
        parameters: output of its call, of shape `[B, ...]`.

    Returns:
        Dict from names to tensors of shape `[B, ...]`: `mean`, `standard_deviation`, and parameters
        under TFP's names, or else those of their layers. Names that describe the base distribution
        of a flow begin with `base_`.
    """
    q = posterior.distribution(*parameters)
    result = {}
    for name, method in {"mean": q.mean, "standard_deviation": q.stddev}.items():
        try:
            result[name] = method()
        except NotImplementedError:
            continue
    prefix = ""
    while isinstance(posterior, Wrapper):
        posterior, prefix = posterior.base, "base_"
    inner = posterior.distribution(*parameters)
    while isinstance(inner, tfd.Independent):
        inner = inner.distribution
    names = list(posterior.heads) or [f"parameter_{i}" for i in range(len(parameters))]
    for name, value in zip(names, parameters, strict=True):
        result.setdefault(prefix + name, inner.parameters.get(name, value))
    return result
