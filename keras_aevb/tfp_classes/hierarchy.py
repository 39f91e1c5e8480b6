r"""Levels of latent variables in one vector, $z = [z_1, …, z_L]$, with $z_1$ nearest to x."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_aevb._backend import tfb, tfd, tfp
from keras_aevb.typing import Distribution, Tensor


class Hierarchy(tfd.Distribution):
    """A Markov chain of levels: each is sampled given the level before it.

    Args:
        first: TFP distribution of the level to sample first.
        conditional: function from a level's index and samples of the level before it, of shape
            `[..., n]`, to the TFP distribution of the level, of batch shape `[...]`.
        sizes: numbers of elements of z₁, …, z_L.
        top_down: whether to sample from z_L to z₁; otherwise from z₁ to z_L.
    """

    def __init__(
        self,
        first: Any,
        conditional: Callable[[int, Tensor], Distribution],
        sizes: Sequence[int],
        top_down: bool,
        name: str = "Hierarchy",
    ) -> None:
        self.first, self.conditional = first, conditional
        self.sizes, self.top_down = tuple(sizes), top_down
        super().__init__(
            dtype=first.dtype,
            reparameterization_type=None,  # the property returns that of the levels
            validate_args=False,
            allow_nan_stats=True,
            parameters={"name": name},
            name=name,
        )

    @property
    def _order(self) -> list[int]:
        indices = range(len(self.sizes))
        return [*reversed(indices)] if self.top_down else [*indices]

    def split(self, z: Tensor) -> list[Tensor]:
        """z₁, …, z_L."""
        return ops.split(z, np.cumsum(self.sizes[:-1]).tolist(), axis=-1)

    def levels(self, z: Tensor) -> list[Any]:
        """The distributions of z₁, …, z_L, each given the level sampled before it."""
        values = self.split(z)
        levels = {self._order[0]: self.first}
        for before, i in itertools.pairwise(self._order):
            levels[i] = self.conditional(i, values[before])
        return [levels[i] for i in range(len(levels))]

    def log_probs(self, z: Tensor) -> list[Tensor]:
        """The log densities of z₁, …, z_L, which sum to the log density of z."""
        return [level.log_prob(value) for level, value in zip(self.levels(z), self.split(z))]

    def example_levels(self) -> list[Any]:
        """The distributions of z₁, …, z_L at z = 0."""
        # In an exported function the batch size is unknown.
        batch_shape = [1 if size is None else size for size in self.first.batch_shape]
        return self.levels(ops.zeros((*batch_shape, sum(self.sizes)), self.dtype))

    @property
    def reparameterization_type(self) -> Any:
        kinds = [level.reparameterization_type for level in self.example_levels()]
        fully = all(kind == tfd.FULLY_REPARAMETERIZED for kind in kinds)
        return tfd.FULLY_REPARAMETERIZED if fully else tfd.NOT_REPARAMETERIZED

    def _batch_shape(self) -> Any:
        return self.first.batch_shape

    def _batch_shape_tensor(self) -> Any:
        return self.first.batch_shape_tensor()

    def _event_shape(self) -> Any:
        return (sum(self.sizes),)

    def _event_shape_tensor(self) -> np.ndarray:
        return np.array([sum(self.sizes)], "int32")

    def _log_prob(self, z: Tensor) -> Any:
        return sum(self.log_probs(z))

    def _sample_n(self, n: Any, seed: Any) -> Tensor:
        seeds = tfp.random.split_seed(seed, n=len(self.sizes))
        values = {self._order[0]: self.first.sample(n, seed=seeds[0])}
        for (before, i), level_seed in zip(itertools.pairwise(self._order), seeds[1:]):
            values[i] = self.conditional(i, values[before]).sample(seed=level_seed)
        return ops.concatenate([values[i] for i in range(len(values))], axis=-1)

    def _default_event_space_bijector(self) -> Any:
        for level in self.example_levels():
            if not isinstance(level.experimental_default_event_space_bijector(), tfb.Identity):
                raise NotImplementedError("The support of a level may depend on another level.")
        return tfb.Identity()
