"""JAX: pure functions of the variables' values, gradients by `jax.grad`, compilation by `jax.jit`.

Code that reads and assigns Keras variables becomes pure inside a `keras.StatelessScope`: the scope
holds the values, and the variables do not change.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import jax
import keras

from keras_aevb._backend.built import check_built
from keras_aevb._backend.compensated_mean import CompensatedMean
from keras_aevb._backend.lazy_module import check_installed, lazy_module


@contextlib.contextmanager
def without_tensorflow() -> Iterator[None]:
    """Hides TensorFlow from imports that can do without it, unless it is already imported.

    TFP on JAX imports TensorFlow only to copy its docstrings, which takes seconds and half a
    gigabyte.
    """
    absent = "tensorflow" not in sys.modules
    if absent:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules["tensorflow"]


def _tfp() -> ModuleType:
    try:
        # TFP's constants must not belong to a program that is being compiled.
        with without_tensorflow(), jax.ensure_compile_time_eval():
            from tensorflow_probability.substrates import jax as tfp

            tfp.distributions  # noqa: B018  TFP loads lazily, here
    except (ImportError, AttributeError) as error:
        raise _not_loaded(error) from error
    return tfp


def _not_loaded(cause: object) -> ImportError:
    return ImportError(
        "TensorFlow Probability could not be loaded for the jax backend: tensorflow-probability "
        "0.25 works with jax 0.5 and 0.6, newer jax needs tfp-nightly. "
        f"Found: jax {jax.__version__}. Install compatible versions with: "
        "pip install 'keras-aevb[jax]', or, for the newest jax without TensorFlow, "
        f"'keras-aevb[jax-latest]'. The cause was: {cause}"
    )


check_installed(["tensorflow_probability"], _not_loaded)


SUBSTRATE = "tensorflow_probability.substrates.jax"
tfp = lazy_module(SUBSTRATE, _tfp)
tfd = lazy_module(f"{SUBSTRATE}.distributions", lambda: tfp.distributions)
tfb = lazy_module(f"{SUBSTRATE}.bijectors", lambda: tfp.bijectors)
linalg = lazy_module(f"{SUBSTRATE}.tf2jax.linalg", lambda: tfp.tf2jax.linalg)

mean_metric = CompensatedMean
# Keras' functions compute these in float32, even for arrays of float64.
mean = jax.numpy.mean
tanh = jax.numpy.tanh
variance = jax.numpy.var


def next_seed(generator: keras.random.SeedGenerator) -> jax.Array:
    """Keras' seed is a raw JAX key, `uint32[2]`."""
    return generator.next()


def fixed_seed(seed: int, index: int) -> jax.Array:
    return jax.numpy.array([seed & 0xFFFFFFFF, index], "uint32")


def seed_of(number: jax.Array) -> jax.Array:
    return jax.numpy.stack([number.astype("uint32"), jax.numpy.uint32(0)])


def fold_in(seed: jax.Array, i: jax.Array | int) -> jax.Array:
    return jax.random.fold_in(seed, i)


