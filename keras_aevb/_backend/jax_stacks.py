"""JAX: groups models with equal computations, and stacks their values for a vectorised step."""

import dataclasses
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Self

import jax
import numpy as np
from jax import numpy as jnp


@dataclasses.dataclass(frozen=True)
class Stacks:
    """A partition of R models into stacks.

    Attributes:
        members: for each stack, the numbers of its models.
    """

    members: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, keys: Iterable[Hashable]) -> Self:
        """Stacks of the models with equal keys."""
        stacks: dict[Hashable, list[int]] = {}
        for i, key in enumerate(keys):
            stacks.setdefault(key, []).append(i)
        return cls(tuple(map(tuple, stacks.values())))

    def stacked(self, trees: Sequence[Any]) -> list[Any]:
        """Turns one tree per model into one tree per stack; a stack of one model keeps its tree."""
        stacks = [[trees[i] for i in members] for members in self.members]
        return [jax.tree.map(_stack, *stack) if len(stack) > 1 else stack[0] for stack in stacks]

    def unstacked(self, trees: Sequence[Any]) -> list[Any]:
        """The inverse of `stacked`."""
        parts = {
            i: part
            for members, tree in zip(self.members, trees)
            for i, part in zip(members, _unstacked(tree, len(members)))
        }
        return [parts[i] for i in range(len(parts))]

    def batches(self, steps: Sequence[Sequence[Any]]) -> list[Any]:
        """For each stack the batches of all steps, which have one shape.

        Leaves have shape `[steps, B, ...]`, or `[steps, models of the stack, B, ...]`.
        """
        return [_stacked_batches(steps, members) for members in self.members]


def computation(traced: Any) -> Hashable:
    """A key of what a traced function computes: its text and its constants."""
    text = re.sub(" at 0x[0-9a-f]+", "", str(traced))  # addresses of derivative rules
    constants = map(np.asarray, _constants(traced))
    return text, *((c.dtype.str, c.shape, c.tobytes()) for c in constants)


def kind(batch: Any) -> Hashable:
    """A key of a batch: its structure, shapes and types."""
    leaves, structure = jax.tree.flatten(batch)
    return structure, *((np.shape(leaf), getattr(leaf, "dtype", type(leaf))) for leaf in leaves)


def _constants(traced: Any) -> Iterator[Any]:
    """The constants of a traced function and of those inside it."""
    yield from getattr(traced, "consts", ())
    for equation in getattr(traced, "jaxpr", traced).eqns:
        for inner in jax.tree.leaves(list(equation.params.values())):
            if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                yield from _constants(inner)


def _stacked_batches(steps: Sequence[Sequence[Any]], members: Sequence[int]) -> Any:
    structure: Any = jax.tree.structure(steps[0][members[0]])
    batches = [step[i] for step in steps for i in members]
    leaves, n = jax.tree.leaves(batches), structure.num_leaves
    columns = [_stack(*leaves[i::n]) for i in range(n)]
    if len(members) > 1:
        shape = len(steps), len(members)
        columns = [column.reshape(*shape, *column.shape[1:]) for column in columns]
    return jax.tree.unflatten(structure, columns)


def _stack(*leaves: Any) -> Any:
    on_device = any(isinstance(leaf, jax.Array) for leaf in leaves)
    # On the host, `array` takes a third of the time of `stack`.
    return jnp.stack(leaves) if on_device else np.array(leaves)


def _unstacked(tree: Any, n: int) -> list[Any]:
    return [tree] if n == 1 else [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(n)]


__all__ = ["Stacks", "computation", "kind"]
