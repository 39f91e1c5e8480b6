"""Validates the data that users pass, and makes epochs of batches from it."""

from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_aevb.batches import EpochMinibatches, RowBatches
from keras_aevb.training import inputs
from keras_aevb.training.epochs import (
    Epochs,
    RowEpochs,
    StreamEpochs,
    are_rows,
    fits_device,
    on_device,
)
from keras_aevb.typing import ConditionLike


def checked(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    name: str = "x",
    training: bool = True,
) -> tuple[Any, Any, Any]:
    """Validates data for training or evaluation.

    Args:
        model: `TrainingLoop`.
        x, y, sample_weight: as for `fit`.
        name: name of x in errors.
        training: whether the data is for training.

    Returns:
        A tuple (x, labels, sample weights) of arrays; or (stream, `None`, `None`).

    Raises:
        ValueError: if x is neither an array nor a stream, an array has the wrong shape or
            impossible values, or y or sample weights are given in addition to a stream.
    """
    x, y, sample_weight = model.unpacked((x, y, sample_weight))
    if x is None or isinstance(x, str | list | tuple):
        raise ValueError(
            f"Expected one array or a stream of batches as {name}. Received: {_described(x)}"
        )
    if are_rows(x):
        model.check_rows(x, training)
    if not inputs.is_array(x):
        inputs.check_stream(x, name)
        for argument, value in {"y": y, "sample_weight": sample_weight}.items():
            if value is not None:
                raise ValueError(
                    f"A stream yields its own `{argument}`. Expected batches (x, y, "
                    f"sample_weight) and no `{argument}`. Received: {argument}={type(value)}"
                )
        return x, None, None
    dtype = model.likelihood.density_dtype
    model.check_once([x], lambda: inputs.check_in_parts(x, model.likelihood))
    n = len(x)
    inputs.check_sample_weight(sample_weight, n)
    return (
        x,
        model.labels(y, n),
        None if sample_weight is None else inputs.as_array(sample_weight, "sample_weight", dtype),
    )


def examples(
    model: keras.Model, x: Any, condition: ConditionLike | None = None, conditional: bool = True
) -> tuple[Iterable[list[np.ndarray]], int | None]:
    """Validates examples for functions of only x and a condition, such as `predict`.

    Args:
        model: `LatentVariableModel`.
        x: an array, a dict with x and the condition, or a stream of batches (x, y).
        condition: y for an array x.
        conditional: whether the function depends on the model's condition.

    Returns:
        A pair: an iterable of lists of NumPy arrays, [x] or [x, y], and the number of examples,
        `None` for a stream.

    Raises:
        ValueError: if x is neither an array nor a stream; an array or a batch has the wrong shape
            or impossible values; or the condition is missing, invalid, or given in addition to
            a stream.
    """
    x, condition, _ = model.unpacked((x, condition))
    needs_y = conditional and model.condition is not None
    dtype = model.likelihood.density_dtype
    if not inputs.is_stream(x):
        n = inputs.check_in_parts(x, model.likelihood)
        has_y = conditional and (needs_y or condition is not None)
        y = model.checked_conditions(condition, n) if has_y else []
        rows = _row_slices(inputs.parts(x, dtype))
        return ([part, *(values[slice_] for values in y)] for slice_, part in rows), n
    if condition is not None:
        raise ValueError(
            "A stream yields its own condition. Expected batches (x, y) and no `condition`. "
            f"Received: condition={type(condition)}"
        )

    def check(x: Any, y: Any = None, sample_weight: Any = None) -> None:
        array = inputs.as_array(x, dtype=dtype)
        model.likelihood.check(array)
        if needs_y:
            model.condition.checked(y, len(array))

    epoch = StreamEpochs(x, 1, model.unpacked, check).epoch(0)
    num_parts = 2 if needs_y else 1
    return (
        [inputs.as_array(part, dtype=dtype) for part in batch[:num_parts]]
        for _, batches in epoch
        for batch in batches
    ), None


def _row_slices(parts: Iterable[np.ndarray]) -> Iterator[tuple[slice, np.ndarray]]:
    """Pairs of parts of an array and the slices of their rows."""
    start = 0
    for part in parts:
        yield slice(start, start + len(part)), part
        start += len(part)


def row_batches(
    model: keras.Model,
    data: tuple[Any, Any, Any],
    batch_size: int | None = None,
    shuffle: bool = False,
) -> RowBatches | None:
    """Validated arrays as `EpochMinibatches`, a `RowBatches` unchanged, else `None`."""
    if isinstance(data[0], RowBatches):
        return data[0]
    if not inputs.is_array(data[0]):
        return None
    arrays = [array for array in data if array is not None]
    return EpochMinibatches(arrays, batch_size or 32, shuffle, model.seed_generator)


def epochs(
    model: keras.Model,
    data: tuple[Any, Any, Any],
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    class_weight: Any = None,
    training: bool = True,
    whole: bool = False,
) -> Epochs:
    """Epochs of validated data: row indices if the arrays fit the device, else whole batches."""
    stream = row_batches(model, data, batch_size, shuffle)
    if are_rows(stream) and not class_weight:
        device_resident = not whole and fits_device(stream)
        if not training:
            steps = min(steps or len(stream), len(stream))
        if limit := keras.config.max_steps_per_epoch():
            steps = min(steps or len(stream), limit)
        return RowEpochs(
            stream,
            model.steps_per_execution,
            steps,
            on_device(stream.arrays, model.likelihood.density_dtype) if device_resident else None,
        )
    return StreamEpochs(
        data[0] if stream is None else stream,
        model.steps_per_execution,
        model.unpacked,
        lambda *batch: model.check_batch(*batch, training=training),
        steps_per_epoch=steps,
        class_weight=class_weight,
    )


def _described(x: Any) -> str:
    return repr(x) if x is None or isinstance(x, str) else f"a {type(x).__name__} of {len(x)}"