def step(method: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A pure `step(self, state, data) -> (logs, state)` from a stateful `method(self, data)`.

    `state` holds the values of the trainable, non-trainable, (when training) optimizer and metrics
    variables, in this order, as Keras' JAX trainer passes them.
    """

    @functools.wraps(method)
    def pure(self: Any, state: Sequence[Any], data: Any) -> tuple[Any, tuple[Any, ...]]:
        groups = [self.trainable_variables, self.non_trainable_variables, self.metrics_variables]
        if len(state) == 4:
            groups.insert(2, self.optimizer.variables)
        with _scope(groups, state) as scope:
            logs = method(self, data)
        return logs, tuple(_values(scope, variables) for variables in groups)

    return pure


def minimize(model: keras.Model, loss: Callable[[], Any]) -> None:
    trainable, optimizer_state = model.trainable_variables, model.optimizer.variables
    others = model.non_trainable_variables + model.metrics_variables + optimizer_state
    derivatives, updates = _gradients(lambda: model.optimizer.scale_loss(loss()), trainable, others)
    check_built(model, trainable)
    values = [[v.value for v in group] for group in (optimizer_state, trainable)]
    results = model.optimizer.stateless_apply(values[0], derivatives, values[1])
    for group, values in zip((others, trainable, optimizer_state), (updates, *results)):
        for variable, value in zip(group, values):
            variable.assign(value)


def gradients(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    others: Sequence[keras.Variable] = (),
) -> list[jax.Array]:
    return _gradients(function, variables, others)[0]


def with_derivatives(function: Callable[..., Any], *derivatives: Callable[..., Any]) -> Any:
    differentiable = jax.custom_jvp(function)  # in forward mode too
    differentiable.defjvps(
        *(lambda tangent, _, *arguments, d=d: tangent * d(*arguments) for d in derivatives)
    )
    return differentiable


def compiled(model: keras.Model, function: Callable[..., Any]) -> Callable[..., Any]:
    def pure(values: Any, *args: Any) -> Any:
        with full_precision(), _scope([model.variables], [values]):
            return function(*args)

    program = pure if model.run_eagerly else jax.jit(pure)
    return lambda *args: program([v.value for v in model.variables], *args)


def full_precision() -> contextlib.AbstractContextManager[Any]:
    return jax.default_matmul_precision("highest")


def device_bytes() -> int | None:
    statistics = jax.local_devices()[0].memory_stats()
    return statistics["bytes_limit"] if statistics else None


def has_replicas(model: keras.Model) -> bool:
    """Always false: a step sees the whole batch, even if Keras distributes it over devices."""
    return False


def is_first_process(model: keras.Model) -> bool:
    return jax.process_count() == 1 or jax.process_index() == 0


def num_replicas() -> int:
    return 1


def sum_over_replicas(value: Any) -> Any:
    return value


def over_examples(function: Callable[..., Any], seed: jax.Array | None, *arrays: Any) -> Any:
    """`function(seed, *arrays)`; if the batch size is symbolic, one example at a time.

    TFP needs integer sizes. It receives batches of one example, and `jax.vmap` handles the symbolic
    size. Each example then has its own seed.
    """
    if all(isinstance(array.shape[0], int) for array in arrays):
        return function(seed, *arrays)

    def of_one(seed: jax.Array | None, *rows: jax.Array) -> Any:
        results = function(seed, *(row[None] for row in rows))
        return jax.tree.map(lambda result: result[0], results)

    if seed is None:
        return jax.vmap(lambda *rows: of_one(None, *rows))(*arrays)
    seeds = jax.vmap(lambda i: fold_in(seed, i))(jax.numpy.arange(arrays[0].shape[0]))
    return jax.vmap(of_one)(seeds, *arrays)


def _gradients(
    function: Callable[..., Any],
    variables: Sequence[keras.Variable],
    others: Sequence[keras.Variable],
) -> tuple[list[jax.Array], list[Any]]:
    """Derivatives of `function()` in `variables`, and the new values of `others`."""
    other_values = [v.value for v in others]

    def pure(values: Any) -> tuple[Any, list[Any]]:
        # A scope hides the one around it, so pass on the others' values.
        with _scope([others, variables], [other_values, values]) as scope:
            result = function()
        return result, _values(scope, others)

    return jax.grad(pure, has_aux=True)([v.value for v in variables])


def _scope(
    groups: Sequence[Sequence[keras.Variable]], states: Sequence[Sequence[Any]]
) -> keras.StatelessScope:
    pairs = [pair for variables, values in zip(groups, states) for pair in zip(variables, values)]
    return keras.StatelessScope(state_mapping=pairs, collect_losses=True)


def _values(scope: keras.StatelessScope, variables: Sequence[keras.Variable]) -> list[Any]:
    return [scope.get_current_value(v) for v in variables]


__all__ = [
    "compiled",
    "device_bytes",
    "fixed_seed",
    "fold_in",
    "full_precision",
    "gradients",
    "has_replicas",
    "is_first_process",
    "linalg",
    "mean",
    "mean_metric",
    "minimize",
    "next_seed",
    "num_replicas",
    "over_examples",
    "seed_of",
    "step",
    "sum_over_replicas",
    "tanh",
    "tfb",
    "tfd",
    "tfp",
    "variance",
    "with_derivatives",
]
