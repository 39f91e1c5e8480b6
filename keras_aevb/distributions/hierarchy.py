r"""Levels of latent variables in one vector, $z = [z_1, …, z_L]$, with $z_1$ nearest to x."""

import itertools
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_aevb import arguments, tfp_classes
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.mixture import check_base
from keras_aevb.distributions.priors import Prior
from keras_aevb.typing import Config, Distribution, Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class HierarchicalPrior(Prior):
    r"""A prior with L levels, each given the one above it.

    $$p(z) = p(z_L) \prod_{i<L} p(z_i|z_{i+1}), \qquad z = [z_1, …, z_L]$$

    The decoder receives all of z. For $p(x|z_1)$, put `keras_aevb.networks.Elements(n)` in front of
    the decoder, with n the size of $z_1$.

    Args:
        levels: list from $z_1$ to $z_L$: `ConditionalDistribution`s, whose heads receive
            $z_{i+1}$, and a `Prior` as the last. Their layers run in inference mode.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if there are fewer than two levels, or one has the wrong type or is not over
            vectors.

    Reference: Sønderby et al. (2016), arXiv:1602.02282, eqs. 1 and 2; Rezende, Mohamed & Wierstra
    (2014), arXiv:1401.4082, sec. 3.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> prior = HierarchicalPrior([kv.DiagonalNormal(4), kv.StandardNormal(2)])
        >>> p = prior.distribution()
        >>> tuple(p.batch_shape), tuple(p.event_shape)
        ((), (6,))
        >>> [tuple(level.event_shape) for level in p.levels(np.zeros(6, "float32"))]
        [(4,), (2,)]
    """

    def __init__(self, levels: Sequence[Prior | ConditionalDistribution], **kwargs: Any) -> None:
        levels = _checked(levels)
        kinds = [ConditionalDistribution] * (len(levels) - 1) + [Prior]
        for i, (level, kind) in enumerate(zip(levels, kinds), 1):
            _check_level(i, level, kind)
        check_base(f"level {len(levels)}", levels[-1])
        kwargs.pop("event_shape", None)  # it comes from the levels
        super().__init__(sum(level.event_shape[0] for level in levels), **kwargs)
        self.levels = levels
        for level, above in itertools.pairwise(levels):
            level(keras.Input(above.event_shape, dtype=self.density_dtype))  # builds it

    def distribution(self) -> Distribution:
        return tfp_classes.Hierarchy(
            self.levels[-1].distribution(),
            lambda i, above: _given(self.levels[i], above),
            [level.event_shape[0] for level in self.levels],
            top_down=True,
        )

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": keras.saving.serialize_keras_object(self.levels)}

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})


@keras.saving.register_keras_serializable(package="keras_aevb")
class HierarchicalPosterior(ConditionalDistribution):
    r"""A conditional distribution with L levels, sampled bottom-up or top-down.

    Bottom-up, with features h of x,

    $$q(z|x) = q(z_1|h) \prod_{i>1} q(z_i|z_{i-1})$$

    and top-down, in the order of a `HierarchicalPrior`,

    $$q(z|x) = q(z_L|h) \prod_{i<L} q(z_i|z_{i+1}, h)$$

    Args:
        levels: list of `ConditionalDistribution`s from $z_1$ to $z_L$. The heads of the first level
            sampled receive the features; those of the others receive the variables they depend on
            as one vector, and their layers run in inference mode.
        top_down: whether to sample from $z_L$ to $z_1$; otherwise from $z_1$ to $z_L$.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        features: tensor of shape `[B, ...]`.

    Returns:
        The parameters of the level that is sampled first; if top-down, also the features.

    Raises:
        ValueError: if there are fewer than two levels, or one is not a `ConditionalDistribution`
            over vectors.

    Reference: Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, eq. 3, bottom-up; Sønderby et
    al. (2016), arXiv:1602.02282, eq. 10, top-down, without sharing parameters with the prior.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> posterior = HierarchicalPosterior([kv.DiagonalNormal(4), kv.DiagonalNormal(2)])
        >>> q = posterior.distribution(*posterior(np.zeros((3, 5), "float32")))
        >>> tuple(q.batch_shape), tuple(q.event_shape)
        ((3,), (6,))
    """

    def __init__(
        self, levels: Sequence[ConditionalDistribution], top_down: bool = False, **kwargs: Any
    ) -> None:
        levels = _checked(levels)
        for i, level in enumerate(levels, 1):
            _check_level(i, level, ConditionalDistribution)
        kwargs.pop("event_shape", None)  # it comes from the levels
        super().__init__(sum(level.event_shape[0] for level in levels), {}, **kwargs)
        self.levels = levels
        self.top_down = arguments.boolean("top_down", top_down)

    def build(self, features_shape: Shape) -> None:
        order = self.levels[::-1] if self.top_down else self.levels
        order[0](keras.Input(features_shape[1:], dtype=self.compute_dtype))
        num_features = int(np.prod(features_shape[1:])) if self.top_down else 0
        for before, level in itertools.pairwise(order):
            size = before.event_shape[0] + num_features
            level(keras.Input((size,), dtype=self.density_dtype))

    def call(self, features: Tensor) -> tuple[Tensor, ...]:
        if not self.top_down:
            return tuple(self.levels[0](features))
        flat = ops.reshape(features, (-1, int(np.prod(features.shape[1:]))))
        return (*self.levels[-1](features), ops.cast(flat, self.density_dtype))

    def distribution(self, *parameters: Tensor) -> Distribution:
        sizes = [level.event_shape[0] for level in self.levels]
        if not self.top_down:
            first = self.levels[0].distribution(*parameters)
            return tfp_classes.Hierarchy(
                first, lambda i, below: _given(self.levels[i], below), sizes, False
            )
        *own, features = parameters

        def conditional(i: int, above: Tensor) -> Distribution:
            parts = [
                own + ops.zeros_like(other[..., :1])  # broadcasts the batch dimensions
                for own, other in ((above, features), (features, above))
            ]
            return _given(self.levels[i], ops.concatenate(parts, axis=-1))

        return tfp_classes.Hierarchy(self.levels[-1].distribution(*own), conditional, sizes, True)

    def get_config(self) -> Config:
        levels = keras.saving.serialize_keras_object(self.levels)
        return {**super().get_config(), "levels": levels, "top_down": self.top_down}


def _checked(levels: Any) -> list[Any]:
    if not isinstance(levels, list | tuple) or len(levels) < 2:
        raise ValueError(f"Expected a list of two levels or more. Received: {levels!r}")
    return list(levels)


def _check_level(number: int, level: Any, kind: type[Any]) -> None:
    if not isinstance(level, kind) or len(level.event_shape) != 1:
        raise ValueError(
            f"Expected level {number} to be a {kind.__name__} over vectors. Received: {level!r}, "
            f"with event shape {getattr(level, 'event_shape', None)}"
        )


def _given(level: ConditionalDistribution, features: Tensor) -> Distribution:
    """A level's distribution, of batch shape `[...]`, for features of shape `[..., n]`."""
    batch_shape = ops.shape(features)[:-1]
    parameters = level(ops.reshape(features, (-1, features.shape[-1])))
    return level.distribution(*(ops.reshape(p, (*batch_shape, *p.shape[1:])) for p in parameters))
