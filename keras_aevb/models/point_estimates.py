"""Point estimate of a distribution: its mean, or else its mode, or else a sample."""

from typing import Any

import numpy as np
from keras import ops

from keras_aevb._backend import tfd
from keras_aevb.distributions import Conditional
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.typing import Distribution, Tensor


def kind_of_estimate(part: ConditionalDistribution) -> str:
    """`"mean"` if a part's distributions have one, else `"mode"` if they have one, or `"sample"`.

    A mean that exists only for some parameters does not count; Student's t, for example, has one
    only for more than one degree of freedom.

    Args:
        part: `ConditionalDistribution` that is part of a model.
    """
    # For a family of TFP, unconstrained parameters of any sign are valid.
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
    # Their means are not events: points inside the sphere, and averages of class indices.
    without_mean = tfd.Categorical | tfd.PowerSpherical | tfd.VonMisesFisher
    if kind == "mean" and isinstance(inner, without_mean):
        return False
    try:
        return np.isfinite(np.asarray(getattr(distribution, kind)())).all()
    except (NotImplementedError, ValueError):
        return False


def point_estimate(distribution: Distribution, kind: str, seed: Any) -> Tensor:
    """The mean, the mode, or a sample.

    Args:
        distribution: TFP distribution.
        kind: result of `kind_of_estimate`.
        seed: seed of the sample.
    """
    if kind == "sample":
        return distribution.sample(seed=seed)
    return distribution.mean() if kind == "mean" else distribution.mode()
