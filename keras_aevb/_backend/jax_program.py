"""JAX: many steps, of one model or of several, in one program.

The program takes the values of all variables and a stack of batches, runs the steps one after
another, and returns the new values. The variables are valid after each call, also after an error.
"""

import functools
import itertools
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import jax
import keras
import numpy as np
from jax import numpy as jnp
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec

from keras_aevb._backend.groups import of_one_shape, padded
from keras_aevb._backend.interruption import delayed_interrupt
from keras_aevb._backend.jax_stacks import Stacks, computation, kind
from keras_aevb._backend.keras_private import (
    check_optimizer,
    separate_values,
    set_values,
    values,
)
from keras_aevb._backend.processes import check_same, digest


def representable(array: Any) -> Any:
    """An array in native byte order; floats for integers that JAX's integers cannot hold."""
    if not isinstance(array, np.ndarray):
        return array
    array = np.asarray(array)  # without a subclass, such as a masked array
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in "iu" or not array.size:
        return array
    held = jax.dtypes.canonicalize_dtype(array.dtype)
    if held == array.dtype:
        return array
    limits = np.iinfo(held)
    fits = limits.min <= array.min() and array.max() <= limits.max
    return array if fits else array.astype("float32")


def variable_groups(
    model: keras.Model, optimizer: bool = False, metrics: bool = False
) -> tuple[list[keras.Variable], ...]:
    """The lists of variables that form the state of a step, in Keras' order."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        *([model.optimizer.variables] if optimizer else []),
        *([model.metrics_variables] if metrics else []),
    )


class Program:
    """Steps of one or more models.

    Args:
        models: list of R models.
        kind: `"train"` or `"test"`.
    """

    def __init__(self, models: Sequence[keras.Model], kind: Literal["train", "test"]) -> None:
        self.models = models
        self.training = kind == "train"
        for model in models if self.training else ():
            check_optimizer(model)
        self.steps_per_execution = models[0].steps_per_execution
        self.eager = models[0].run_eagerly or not models[0].jit_compile
        self.step_of = [m.train_step if self.training else m.test_step for m in models]
        # A CPU is used best by concurrent steps, one for each model; a GPU by one step on the
        # stacked values of models that compute the same.
        self.stacks = Stacks.of(range(len(models)))
        self._may_stack = len(models) > 1 and jax.default_backend() != "cpu" and not self.eager
        self._known: dict[Hashable, Stacks] = {}  # for each kind of batches
        # `jit` keeps the trace: a step is traced once for `eval_shape` and the loop.
        self._step_of_all = jax.jit(self._step_of_stacks, inline=True, static_argnums=4)
        self._run = self._compiled()
        self.in_a_loop: bool | None = None  # set by the first call
        self._is_checked = not several_processes()

    def __call__(self, arrays: Any, steps: Sequence[Sequence[Any]]) -> Any:
        """Runs the steps.

        Args:
            arrays: arrays that the batches index, or `None` for whole batches.
            steps: list of at most `steps_per_execution` steps, each a list of R batches.

        Returns:
            List of R dicts of logs after the last step.
        """
        if not self._is_checked:
            done = [model.optimizer.iterations for model in self.models if self.training]
            own = np.array([digest(arrays, steps, done)], "uint32")
            check_same(multihost_utils.process_allgather(own).ravel())
            self._is_checked = True
        if arrays is None:  # the batches are data, not row indices
            steps = jax.tree.map(representable, steps)
        with delayed_interrupt():
            for group in of_one_shape(steps):
                while group:
                    logs, group = self._execute(arrays, group)
        return logs

    def _execute(self, arrays: Any, group: list[Any]) -> tuple[Any, list[Any]]:
        """Runs the first steps of a group in one call; returns their logs, and the other steps."""
        groups = [variable_groups(m, self.training, metrics=True) for m in self.models]
        separate_values(itertools.chain(*itertools.chain(*groups)))
        states = [tuple(map(values, variables)) for variables in groups]
        # Evaluation does not change trainable variables: they are neither donated nor returned.
        fixed = [() if self.training else state[:1] for state in states]
        changing = [state[len(f) :] for state, f in zip(states, fixed)]
        rest: list[Any] = []
        if self._may_stack:
            self.stacks = self._stacks_for(changing, fixed, arrays, group[0])
        if self.eager:
            logs, changing = self._steps_in_python(changing, fixed, arrays, group)
        else:
            if self.in_a_loop is None:
                self.in_a_loop = self._is_fast_in_a_loop(changing, fixed, arrays, group)
            size = self.steps_per_execution if self.in_a_loop else 1
            group, rest = group[:size], group[size:]
            batches = self._batches(group, size)
            logs, changing = self._run(
                changing, fixed, arrays, batches, len(group), self.in_a_loop, self.stacks
            )
        for variables, state in zip(groups, changing):
            for old, new in zip(variables[len(variables) - len(state) :], state):
                set_values(old, new)
        return logs, rest

    def _is_fast_in_a_loop(self, changing: Any, fixed: Any, arrays: Any, group: list[Any]) -> bool:
        """Whether a loop does not slow the step down.

        On a CPU, XLA's fast kernels for the gradient of a convolution do not work inside loops:
        https://github.com/jax-ml/jax/issues/12868
        """
        if not self.training or jax.default_backend() != "cpu":
            return True
        batches = self._batches(group, self.steps_per_execution)
        traced = self._run.trace(changing, fixed, arrays, batches, len(group), True, self.stacks)
        return "conv_general_dilated" not in str(traced.jaxpr)

    def _compiled(self) -> Any:
        shardings: dict[str, Any] = {}
        if keras.distribution.distribution() is not None:
            groups = [variable_groups(m, self.training, metrics=True) for m in self.models]
            layouts = [
                tuple([v.sharding for v in values(group)] for group in variables)
                for variables in groups
            ]
            changing = [layout if self.training else layout[1:] for layout in layouts]
            shardings["out_shardings"] = None, changing
        return jax.jit(self._steps, donate_argnums=0, static_argnums=(5, 6), **shardings)

    def _steps(
        self,
        changing: Any,
        fixed: Any,
        arrays: Any,
        batches: Any,
        n: Any,
        in_a_loop: bool,
        stacks: Stacks,
    ) -> Any:
        """`n` steps, or one without a loop. `batches` are those of `_batches`."""
        changing, fixed = stacks.stacked(changing), stacks.stacked(fixed)

        def step(changing: Any, i: Any) -> Any:
            batch = jax.tree.map(lambda leaf: leaf[i], batches)
            return self._step_of_all(changing, fixed, arrays, batch, stacks)

        if in_a_loop:
            logs, _ = jax.eval_shape(step, changing, 0)
            logs = jax.tree.map(lambda log: jnp.zeros(log.shape, log.dtype), logs)
            results = jax.lax.fori_loop(0, n, lambda i, carry: step(carry[1], i), (logs, changing))
        else:
            results = step(changing, 0)
        return tuple(map(stacks.unstacked, results))

    def _stacks_for(self, changing: Any, fixed: Any, arrays: Any, batches: Sequence[Any]) -> Stacks:
        """Stacks the models whose steps are the same function of variables and batch.

        Steps that compute the same for one kind of batches may differ for another.
        """
        kinds = [kind(batch) for batch in batches]
        key = kind(arrays), *kinds
        if key not in self._known:
            trace = jax.make_jaxpr(self._one_step, static_argnums=0)
            inputs = zip(self.step_of, changing, fixed, batches)
            steps = [computation(trace(step, arrays, *values)) for step, *values in inputs]
            self._known[key] = Stacks.of(zip(steps, kinds))
        return self._known[key]

    def _batches(self, steps: list[Any], size: int) -> list[Any]:
        """The stacked batches of at most `size` steps."""
        batches = self.stacks.batches(padded(steps, size))
        if keras.distribution.distribution() is not None:
            batches = jax.tree.map(_distributed, batches)
        return batches

    def _step_of_stacks(
        self, changing: Any, fixed: Any, arrays: Any, batches: Any, stacks: Stacks
    ) -> tuple[list[Any], list[Any]]:
        results = []
        for members, *inputs in zip(stacks.members, changing, fixed, batches):
            step = functools.partial(self._one_step, self.step_of[members[0]], arrays)
            results.append((jax.vmap(step) if len(members) > 1 else step)(*inputs))
        logs, states = zip(*results)
        return list(logs), list(states)

    def _steps_in_python(
        self, changing: Any, fixed: Any, arrays: Any, group: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        for batches in group:
            results = [
                self._one_step(step, arrays, *inputs)
                for step, *inputs in zip(self.step_of, changing, fixed, batches)
            ]
            logs, changing = zip(*results)
        return list(logs), list(changing)

    def _one_step(
        self, step: Any, arrays: Any, changing: Any, fixed: Any, batch: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        if arrays is not None:
            (rows,) = batch
            # `RowEpochs` has validated the row indices.
            batch = tuple(jnp.take(array, rows, axis=0, mode="clip") for array in arrays)
        logs, state = step((*fixed, *changing), batch)
        return logs, tuple(state[len(fixed) :])


class PredictProgram:
    """A model's outputs for a batch.

    Args:
        model: Keras model.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        eager = model.run_eagerly or not model.jit_compile
        self._run = model.predict_step if eager else jax.jit(model.predict_step)

    def __call__(self, batch: Any) -> Any:
        """Returns a structure of arrays."""
        batch = jax.tree.map(representable, batch)
        if keras.distribution.distribution() is not None:
            batch = jax.tree.map(lambda leaf: _distributed(leaf, leading_axes=0), batch)
        groups = variable_groups(self.model)
        with delayed_interrupt():
            outputs, others = self._run(tuple(map(values, groups)), batch)
            set_values(groups[1], others)
        if several_processes():
            return multihost_utils.process_allgather(outputs, tiled=True)
        return outputs


def several_processes() -> bool:
    """Whether the devices of Keras' distribution belong to several processes."""
    return keras.distribution.distribution() is not None and jax.process_count() > 1


def _distributed(batch: Any, leading_axes: int = 1) -> jax.Array:
    """Shards a batch over Keras' distribution; replicates it if it does not divide evenly."""
    layout = keras.distribution.distribution().get_data_layout(batch.shape[leading_axes:])
    sharding = layout.backend_layout
    free = PartitionSpec(*[None] * leading_axes, *sharding.spec)
    sharded = NamedSharding(sharding.mesh, free)
    try:
        sharded.shard_shape(batch.shape)
    except ValueError:
        sharded = NamedSharding(sharding.mesh, PartitionSpec())
    if several_processes():
        batch = np.asarray(batch)  # every process has the whole batch, and its devices take rows
        return jax.make_array_from_callback(batch.shape, sharded, lambda rows: batch[rows])
    return jax.device_put(batch, sharded)


__all__ = ["PredictProgram", "Program", "representable"]
