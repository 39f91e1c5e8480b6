"""Validation of the terms that bounds, algorithms and estimators return, also a user's own."""

from collections.abc import Iterable

from keras_aevb.typing import Tensor, Terms


def check_terms(source: object, terms: Terms, names: Iterable[str], x: Tensor) -> None:
    """Raises a `ValueError` unless each of `names` is a term with one number for each example.

    Args:
        source: the bound, model or estimator that returned the terms.
        terms: dict of tensors, of static shapes.
        names: the terms that the caller reads.
        x: the examples, of shape `[B, *event_shape]`.
    """
    names = list(dict.fromkeys(names))
    missing = [name for name in names if name not in terms]
    if missing:
        raise ValueError(
            f"Expected {type(source).__name__} to return the terms {names}. Received: "
            f"{[*terms]}, without {missing}"
        )
    for name in names:
        check_one_per_example(source, name, terms[name], x)


def check_one_per_example(source: object, name: str, values: Tensor, x: Tensor) -> None:
    """Raises a `ValueError` unless a tensor has shape `[B]`."""
    shape, size = tuple(values.shape), x.shape[0]
    if len(shape) != 1 or (None not in (shape[0], size) and shape[0] != size):
        raise ValueError(
            f"Expected `{name}` of {type(source).__name__} to have one value for each example, "
            f"shape ({size},). Received: shape {shape}. `ops.mean(…, axis=0)` averages over "
            "samples, `ops.sum(…, axis=-1)` adds up dimensions"
        )
