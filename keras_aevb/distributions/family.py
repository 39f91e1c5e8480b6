"""TFP families by name, with the shapes and constraints of their parameters."""

import difflib
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb._backend import tfd, tfp
from keras_aevb.typing import Config, Distribution, Shape, Tensor

# Pairs of alternative parameters; the default is the one that TFP prefers.
ALTERNATIVES = (
    {"logits", "probs"},
    {"rate", "log_rate"},
    {"rate1", "log_rate1"},
    {"rate2", "log_rate2"},
    {"probits", "probs"},
)


# Constraints without a TFP bijector: functions of raw values and of the preceding parameters.
CONSTRAINTS = {
    "high": lambda raw, values: values["low"] + ops.softplus(raw),
    "peak": lambda raw, values: values["low"] + (values["high"] - values["low"]) * ops.sigmoid(raw),
    "mean_direction": lambda raw, values: raw / ops.maximum(_length(raw), 1e-12),
}


def _length(vector: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(vector), axis=-1, keepdims=True))


class Family:
    """A family of distributions over events of one shape.

    A parameter is a fixed number, or a tensor of raw values in ℝⁿ. TFP's bijectors map raw values
    to valid ones, such as positive numbers.

    Args:
        family: a class of `tfp.distributions` or its name, or another TFP distribution class.
        event_shape: shape of an event, a tuple. Leading dimensions that the family's own events do
            not have are independent.
        fixed: dict from the names of fixed parameters to numbers or arrays.
        given: names of parameters to compute instead of TFP's preferred ones.
        num_classes: for families over classes, such as `"Categorical"`.

    Raises:
        ValueError: if there is no such family or parameter, a fixed value is invalid, or TFP does
            not describe the family's parameters or their valid values.
    """

    def __init__(
        self,
        family: str | type,
        event_shape: Shape,
        fixed: Config,
        given: Collection[str] = (),
        num_classes: int | None = None,
    ) -> None:
        self.cls = _family_class(family)
        self.name = self.cls.__name__
        self.event_shape = event_shape
        self.fixed = fixed
        self.num_classes = num_classes
        properties = self._properties()
        unknown = sorted({*fixed, *given} - {*properties})
        if unknown:
            raise ValueError(
                f"Expected parameters of {self.name}, which are {sorted(properties)}. "
                f"Received: {unknown}"
            )
        replaced = set().union(
            *(pair - {name} for pair in ALTERNATIVES for name in pair & {*fixed, *given})
        )
        # The parameters that are computed or trained, in TFP's order.
        self.parameters = [
            name
            for name, p in properties.items()
            if name not in fixed and (name in given or (p.is_preferred and name not in replaced))
        ]
        # The shapes of their raw values for one event.
        self.raw_shapes = {name: self._raw_shape(name) for name in self.parameters}
        if fixed:
            self._check_fixed()

    @property
    def is_count(self) -> bool:
        """Whether events are counts 0, 1, 2, … without an upper limit."""
        from keras_aevb.tfp_classes import counts

        families = (
            counts.Geometric,
            counts.NegativeBinomial,
            counts.Poisson,
            counts.ZeroInflatedNegativeBinomial,
        )
        return issubclass(self.cls, families)

    def _check_fixed(self) -> None:
        raw_values = [ops.ones(shape, "float32") for shape in self.raw_shapes.values()]
        try:
            self.distribution(raw_values, "float32", validate_args=True)
        except Exception as error:  # TFP's errors differ between backends and distributions
            raise ValueError(
                f"Expected valid parameter values of {self.name}, of shapes that fit "
                f"event_shape={self.event_shape}. Received: {self.fixed}, with the error "
                f"{str(error).strip().splitlines()[0]!r}"
            ) from None

    def distribution(
        self, raw_values: Sequence[Tensor], dtype: str, validate_args: bool = False
    ) -> Distribution:
        """The distribution of event shape `event_shape`.

        Args:
            raw_values: for each of `parameters` a tensor of shape `[..., *raw shape]`.
            dtype: precision of the fixed parameters and of events.
            validate_args: whether TFP checks the parameters.
        """
        values = {
            name: ops.broadcast_to(ops.convert_to_tensor(value, dtype), self._shape(name))
            for name, value in self.fixed.items()
        }
        for name, raw in zip(self.parameters, raw_values, strict=True):
            bijector = self._bijector(name, dtype)
            values[name] = bijector.forward(raw) if bijector else CONSTRAINTS[name](raw, values)
        # Decoders need floating-point samples; the classes of a Categorical stay integers.
        if "dtype" in inspect.signature(self.cls).parameters and self.cls is not tfd.Categorical:
            values["dtype"] = dtype
        distribution = self.cls(**values, validate_args=validate_args)
        independent = len(self.event_shape) - len(distribution.event_shape)
        return tfd.Independent(distribution, independent) if independent else distribution

    def saved_name(self) -> str:
        """The name under which `Family` finds the class, on either backend.

        Raises:
            ValueError: if there is no such name.
        """
        for name in (self.name, keras.saving.get_registered_name(self.cls)):
            if _class(name) is self.cls:
                return name
        raise ValueError(
            "Expected a class of TFP or one registered with Keras, which can be saved by name. "
            f"Received: {self.cls}"
        )

    def _properties(self, dtype: str = "float32") -> Mapping[str, Any]:
        how = {"dtype": ops.zeros((), dtype).dtype}
        if self.num_classes is not None:
            how["num_classes"] = self.num_classes
        try:
            properties = self.cls.parameter_properties(**how)
        except (NotImplementedError, TypeError) as error:
            raise ValueError(
                f"TFP does not describe the parameters of {self.name}. Expected a family with "
                f"`parameter_properties`. Received the error: {error}"
            ) from None
        objects = [name for name, p in properties.items() if not p.is_tensor]
        if objects:
            raise ValueError(
                f"Expected a family whose parameters are tensors. Received: {self.name}, with the "
                f"parameters {objects}; a subclass of `ConditionalDistribution` can compose them"
            )
        return properties

    def _bijector(self, name: str, dtype: str = "float32") -> Any:
        """A new bijector to a parameter's values, since bijectors cache; `None` if TFP has none."""
        try:
            bijector = self._properties(dtype)[name].default_constraining_bijector_fn()
            bijector.forward_event_ndims  # noqa: B018  raises for TFP's placeholders
        except (AttributeError, NotImplementedError, TypeError):
            return None
        return bijector

    def _shape(self, name: str) -> Shape:
        """The shape of a parameter for one event."""
        try:
            shape = self._properties()[name].shape_fn(list(self.event_shape))
            return tuple(int(size) for size in shape)
        except (TypeError, ValueError):
            raise ValueError(
                f"The event shape does not determine the shape of `{name}` of {self.name}. "
                f"Expected `num_classes`. Received: num_classes={self.num_classes}"
            ) from None

    def _raw_shape(self, name: str) -> Shape:
        shape = self._shape(name)
        bijector = self._bijector(name)
        if bijector is not None:
            return tuple(bijector.inverse_event_shape(shape))
        if name in CONSTRAINTS:
            return shape
        raise ValueError(
            f"TFP does not describe the valid values of `{name}` of {self.name}. Expected a fixed "
            f"number, `{name}=…`. Received: none"
        )


