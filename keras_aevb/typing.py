"""Types for annotations, as in `from keras_aevb.typing import Tensor`.

Keras, TensorFlow and TensorFlow Probability have no type information: type checkers accept their
objects for any type. The protocols here describe the attributes that this library uses.

Example:
    >>> import keras_aevb as kv
    >>> from keras_aevb.typing import Decode, Distribution, Tensor, Terms
    >>> class OneSample(kv.Bound):
    ...     def __call__(
    ...         self, x: Tensor, q: Distribution, prior: Distribution, decode: Decode, seed: Tensor
    ...     ) -> Terms:
    ...         z = q.sample(1, seed=seed)[0]
    ...         reconstruction, kl = decode(z).log_prob(x), q.log_prob(z) - prior.log_prob(z)
    ...         return {"elbo": reconstruction - kl, "reconstruction": reconstruction, "kl": kl}
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, TypedDict

import numpy as np


class Tensor(Protocol):
    """An array of the backend, or of NumPy."""

    @property
    def shape(self) -> Sequence[int]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def dtype(self) -> Any: ...
    def __array__(self) -> np.ndarray: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...
    def __neg__(self) -> "Tensor": ...
    def __add__(self, other: Any, /) -> "Tensor": ...
    def __radd__(self, other: Any, /) -> "Tensor": ...
    def __sub__(self, other: Any, /) -> "Tensor": ...
    def __rsub__(self, other: Any, /) -> "Tensor": ...
    def __mul__(self, other: Any, /) -> "Tensor": ...
    def __rmul__(self, other: Any, /) -> "Tensor": ...
    def __truediv__(self, other: Any, /) -> "Tensor": ...
    def __rtruediv__(self, other: Any, /) -> "Tensor": ...
    def __pow__(self, other: Any, /) -> "Tensor": ...
    def __mod__(self, other: Any, /) -> "Tensor": ...
    def __lt__(self, other: Any, /) -> Any: ...
    def __le__(self, other: Any, /) -> Any: ...
    def __gt__(self, other: Any, /) -> Any: ...
    def __ge__(self, other: Any, /) -> Any: ...


class Distribution(Protocol):
    """A distribution of TensorFlow Probability."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def batch_shape(self) -> Sequence[int]: ...
    @property
    def event_shape(self) -> Sequence[int]: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def reparameterization_type(self) -> Any: ...
    def sample(self, sample_shape: Any = (), seed: Any = None) -> Tensor: ...
    def log_prob(self, value: Any) -> Tensor: ...
    def cdf(self, value: Any) -> Tensor: ...
    def quantile(self, value: Any) -> Tensor: ...
    def mean(self) -> Tensor: ...
    def mode(self) -> Tensor: ...
    def stddev(self) -> Tensor: ...
    def variance(self) -> Tensor: ...
    def kl_divergence(self, other: Any) -> Tensor: ...


class SupportsArray(Protocol):
    """A value that NumPy converts to an array, such as a pandas data frame."""

    def __array__(self) -> np.ndarray: ...


class Schedule(Protocol):
    """A `keras.optimizers.schedules.LearningRateSchedule`."""

    def __call__(self, step: Any, /) -> Any: ...
    def get_config(self) -> dict[str, Any]: ...


Shape: TypeAlias = tuple[int, ...]
"""Sizes of the dimensions of an array."""

ShapeLike: TypeAlias = int | Sequence[int] | np.ndarray
"""A shape, or the size of the only dimension."""

Seed: TypeAlias = int | None
"""An integer that fixes the noise; `None` for the model's own, or random, noise."""

Verbose: TypeAlias = int | Literal["auto"]
"""1 for a progress bar, 0 for none, `"auto"` for one if the work takes seconds.

`fit`, `evaluate` and `predict` pass it to Keras.
"""

ArrayLike: TypeAlias = SupportsArray | list[Any] | tuple[Any, ...]
"""An array, a tensor or a list of numbers."""

ConditionLike: TypeAlias = ArrayLike | dict[str, Any]
"""The condition y of each example, or a dict of several."""

Stream: TypeAlias = Iterable[ArrayLike | dict[str, Any]]
"""An iterable of batches: a generator, a `keras.utils.PyDataset`, a `tf.data.Dataset`, …"""

Data: TypeAlias = SupportsArray | dict[str, Any] | Stream
"""The x of `fit`: an array of all examples, a dict of named inputs, or a stream."""

Examples: TypeAlias = Data | list[Any] | tuple[Any, ...]
"""The x of `elbo`: as for `fit`, or nested lists of numbers."""

Terms: TypeAlias = dict[str, Tensor]
"""Values for the logs by name, each of shape `[B]`."""

Decode: TypeAlias = Callable[[Tensor], Distribution]
"""The function from z to p(x|z)."""

Config: TypeAlias = dict[str, Any]
"""The result of `get_config`, or logs by name."""


class LayerArguments(TypedDict, total=False):
    """Arguments of `keras.layers.Layer`, as `**kwargs: Unpack[LayerArguments]`."""

    name: str | None
    dtype: Any
    trainable: bool
    autocast: bool
    activity_regularizer: Any


class Objective(NamedTuple):
    """The loss of each example, and the terms for the logs.

    Attributes:
        loss: tensor of shape `[B]`.
        terms: dict from names to tensors of shape `[B]`.
    """

    loss: Tensor
    terms: Terms


__all__ = [
    "ArrayLike",
    "ConditionLike",
    "Config",
    "Data",
    "Decode",
    "Distribution",
    "Examples",
    "LayerArguments",
    "Objective",
    "Schedule",
    "Seed",
    "Shape",
    "ShapeLike",
    "Stream",
    "SupportsArray",
    "Tensor",
    "Terms",
    "Verbose",
]
