"""Moments and parameters of q(z|x)."""

from collections.abc import Sequence
from typing import Any

from keras_aevb._backend import tfd
from keras_aevb._backend.kinds import is_kind
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.wrapper import Wrapper
from keras_aevb.typing import Tensor, Terms


def moments_and_parameters(
    posterior: ConditionalDistribution, parameters: Sequence[Tensor], moments: Sequence[str]
) -> Terms:
    """Moments of a distribution, and its parameters.

    Args:
        posterior: `ConditionalDistribution`.
        parameters: output of its call, of shape `[B, ...]`.
        moments: those of `point_estimates.moments`.

    Returns:
        Dict from names to tensors of shape `[B, ...]`: `mean`, `standard_deviation`, and parameters
        under TFP's names, else those of their layers, else `parameter_0`, …. Parameters of the base
        of a flow begin with `base_`.
    """
    q = posterior.distribution(*parameters)
    names = {"mean": "mean", "stddev": "standard_deviation"}
    result = {names[moment]: getattr(q, moment)() for moment in moments}
    prefix = ""
    while isinstance(posterior, Wrapper):
        posterior, prefix = posterior.base, "base_"
    inner: Any = posterior.distribution(*parameters)
    while is_kind(inner, tfd.Independent):
        inner = inner.distribution
    heads = list(posterior.heads) or [f"parameter_{i}" for i in range(len(parameters))]
    for name, value in zip(heads, parameters, strict=True):
        result.setdefault(prefix + name, inner.parameters.get(name, value))
    return result