def as_fixed(name: str, value: Any) -> Any:
    """Converts a number or an array to Python numbers, for a config.

    Raises:
        ValueError: if it is neither, or not finite.
    """
    try:
        array = np.asarray(value, "float64")
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if isinstance(value, bool | str) or not np.isfinite(array).all():
        raise ValueError(
            f"Expected `{name}` to be a Keras layer, or a fixed number or array. "
            f"Received: {value!r}"
        )
    return array.tolist()


def _family_class(family: str | type) -> Any:
    if isinstance(family, type) and family is getattr(tfd, family.__name__, None):
        family = family.__name__  # this library may replace the class
    found = _class(family) if isinstance(family, str) else family
    if not isinstance(found, type) or not issubclass(found, tfd.Distribution):
        similar = difflib.get_close_matches(str(family), _names(), n=1) or ["Gamma"]
        raise ValueError(
            f"Expected a class of `{tfp.__name__}.distributions`, or its name such as "
            f"{similar[0]!r}. Received: {family!r}"
        )
    return found


def _class(name: str) -> Any:
    """The class of this name in this library, in TFP or registered with Keras; or `None`."""
    from keras_aevb.tfp_classes.interior import with_interior_samples

    for module in _modules():
        if hasattr(module, name):
            return with_interior_samples(getattr(module, name))
    return keras.saving.get_registered_object(name)


def _modules() -> tuple[Any, ...]:
    """The modules with families, in order of precedence."""
    from keras_aevb.tfp_classes import compositions, corrections, counts, moments

    return compositions, corrections, counts, moments, tfd


def _names() -> list[str]:
    """The names of all classes of distributions."""
    values = [(name, getattr(module, name)) for module in _modules() for name in dir(module)]
    return [n for n, v in values if isinstance(v, type) and issubclass(v, tfd.Distribution)]
