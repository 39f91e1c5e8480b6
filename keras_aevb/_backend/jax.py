"""JAX: pure functions of the variables' values, gradients by `jax.grad`, compilation by `jax.jit`.

Code that reads and assigns Keras variables becomes pure inside a `keras.StatelessScope`: the scope
holds the values, and the variables are left alone.
"""

import functools

import jax
import keras

try:
    from tensorflow_probability.substrates import jax as tfp
except (ImportError, AttributeError) as error:
    raise ImportError(
        "TensorFlow Probability could not be loaded for the jax backend: tensorflow-probability "
        f"0.25 works with jax 0.5 and 0.6, newer jax {jax.__version__!r} needs tfp-nightly. "
        "Install versions made for each other with: pip install 'keras-aevb[jax]'. "
        f"The cause was: {error}"
    ) from error


def next_seed(generator):
    """Keras keeps `uint32[2]`, which is a raw JAX key."""
    return generator.next()


def fixed_seed(seed, index):
    return jax.numpy.array([seed & 0xFFFFFFFF, index], "uint32")


def step(method):
    """A pure `step(self, state, data) -> (logs, state)` from a stateful `method(self, data)`.

    `state` holds the values of the trainable, non-trainable, (when training) optimizer and metrics
    variables, in this order, as Keras' JAX trainer passes them.
    """

    @functools.wraps(method)
    def pure(self, state, data):
        groups = [self.trainable_variables, self.non_trainable_variables, self.metrics_variables]
        if len(state) == 4:
            groups.insert(2, self.optimizer.variables)
        with _scope(groups, state) as scope:
            logs = method(self, data)
        return logs, tuple(_values(scope, variables) for variables in groups)

    return pure


def minimize(model, loss):
    trainable = model.trainable_variables
    others = model.non_trainable_variables + model.metrics_variables
    groups = [trainable, others, model.optimizer.variables]
    trainable_values, *other_values = [[v.value for v in group] for group in groups]

    def scaled_loss(values):
        with _scope(groups, [values, *other_values]) as scope:
            scaled = model.optimizer.scale_loss(loss())
        return scaled, _values(scope, others)

    gradients, updates = jax.grad(scaled_loss, has_aux=True)(trainable_values)
    states = model.optimizer.stateless_apply(other_values[1], gradients, trainable_values)
    for group, values in zip(groups, (states[0], updates, states[1])):
        for variable, value in zip(group, values):
            variable.assign(value)


def compiled(model, function):
    def pure(values, *args):
        with _scope([model.variables], [values]):
            return function(*args)

    program = pure if model.run_eagerly else jax.jit(pure)
    return lambda *args: program([v.value for v in model.variables], *args)


def _scope(groups, states):
    pairs = [pair for variables, values in zip(groups, states) for pair in zip(variables, values)]
    return keras.StatelessScope(state_mapping=pairs, collect_losses=True)


def _values(scope, variables):
    return [scope.get_current_value(v) for v in variables]


__all__ = ["compiled", "fixed_seed", "minimize", "next_seed", "step", "tfp"]
