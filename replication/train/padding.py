"""Models with more latent variables than they use.

On a GPU, `Replicas` trains models that compute the same as one. The models of figure 2 differ only
in N_z: with zeros behind their latent variables all of one algorithm compute the same. The noise of
the latent variables does not change, so neither do the numbers, up to rounding.
"""

import keras
from keras import ops

import keras_aevb as kv
from keras_aevb.distributions.wrapper import Wrapper
from keras_aevb.tfp_classes import Normal


def add_zeros(posterior, prior, n):
    """Posterior and prior of which only the first n latent variables vary; the others are zero.

    Args:
        posterior: `DiagonalNormal`.
        prior: `StandardNormal` of the same event shape `[N]`.
        n: number of latent variables that vary.

    Returns:
        Dict of the two parts.
    """
    return {"posterior": _PaddedPosterior(posterior, n), "prior": _PaddedPrior(prior, n)}


def copy_weights(source, target):
    """Copies the variables and the optimizer's state, to or from a model with padding."""
    for old, new in zip(_variables(source), _variables(target), strict=True):
        sizes = [(a, b) for a, b in zip(old.shape, new.shape)]
        value = ops.pad(old.value, [(0, max(b - a, 0)) for a, b in sizes]) if sizes else old.value
        new.assign(ops.copy(value[tuple(slice(b) for _, b in sizes)]))


def _variables(model):
    """All variables but the numbers of latent variables."""
    model.optimizer.build(model.trainable_variables)
    own = {id(part.n) for part in (model.posterior, model.prior) if hasattr(part, "n")}
    return [v for v in model.variables + model.optimizer.variables if id(v) not in own]


class _PaddedPosterior(Wrapper):
    """q(z|x) of n latent variables, and N - n that are zero.

    The number n is a variable: models compute the same whatever its value.
    """

    def __init__(self, base, n):
        super().__init__(base)
        self.n = _number(self, n)

    def distribution(self, *parameters):
        used = ops.cast(ops.arange(*self.event_shape) < self.n, "float32")
        # These products also keep gradients from the weights of unused variables.
        normal = self.base.distribution(*(used * parameter for parameter in parameters))
        return _padded(normal, self.n)


class _PaddedPrior(kv.Prior):
    """p(z) of n latent variables, and N - n that are zero."""

    def __init__(self, base, n):
        super().__init__(base.event_shape)
        self.base = base
        self.n = _number(self, n)

    def distribution(self):
        return _padded(self.base.distribution(), self.n)


def _number(layer, n):
    initializer = keras.initializers.Constant(n)
    return layer.add_weight((), initializer, "int32", trainable=False, name="n")


def _padded(normal, n):
    elements = _PaddedNormal(normal.distribution.loc, normal.distribution.scale)
    elements.n = n
    return type(normal)(elements, normal.reinterpreted_batch_ndims)


class _PaddedNormal(Normal):
    """Normal variables of shape `[..., N]`, with the noise of n variables and zeros behind it."""

    def _sample_n(self, num_samples, seed=None):
        standard = Normal(ops.zeros_like(self.loc), ops.ones_like(self.scale))
        noise = standard._sample_n(num_samples, seed)
        # JAX's random number i depends on the seed and i alone, so the first numbers are those of
        # a smaller array.
        numbers, column = ops.reshape(noise, (-1,)), ops.arange(noise.shape[-1])
        row = ops.arange(numbers.shape[0] // noise.shape[-1])
        used = ops.take(numbers, row[:, None] * self.n + column)
        padded = ops.reshape(ops.where(column < self.n, used, 0.0), noise.shape)
        return self.loc + self.scale * padded
