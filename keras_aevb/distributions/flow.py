r"""Normalising flows: distributions transformed by invertible networks.

$$z = f_n(\dots f_1(ε)), \qquad
\log p(z) = \log p(ε) - \sum_i \log \left|\det \frac{∂f_i(z_{i-1})}{∂z_{i-1}}\right|$$

with $z_0 = ε$ from a base distribution over vectors.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self, Unpack

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfb, tfd
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.mixture import check_base
from keras_aevb.distributions.priors import Prior
from keras_aevb.distributions.wrapper import Wrapper
from keras_aevb.typing import Config, Distribution, LayerArguments, Shape, Tensor

# Bound on the absolute log scales of one step, so that no density overflows.
LARGEST_LOG_SCALE = 5.0


class FlowStep(keras.layers.Layer):
    """An invertible map from vectors in ℝⁿ to vectors in ℝⁿ.

    A subclass implements `build(shape)`, with the shape `(None, n)`, and `bijector`.

    Example:
        >>> if keras.backend.backend() == "jax":
        ...     from tensorflow_probability.substrates import jax as tfp
        ... else:
        ...     import tensorflow_probability as tfp
        >>> class Scale(FlowStep):
        ...     def build(self, shape):
        ...         self.log_scale = self.add_weight(shape[1:], "zeros", name="log_scale")
        ...
        ...     def bijector(self):
        ...         return tfp.bijectors.Scale(ops.exp(self.log_scale))
        >>> import keras_aevb as kv
        >>> prior = kv.FlowPrior(kv.StandardNormal(2), [Scale()])
        >>> float(prior.distribution().log_prob([0.0, 0.0]))  # -log 2π: the scale starts at 1
        -1.8378770
    """

    def bijector(self) -> Any:
        """A new TFP bijector on each call, since bijectors cache their results."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_aevb")
class Reverse(FlowStep):
    """Reverses the order of a vector's elements; use it between steps that depend on the order.

    Example:
        >>> step = Reverse()
        >>> step.build((None, 3))
        >>> [float(z) for z in step.bijector().forward(np.float32([0, 1, 2]))]
        [2.0, 1.0, 0.0]
    """

    def build(self, shape: Shape) -> None:
        self.permutation = np.arange(shape[-1])[::-1].astype("int32")

    def bijector(self) -> Any:
        return tfb.Permute(self.permutation)


