"""Validation of a model's parts when the model is built."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend
from keras_aevb._backend import tfd, tfp
from keras_aevb._backend.keras_private import named_inputs
from keras_aevb.bounds import Bound
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.typing import Distribution, Tensor
from keras_aevb.unconstrained import onto_support

# Unconstrained coordinates at which supports are compared.
COORDINATES = (-4.0, -1.0, 0.0, 1.0, 4.0)
BATCH = 3
NUM_DRAWS = 32


def check_type(name: str, part: Any, expected: type | tuple[type, ...]) -> None:
    """Raises a `ValueError` if a part of a model has the wrong type."""
    if not isinstance(part, expected):
        kinds = expected if isinstance(expected, tuple) else (expected,)
        wanted = " or a ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"Expected `{name}` to be a {wanted}. Received: {part!r}")


def check_network(name: str, network: Any) -> None:
    """Raises a `ValueError` if a network is not a Keras layer, or has several named inputs."""
    if not isinstance(network, keras.layers.Layer):
        raise ValueError(f"Expected `{name}` to be a Keras model or layer. Received: {network!r}")
    names = named_inputs(network)
    if len(names) > 1:  # Keras would take them in sorted order
        raise ValueError(
            f"Expected the inputs of `{name}` in a list, with the condition's features last. "
            f"Received: a dict of {', '.join(map(repr, names))}"
        )


def check_terms(bound: Bound) -> None:
    """Raises a `ValueError` if the logs would lack the term that is the bound."""
    if bound.objective not in bound.terms:
        name = type(bound).__name__
        raise ValueError(
            f"Expected `{name}.terms` to contain its `objective`, {bound.objective!r}. Received: "
            f"{bound.terms!r}. `terms` names all terms of the logs: write `terms = "
            f"(*kv.Bound.terms, …)` to add to the usual ones"
        )


def example_distribution(part: ConditionalDistribution, features: Tensor) -> Distribution:
    """A distribution of batch shape `[3]`, all parameters 1; also sets `part.parameter_shapes`.

    Args:
        part: `ConditionalDistribution`.
        features: symbolic features of a batch.
    """
    parameters = part(features)
    part.parameter_shapes = [tuple(p.shape[1:]) for p in parameters]
    ones = [ops.ones((BATCH, *p.shape[1:]), p.dtype) for p in parameters]
    return part.distribution(*ones)


def check_distribution(
    name: str, distribution: Any, batch_shape: Sequence[int], event_shape: Sequence[int]
) -> None:
    """Raises a `ValueError` unless a part returns a TFP distribution of these shapes."""
    if not isinstance(distribution, tfd.Distribution):
        raise ValueError(
            f"Expected the {name} to return a distribution of `{tfp.__name__}`, the build of "
            f"TensorFlow Probability for the {keras.backend.backend()} backend. Received: "
            f"{type(distribution).__module__}.{type(distribution).__name__}"
        )
    received = tuple(distribution.batch_shape), tuple(distribution.event_shape)
    if received != (tuple(batch_shape), tuple(event_shape)):
        raise ValueError(
            f"Expected the {name}'s distribution of batch shape {tuple(batch_shape)} and event "
            f"shape {tuple(event_shape)}. Received: batch shape {received[0]} and event shape "
            f"{received[1]}. `tfd.Independent(distribution, {len(event_shape)})` turns the last "
            "batch dimensions into event dimensions"
        )


def check_same_precision(likelihood: ConditionalDistribution, prior: Any) -> None:
    """Raises a `ValueError` if log p(x|z) and log p(z), which are added, have different dtypes."""
    if likelihood.density_dtype != prior.density_dtype:
        raise ValueError(
            "Expected likelihood, prior and posterior of one dtype, so that their densities can be "
            f"added. Received: likelihood with {likelihood.density_dtype}, prior with "
            f"{prior.density_dtype}"
        )


def check_same_z(q: Distribution, prior: Distribution) -> None:
    """Raises a `ValueError` unless q(z|x) and p(z) are distributions over the same z."""
    received = (
        f"posterior {type(q).__name__} with event shape {tuple(q.event_shape)} and dtype "
        f"{_dtype(q)}, prior {type(prior).__name__} with event shape "
        f"{tuple(prior.event_shape)} and dtype {_dtype(prior)}"
    )
    expected = "Expected posterior and prior to be distributions over the same z"
    if q.event_shape != prior.event_shape:
        raise ValueError(f"{expected}. Received: {received}")
    z = q.sample(NUM_DRAWS, seed=_backend.fixed_seed(0, 0))
    discrete = [
        _is_discrete(z),
        _is_discrete(prior.sample(NUM_DRAWS, seed=_backend.fixed_seed(0, 1))),
    ]
    if discrete[0] != discrete[1]:
        kinds = ["discrete" if d else "continuous" for d in discrete]
        raise ValueError(
            f"{expected}, both discrete or both continuous. Received: {received}; the "
            f"posterior is {kinds[0]}, the prior {kinds[1]}"
        )
    if _dtype(q) != _dtype(prior):
        raise ValueError(f"{expected}, of one dtype. Received: {received}")
    ours, theirs = onto_support(q), onto_support(prior)
    if ours and theirs:
        inside = _holds(theirs, _points(ours, q.event_shape, _dtype(q)))
    else:
        inside = np.isfinite(np.asarray(prior.log_prob(z))).all()
    if not inside:
        raise ValueError(
            f"{expected}, with every sample of q(z|x) inside the support of p(z); otherwise the "
            f"bound is -∞. Received: {received}. Choose a prior of the posterior's family"
        )


def _is_discrete(z: Any) -> bool:
    """Whether samples are integers, which has probability 0 for a density."""
    return bool(np.all(np.asarray(z) == np.round(np.asarray(z))))


def _dtype(distribution: Distribution) -> str:
    return keras.backend.standardize_dtype(distribution.dtype)


def _points(bijector: Any, event_shape: Sequence[int], dtype: str) -> Tensor:
    """Points of a support, spread between its edges: `[5, 3, *event_shape]`."""
    shape = bijector.inverse_event_shape(event_shape)
    coordinates = np.array(COORDINATES, dtype).reshape(-1, *[1] * (len(shape) + 1))
    return bijector.forward(ops.broadcast_to(coordinates, (len(COORDINATES), BATCH, *shape)))


def _holds(bijector: Any, z: Any) -> bool:
    """Whether points lie in the image of a bijector: its inverse and forward maps restore them."""
    with np.errstate(all="ignore"):
        # Copies the result, so that the bijector does not return z from its cache.
        back = bijector.forward(ops.convert_to_tensor(np.asarray(bijector.inverse(z))))
        return np.allclose(np.asarray(back), np.asarray(z), rtol=1e-2, atol=1e-3)
