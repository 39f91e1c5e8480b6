"""Data sets whose batches are indices into the rows of fixed arrays.

The arrays can stay on the device; only the indices are sent there.
"""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_aevb import arguments
from keras_aevb.typing import ArrayLike


class RowBatches(keras.utils.PyDataset):
    """Batches of rows of fixed arrays, for `fit`.

    `fit` keeps the arrays on the device, if they fit, and gathers the rows there. A subclass
    implements `__len__` and `rows`. If it overrides `__getitem__` to change the rows, `fit` treats
    it as any other stream. `fit` keeps the order of the batches and ignores its `shuffle`.

    Attributes:
        epoch: index of the pass that `on_epoch_begin` begins, which is the epoch of `fit` unless
            its `steps_per_epoch` differs from the length. `fit` sets it before `on_epoch_begin`.

    Args:
        arrays: tuple (x,), (x, y) or (x, y, sample_weight) of arrays of one length N. Tensors of
            the backend, as from `keras.ops.convert_to_tensor`, stay on the device between calls.
        **kwargs: arguments of `keras.utils.PyDataset`.

    Raises:
        ValueError: if `arrays` is not a tuple of arrays of one length.

    Example:
        >>> class Pairs(RowBatches):
        ...     def __len__(self):
        ...         return self.num_rows // 2
        ...
        ...     def rows(self, i):
        ...         return np.array([2 * i, 2 * i + 1])
        >>> [batch[0].tolist() for batch in Pairs((np.arange(4.0),))]
        [[0.0, 1.0], [2.0, 3.0]]
    """

    # Whether the second array has row indices, which a model could mistake for labels.
    yields_row_indices = False

    def __init__(self, arrays: Sequence[ArrayLike], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(arrays, tuple | list) or not all(len(np.shape(a)) for a in arrays):
            raise ValueError(
                "Expected a tuple (x,), (x, y) or (x, y, sample_weight) of arrays. "
                f"Received: {type(arrays)}"
            )
        lengths = {np.shape(array)[0] for array in arrays}
        if len(lengths) != 1:
            raise ValueError(f"Expected arrays of one length. Received: lengths {sorted(lengths)}")
        self.arrays = tuple(arrays)
        (self.num_rows,) = lengths
        self._on_host: list[np.ndarray] | None = None
        self.epoch = 0

    def rows(self, i: int) -> np.ndarray:
        """Row indices of batch i, from 0 to N - 1: an integer array of shape `[B]`."""
        raise NotImplementedError

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        return self.take(self.rows(i))

    def take(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """These rows of every array, as a tuple of NumPy arrays."""
        if self._on_host is None:
            self._on_host = [np.asarray(array) for array in self.arrays]
        return tuple(array[rows] for array in self._on_host)


class EpochMinibatches(RowBatches):
    """Minibatches that cover every row once per epoch, like Keras' batches of arrays.

    Args:
        arrays: as for `RowBatches`.
        batch_size: M, examples in a batch; the last batch may be smaller.
        shuffle: whether to reorder the rows in each epoch: epoch e uses
            `numpy.random.default_rng([seed, e]).permutation(N)`.
        seed: integer that fixes the orders, or a `keras.random.SeedGenerator`, which provides the
            seed at the beginning of each epoch. Default: a random one, which
            `keras.utils.set_random_seed` fixes.

    Raises:
        ValueError: if `batch_size` is not a positive integer, or `seed` not a valid seed.

    Example:
        >>> import numpy as np
        >>> batches = EpochMinibatches((np.arange(5.0),), batch_size=2, shuffle=False)
        >>> [batch[0].tolist() for batch in batches]
        [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        arrays: Sequence[ArrayLike],
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | keras.random.SeedGenerator | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(arrays, **kwargs)
        self.batch_size = arguments.integer("batch_size", batch_size)
        self.shuffle = arguments.boolean("shuffle", shuffle)
        if not isinstance(seed, keras.random.SeedGenerator):
            seed = arguments.seed_or_default(seed)
        self.seed: int | keras.random.SeedGenerator = seed
        self.order = np.arange(self.num_rows)

    def __len__(self) -> int:
        return -(-self.num_rows // self.batch_size)

    def on_epoch_begin(self) -> None:
        if self.shuffle:
            seed = self.seed
            if isinstance(seed, keras.random.SeedGenerator):
                seed = int(np.asarray(seed.state)[0])  # the second number is a counter
            random = np.random.default_rng([seed, self.epoch])
            self.order = random.permutation(self.num_rows)
        self.epoch += 1  # for loops that do not set it

    def rows(self, i: int) -> np.ndarray:
        return self.order[i * self.batch_size : (i + 1) * self.batch_size]


class RandomMinibatches(RowBatches):
    """The paper's minibatches, sampled at random with replacement.

    `seed` determines an endless stream of batches; this data set contains batches `first`,
    `first + 1`, … of it. A batch depends only on its number, so training can resume anywhere in the
    stream. Each batch is (x, row indices): Monte Carlo EM needs the indices, in place of labels.
    With `y`, it is (x, y).

    Args:
        x: array of shape `[N, *event_shape]`.
        batch_size: M, examples per batch.
        seed: integer.
        first: number of the first batch.
        length: number of batches.
        y: array of N labels or conditions. Default: the row indices.

    Raises:
        ValueError: if one of the numbers is not an integer, or too small.

    Reference: Kingma & Welling (2013), alg. 1.

    Example:
        >>> import numpy as np
        >>> x = np.arange(10.0)
        >>> whole = RandomMinibatches(x, batch_size=3, seed=0, first=0, length=4)
        >>> tail = RandomMinibatches(x, batch_size=3, seed=0, first=2, length=2)
        >>> np.array_equal(whole[3][0], tail[1][0])
        True
    """

    # Batches whose rows are sampled at once.
    BLOCK = 100

    def __init__(
        self,
        x: ArrayLike,
        batch_size: int,
        seed: int,
        first: int,
        length: int,
        y: ArrayLike | None = None,
        **kwargs: Any,
    ) -> None:
        self.yields_row_indices = y is None
        if y is None and np.ndim(x):
            y = row_indices(np.shape(x)[0])
        super().__init__((x,) if y is None else (x, y), **kwargs)
        self.batch_size = arguments.integer("batch_size", batch_size)
        self.seed = arguments.integer("seed", seed, at_least=0)
        self.first = arguments.integer("first", first, at_least=0)
        self.length = arguments.integer("length", length, at_least=0)
        self._block = -1, np.array([])  # its number and its rows

    def __len__(self) -> int:
        return self.length

    def rows(self, i: int) -> np.ndarray:
        number, i_in_block = divmod(self.first + i, self.BLOCK)
        if self._block[0] != number:
            rng = np.random.default_rng([self.seed, number])
            rows = rng.integers(self.num_rows, size=(self.BLOCK, self.batch_size), dtype="int32")
            self._block = number, rows
        return self._block[1][i_in_block]


@functools.lru_cache(maxsize=16)
def row_indices(n: int) -> np.ndarray:
    """The array 0 … n - 1, cached: `Replicas` detects shared arrays by their identity."""
    numbers = np.arange(n)
    numbers.flags.writeable = False
    return numbers
