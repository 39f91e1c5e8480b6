"""q(z|x) in numbers: its moments and its parameters."""

from collections.abc import Sequence

from keras_aevb._backend import tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.wrapper import Wrapper
from keras_aevb.typing import Tensor, Terms


def described(posterior: ConditionalDistribution, parameters: Sequence[Tensor]) -> Terms:
    """The mean and standard deviation of a distribution, where it has them, and its parameters.

    Args:
        posterior: `ConditionalDistribution`.
        parameters: what its call returned, of shape `[B, ...]`.

    Returns:
        Dict from names to tensors of shape `[B, ...]`: `mean`, `standard_deviation`, and parameters
        by TFP's names, or else by those of their layers. `base_` stands before the names of what
        goes through a flow.
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
