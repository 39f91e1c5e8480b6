"""Functions of a model, compiled and run over data of any size."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb.models.conditional_model import ConditionalModel
from keras_aevb.training import inputs, sources
from keras_aevb.training.progress import Progress
from keras_aevb.typing import ConditionLike, Examples, Seed, Tensor, Verbose


class BatchedModel(ConditionalModel):
    """A model that computes functions of examples batch by batch."""

    def over_batches(
        self,
        key: tuple[Hashable, ...],
        function: Callable[[Tensor, Any], Any],
        x: Examples,
        batch_size: int,
        seed: Seed,
        condition: ConditionLike | None = None,
        verbose: Verbose = 0,
        conditional: bool = True,
    ) -> Any:
        """Evaluates `function(batch, seed)` on all of `x`.

        Args:
            key: identifies the function's compiled program.
            function: maps a batch of x, cast for densities, and a seed to tensors of shape
                `[B, ...]`.
            x: as for `predict`. The batches of a stream are regrouped, so that the results equal
                those of the same examples in an array.
            batch_size: size of the batches that the function receives.
            seed, condition, verbose: as for `log_likelihood`.
            conditional: whether the function depends on the model's condition.

        Returns:
            NumPy array of shape `[N, ...]`, or a structure of them, in the order of x.
        """
        parts, n = sources.examples(self, x, condition, conditional)

        def on_densities(x: Tensor, seed: Tensor) -> Any:
            return function(ops.cast(x, self.likelihood.density_dtype), seed)

        return self.in_batches(key, on_densities, parts, n, batch_size, seed, verbose)

    def in_batches(
        self,
        key: tuple[Hashable, ...],
        function: Callable[[Tensor, Any], Any],
        parts: Iterable[Sequence[np.ndarray]],
        n: int | None,
        batch_size: int,
        seed: Seed,
        verbose: Verbose,
        num_seeds: int = 1,
    ) -> Any:
        """Like `over_batches`, but for lists [rows, y] or [rows], with n rows in total.

        Args:
            num_seeds: seeds for each batch. The function receives a list if there are several.
        """
        seed = arguments.seed(seed)
        batch_size = arguments.integer("batch_size", batch_size)
        progress = Progress(verbose, n and -(-n // batch_size))
        results = []

        def run(seeds: list[Tensor], rows: Tensor, *y: Tensor) -> Any:
            with self.given(y[0] if y else None):
                return function(rows, seeds if num_seeds > 1 else seeds[0])

        for i, (batch, length) in enumerate(inputs.regrouped(parts, batch_size)):
            # A program per batch size: on TensorFlow, TFP's loops need a static size.
            program = self.program((*key, len(batch[0])), run)
            seeds = [self.next_seed(seed, num_seeds * i + j) for j in range(num_seeds)]
            values = program(seeds, *batch)
            results.append(
                keras.tree.map_structure(lambda v, end=length: np.asarray(v)[:end], values)
            )
            progress.update(i + 1)
        progress.end()
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *results)

    def next_seed(self, seed: Seed = None, index: int = 0) -> Tensor:
        """Seed number `index` derived from the integer `seed`; default: the model's next seed."""
        if seed is None:
            return _backend.next_seed(self.seed_generator)
        return _backend.fixed_seed(seed, index)

    def program(
        self, key: tuple[Hashable, ...], function: Callable[..., Any]
    ) -> Callable[..., Any]:
        """`function` compiled with the settings of `compile`; compiled once for each key."""
        return self._programs.get(key, lambda: _backend.compiled(self, function))

    def over_examples(
        self,
        function: Callable[[Any, Tensor], Any],
        seed: Tensor | None,
        x: Tensor,
        condition: Tensor | None = None,
        training: bool = False,
    ) -> Any:
        """`function(seed, x)` given the conditions, for a batch whose size may be symbolic."""

        def given_condition(seed: Tensor | None, x: Tensor, *y: Tensor) -> Any:
            with self.given(y[0] if y else None, training=training):
                return function(seed, x)

        y = [] if condition is None else [condition]
        return _backend.over_examples(given_condition, seed, x, *y)
