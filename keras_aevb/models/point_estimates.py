"""One value in place of a distribution: its mean, or where it has none its mode, or a draw."""

from typing import Any

import numpy as np
from keras import ops

from keras_aevb._backend import tfd
from keras_aevb.distributions import Conditional
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.typing import Distribution, Tensor


def kind_of_estimate(part: ConditionalDistribution) -> str:
    """`"mean"` if a part's distributions have one, else `"mode"` or, without that, `"sample"`.

    A mean that exists for some parameters alone, as Student's with more than one degree of
    freedom, does not count.

    Args:
        part: `ConditionalDistribution` that is part of a model.
    """
    # Of a family of TFP's, raw values of any sign are valid.
    is_family = isinstance(getattr(part, "base", part), Conditional)
    values = (1.0, -5.0) if is_family else (1.0,)
    examples = [
        part.distribution(
            *(
                ops.full((1, *shape), value, part.density_dtype)
                for shape in part.parameter_shapes or ()
            )
        )
        for value in values
    ]
    for kind in ("mean", "mode"):
        if all(_has(kind, example) for example in examples):
            return kind
    return "sample"


def _has(kind: str, distribution: Distribution) -> bool:
    inner = getattr(distribution, "distribution", distribution)  # of an `Independent`
    # Their means are no events: points inside of the sphere, and sums of class numbers.
    without_mean = tfd.Categorical | tfd.PowerSpherical | tfd.VonMisesFisher
    if kind == "mean" and isinstance(inner, without_mean):
        return False
    try:
        return np.isfinite(np.asarray(getattr(distribution, kind)())).all()
    except (NotImplementedError, ValueError):
        return False


def point_estimate(distribution: Distribution, kind: str, seed: Any) -> Tensor:
    """The mean, the mode, or a draw.

    Args:
        distribution: TFP distribution.
        kind: what `kind_of_estimate` returned.
        seed: of a draw.
    """
    if kind == "sample":
        return distribution.sample(seed=seed)
    return distribution.mean() if kind == "mean" else distribution.mode()
