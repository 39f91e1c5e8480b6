"""JAX: many training steps, of one model or of several, in one program.

The program is given the values of all variables and a stack of batches, and makes one step after
another.
"""

import jax
import numpy as np
from jax import numpy as jnp

from keras_aevb._backend.resident import of_one_shape


class Program:
    """Steps of one or more models that are alike but for the values of their variables.

    Args:
        models: list of R models.
    """

    def __init__(self, models):
        self.train_step = models[0].train_step
        self.steps_per_execution = models[0].steps_per_execution
        # On a processor several steps side by side keep its cores busier than one step on stacked
        # values; a GPU has too many for that.
        self.side_by_side = jax.default_backend() == "cpu"
        self._run = jax.jit(self._steps, donate_argnums=0)

    def __call__(self, states, arrays, batches):
        """Makes the steps.

        Args:
            states: list of R states of `train_step`. The new ones use their memory, and take their
                places in the list, also if a later group of steps fails.
            arrays: what the batches are rows of, or `None`.
            batches: for each of at most `steps_per_execution` steps a list of R batches.

        Returns:
            List of R dicts of logs after the last step.
        """
        for group in of_one_shape(batches):
            # A shorter group is filled up, so that it needs no program of its own.
            filled = group + group[-1:] * (self.steps_per_execution - len(group))
            stacked = _stacked([_stacked(step) for step in filled])
            logs, states[:] = self._run(states, arrays, stacked, len(group))
        return logs

    def _steps(self, states, arrays, batches, n):
        """`n` steps; the leaves of `batches` have shape `[steps_per_execution, R, B, ...]`."""

        def step(state, batch):
            if arrays is not None:
                (rows,) = batch
                # Rows were checked where they were drawn.
                batch = tuple(jnp.take(array, rows, axis=0, mode="clip") for array in arrays)
            return self.train_step(state, batch)

        def side_by_side(states, batch):
            results = map(step, states, _unstacked(batch, len(states)))
            return tuple(map(list, zip(*results)))  # logs, states

        num_models = len(states)
        stacked = num_models > 1 and not self.side_by_side
        all_models = jax.vmap(step) if stacked else side_by_side
        states = _stacked(states) if stacked else states

        def body(i, carry):
            return all_models(carry[1], jax.tree.map(lambda values: values[i], batches))

        first = jax.tree.map(lambda values: values[0], batches)
        logs, _ = jax.eval_shape(all_models, states, first)
        logs = jax.tree.map(lambda log: jnp.zeros(log.shape, log.dtype), logs)
        results = jax.lax.fori_loop(0, n, body, (logs, states))
        return tuple(_unstacked(r, num_models) for r in results) if stacked else results


def _stacked(trees):
    """A tree whose leaves are stacks of the leaves of the trees."""

    def stack(*leaves):
        on_device = any(isinstance(leaf, jax.Array) for leaf in leaves)
        return (jnp if on_device else np).stack(leaves)

    return jax.tree.map(stack, *trees)


def _unstacked(tree, n):
    """The list of n trees of which `tree` is the stack."""
    return [jax.tree.map(lambda values, i=i: values[i], tree) for i in range(n)]