class _NetworkStep(FlowStep):
    """A step whose shifts and log scales come from a network with one hidden layer."""

    def __init__(
        self,
        hidden_units: int,
        activation: str | Callable[[Any], Any] = "relu",
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.hidden_units = arguments.integer("hidden_units", hidden_units)
        self.activation = keras.activations.get(activation)

    def _add_weights(self, num_inputs: int, num_outputs: int) -> None:
        """Adds the weights; the last layer starts at zero, so the step starts as the identity."""
        self.hidden_kernel = self.add_weight((num_inputs, self.hidden_units), name="hidden_kernel")
        self.hidden_bias = self.add_weight((self.hidden_units,), "zeros", name="hidden_bias")
        shape = (self.hidden_units, 2 * num_outputs)
        self.kernel = self.add_weight(shape, "zeros", name="kernel")
        self.bias = self.add_weight((2 * num_outputs,), "zeros", name="bias")

    def shift_and_log_scale(
        self, z: Tensor, hidden_mask: Any = 1.0, mask: Any = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Shift and log scale, each of shape `[..., outputs]`, for z of shape `[..., inputs]`."""
        weights = (self.hidden_kernel, self.hidden_bias, self.kernel, self.bias)
        hidden_kernel, hidden_bias, kernel, bias = (ops.cast(w, z.dtype) for w in weights)
        hidden = self.activation(ops.matmul(z, hidden_kernel * hidden_mask) + hidden_bias)
        shift, log_scale = ops.split(ops.matmul(hidden, kernel * mask) + bias, 2, axis=-1)
        return shift, LARGEST_LOG_SCALE * _backend.tanh(log_scale / LARGEST_LOG_SCALE)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="keras_aevb")
class Coupling(_NetworkStep):
    r"""A real NVP coupling: the first half of a vector shifts and scales the second.

    $$y_1 = z_1, \qquad y_2 = z_2 \, e^{s(z_1)} + t(z_1)$$

    Sampling and density cost the same.

    Args:
        hidden_units: hidden units of the network for s and t.
        activation: activation of its hidden layer.
        **kwargs: arguments of `keras.layers.Layer`.

    Reference: Dinh et al. (2017), arXiv:1605.08803, eqs. 4 and 5.

    Example:
        >>> import keras_aevb as kv
        >>> prior = kv.FlowPrior(kv.StandardNormal(4), [Coupling(32), kv.Reverse(), Coupling(32)])
    """

    def build(self, shape: Shape) -> None:
        self.num_masked = shape[-1] // 2
        if not self.num_masked:
            raise ValueError(f"Expected vectors of at least 2 elements. Received: {shape[-1]}")
        self._add_weights(self.num_masked, shape[-1] - self.num_masked)

    def bijector(self) -> Any:
        return tfb.RealNVP(
            num_masked=self.num_masked,
            shift_and_log_scale_fn=lambda z, output_units: self.shift_and_log_scale(z),
        )


@keras.saving.register_keras_serializable(package="keras_aevb")
class Autoregressive(_NetworkStep):
    r"""A masked autoregressive step: preceding elements determine each element's shift and scale.

    $$y_i = z_i \, e^{s_i(y_{<i})} + t_i(y_{<i})$$

    The density of a given y takes one pass through the network; sampling takes one pass for each
    element. `inverse=True` applies the inverse map, $y_i = (z_i - t_i(z_{<i})) e^{-s_i(z_{<i})}$:
    sampling, with the density of the samples, takes one pass. Use it for posteriors.

    Args:
        hidden_units: hidden units of the masked network for s and t.
        activation: activation of its hidden layer.
        inverse: whether s and t are functions of the step's input.
        **kwargs: arguments of `keras.layers.Layer`.

    Reference: Papamakarios et al. (2017), arXiv:1705.07057, eqs. 3 and 4; Kingma et al. (2016),
    arXiv:1606.04934; Germain et al. (2015), arXiv:1502.03509, eqs. 8 and 9 for the masks.

    Example:
        >>> import keras_aevb as kv
        >>> step = Autoregressive(32, inverse=True)
        >>> posterior = kv.FlowPosterior(kv.DiagonalNormal(4), [step])
    """

    def __init__(
        self,
        hidden_units: int,
        activation: str | Callable[[Any], Any] = "relu",
        inverse: bool = False,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(hidden_units, activation, **kwargs)
        self.inverse = arguments.boolean("inverse", inverse)

    def build(self, shape: Shape) -> None:
        n = shape[-1]
        degrees = np.arange(self.hidden_units) % max(n - 1, 1) + 1  # from 1 to n - 1
        elements = np.arange(1, n + 1)
        self.hidden_mask = (elements[:, None] <= degrees).astype("float32")
        self.mask = np.tile(degrees[:, None] < elements, 2).astype("float32")
        self._add_weights(n, n)

    def bijector(self) -> Any:
        flow = tfb.MaskedAutoregressiveFlow(
            lambda y: self.shift_and_log_scale(y, self.hidden_mask, self.mask),
            # JAX cannot differentiate a loop of unknown length.
            unroll_loop=True,
        )
        return tfb.Invert(flow) if self.inverse else flow

    def get_config(self) -> Config:
        return {**super().get_config(), "inverse": self.inverse}


def _built(steps: Sequence[FlowStep], event_shape: Shape) -> list[FlowStep]:
    """Checks flow steps and builds them for vectors of one size.

    Raises:
        ValueError: if there are none, one is not a `FlowStep`, or events are not vectors.
    """
    is_list = isinstance(steps, list | tuple)
    if not is_list or not steps or not all(isinstance(step, FlowStep) for step in steps):
        raise ValueError(
            "Expected a list of flow steps, such as `Coupling`, `Autoregressive` and `Reverse`. "
            f"Received: {steps!r}"
        )
    steps = list(steps)
    if len(event_shape) != 1:
        raise ValueError(f"Flows map vectors. Expected one dimension. Received: {event_shape}")
    for step in steps:
        if not step.built:
            step.build((None, *event_shape))
            step.built = True
    return steps


def _transformed(base: Distribution, steps: Sequence[FlowStep]) -> Distribution:
    """`base`, transformed by the steps in order."""
    return tfd.TransformedDistribution(base, tfb.Chain([s.bijector() for s in reversed(steps)]))


@keras.saving.register_keras_serializable(package="keras_aevb")
class FlowPosterior(Wrapper):
    """A conditional distribution, transformed by a flow.

    Args:
        base: `ConditionalDistribution` over vectors.
        steps: list of flow steps, applied in order to samples of `base`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `base` or a step has the wrong type, or events are not vectors.

    Reference: Rezende & Mohamed (2015), arXiv:1505.05770, eqs. 5 to 7.

    Example:
        >>> import keras_aevb as kv
        >>> steps = [kv.Autoregressive(32, inverse=True), kv.Reverse(), kv.Coupling(32)]
        >>> posterior = FlowPosterior(kv.DiagonalNormal(4), steps)
    """

    def __init__(
        self, base: ConditionalDistribution, steps: Sequence[FlowStep], **kwargs: Any
    ) -> None:
        super().__init__(base, **kwargs)
        self.steps = _built(steps, base.event_shape)

    def distribution(self, *parameters: Tensor) -> Distribution:
        return _transformed(self.base.distribution(*parameters), self.steps)

    def get_config(self) -> Config:
        return {**super().get_config(), "steps": keras.saving.serialize_keras_object(self.steps)}


@keras.saving.register_keras_serializable(package="keras_aevb")
class FlowPrior(Prior):
    """A prior, transformed by a flow.

    Args:
        base: `Prior` over vectors.
        steps: list of flow steps, applied in order to samples of `base`.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if `base` or a step has the wrong type, or events are not vectors.

    Reference: Papamakarios et al. (2017), arXiv:1705.07057.

    Example:
        >>> import keras_aevb as kv
        >>> prior = FlowPrior(kv.StandardNormal(4), [kv.Autoregressive(32), kv.Reverse()])
    """

    def __init__(self, base: Prior, steps: Sequence[FlowStep], **kwargs: Any) -> None:
        if not isinstance(base, Prior):
            raise ValueError(f"Expected a Prior as base. Received: {base!r}")
        check_base("base", base)
        kwargs.pop("event_shape", None)  # it comes from the base
        super().__init__(base.event_shape, **kwargs)
        self.base = base
        self.steps = _built(steps, base.event_shape)

    def distribution(self) -> Distribution:
        return _transformed(self.base.distribution(), self.steps)

    def get_config(self) -> Config:
        base = keras.saving.serialize_keras_object(self.base)
        return {
            **super().get_config(),
            "base": base,
            "steps": keras.saving.serialize_keras_object(self.steps),
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})
