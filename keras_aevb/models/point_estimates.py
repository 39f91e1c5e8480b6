"""The moments that a distribution has, and its point estimate: the mean, the mode, or a sample."""

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
    only for more than one degree of freedom. Nor does the mean of a distribution on a sphere, which
    lies inside it.

    Args:
        part: `ConditionalDistribution` that is part of a model.
    """
    examples = _examples(part)
    # The mean of these distributions is not a direction: it lies inside the sphere.
    directions = tfd.PowerSpherical | tfd.VonMisesFisher
    if _have("mean", examples) and not isinstance(_inner(examples[0]), directions):
        return "mean"
    return "mode" if _have("mode", examples) else "sample"


def moments(part: ConditionalDistribution) -> list[str]:
    """The methods among `mean` and `stddev` that a part's distributions have."""
    examples = _examples(part)
    return [name for name in ("mean", "stddev") if _have(name, examples)]


def _examples(part: ConditionalDistribution) -> list[Distribution]:
    # For a family of TFP, unconstrained parameters of any sign are valid.
    is_family = isinstance(getattr(part, "base", part), Conditional)
    return [
        part.distribution(
            *(
                ops.full((1, *shape), value, part.density_dtype)
                for shape in part.parameter_shapes or ()
            )
        )
        for value in ((1.0, -5.0) if is_family else (1.0,))
    ]


def _inner(distribution: Distribution) -> Distribution:
    return getattr(distribution, "distribution", distribution)  # of an `Independent`


def _have(statistic: str, distributions: list[Distribution]) -> bool:
    # TFP returns the mean and standard deviation of class indices, which have no meaning.
    if statistic != "mode" and isinstance(_inner(distributions[0]), tfd.Categorical):
        return False
    try:
        values = [np.asarray(getattr(d, statistic)()) for d in distributions]
    except (NotImplementedError, ValueError):
        return False
    return all(np.isfinite(value).all() for value in values)


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
