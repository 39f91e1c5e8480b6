"""The loops of `fit`, `evaluate` and `predict`."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_aevb import _backend
from keras_aevb._backend.keras_private import (
    discard_damaged_metadata,
    forget_restored_epoch,
    has_backup,
    inner_optimizer,
    only_restore,
    restored_epoch,
)
from keras_aevb.training import adapters
from keras_aevb.training.epochs import Epochs, side_by_side
from keras_aevb.typing import Tensor


def fit(
    models: Sequence[keras.Model],
    sources: Sequence[Epochs],
    program: Callable[[Sequence[keras.Model]], Any],
    callbacks: Sequence[keras.callbacks.CallbackList],
    epochs: int,
    initial_epoch: int = 0,
    validate: Callable[[keras.Model, Any, int], dict[str, float] | None] | None = None,
) -> None:
    """Trains models side by side.

    A stopped model trains to the end of the epoch, unless all models have stopped.

    Args:
        models: list of R models.
        sources: list of R sources of epochs, from `keras_aevb.training.epochs`.
        program: function from a list of models to their current program.
        callbacks: list of R `keras.callbacks.CallbackList`.
        epochs: index of the epoch before which training stops.
        initial_epoch: index of the first epoch.
        validate: function of a model, its callbacks and an epoch. It returns validation logs, or
            `None` for an epoch without validation.
    """
    epochs = min(epochs, keras.config.max_epochs() or epochs)
    for model, calls in zip(models, callbacks):
        model.stop_training = False
        forget_restored_epoch(model)
        model.restored_epoch = None
        for backup in backups(calls):
            discard_damaged_metadata(backup)
            if not _backend.is_first_process(model):
                only_restore(backup)
        calls.on_train_begin()
        adapters.renew(model)
    restored = _restored(models, callbacks)
    initial_epoch = restored or initial_epoch
    # A resumed run may have no step left, but its restored weight averages are valid.
    begun = {id(model): 0 if restored else num_updates(model) for model in models}
    last_logs: dict[int, dict[str, float]] = {id(model): {} for model in models}
    groups = list(zip(models, sources, callbacks))
    active = groups
    try:
        for epoch in range(initial_epoch, epochs):
            scaled = [(model, num_updates(model)) for model, _, _ in active if is_scaled(model)]
            training, streams, calls_of = zip(*active)
            all_logs = _epoch(training, streams, calls_of, program, epoch)
            for (model, _, calls), logs in zip(active, all_logs):
                model.epochs_done = epoch + 1
                validation = validate and validate(model, calls, epoch)
                if validation:
                    logs |= {f"val_{name}": value for name, value in validation.items()}
                calls.on_epoch_end(epoch, logs)
                last_logs[id(model)] = logs
            for model, count in scaled:
                if num_updates(model) == count:
                    warn_of_overflow(model, epoch)
            active = [group for group in active if not group[0].stop_training]
            if not active:
                break
    finally:
        for model in models:
            # Before the first step, an optimizer's moving averages of the weights are zero.
            if num_updates(model) > begun[id(model)]:
                model.optimizer.finalize_variable_values(model.trainable_variables)
    for model, _, calls in groups:
        calls.on_train_end(last_logs[id(model)])


def num_updates(model: keras.Model) -> int:
    """The number of updates of a model's weights, without those that overflowed."""
    return int(np.asarray(inner_optimizer(model).iterations))


def is_scaled(model: keras.Model) -> bool:
    """Whether the optimizer is a `LossScaleOptimizer`, which skips updates that overflow."""
    return inner_optimizer(model) is not model.optimizer


def warn_of_overflow(model: keras.Model, epoch: int) -> None:
    warnings.warn(
        f"No step of epoch {epoch + 1} changed the weights of {model.name!r}: every gradient "
        "overflowed in float16, whose largest number is 65504. Scale the data and the features, or "
        "use the policy 'mixed_bfloat16' or 'float32'",
        stacklevel=4,
    )


def backups(callbacks: keras.callbacks.CallbackList) -> list[keras.callbacks.BackupAndRestore]:
    """The callbacks that restore weights when training begins."""
    return [c for c in callbacks.callbacks if isinstance(c, keras.callbacks.BackupAndRestore)]


def _restored(
    models: Sequence[keras.Model], callbacks: Sequence[keras.callbacks.CallbackList]
) -> int | None:
    """The epoch from which `BackupAndRestore` resumes, or `None`."""
    # The callback writes two files and may be killed between: prefer the count in the weights.
    epochs = {
        model.restored_epoch or restored_epoch(model)
        if any(map(has_backup, backups(calls)))
        else None
        for model, calls in zip(models, callbacks)
    }
    if len(epochs) > 1:
        raise ValueError(f"Expected backups of the same epoch for all models. Received: {epochs}")
    return epochs.pop()


def _epoch(
    models: Sequence[keras.Model],
    sources: Sequence[Epochs],
    callbacks: Sequence[keras.callbacks.CallbackList],
    program: Callable[[Sequence[keras.Model]], Any],
    epoch: int,
) -> list[dict[str, float]]:
    """Trains for one epoch and returns R dicts of logs."""
    for model, calls in zip(models, callbacks):
        model.epochs_done = epoch
        model.reset_metrics()
        calls.on_epoch_begin(epoch)
    last_of_group = models[0].steps_per_execution - 1
    run = program(models)
    watched = any(map(have_batch_hooks, callbacks))
    with side_by_side(sources, epoch) as groups:
        for first, steps in groups:
            for calls in callbacks:
                calls.on_train_batch_begin(first)
            if watched:
                run = program(models)
            all_logs = run(sources[0].arrays, steps)
            for calls, logs in zip(callbacks, all_logs):
                calls.on_train_batch_end(first + last_of_group, logs)
            if all(model.stop_training for model in models):
                break
    return list(map(as_numbers, all_logs))


def have_batch_hooks(callbacks: keras.callbacks.CallbackList) -> bool:
    """Whether a callback from outside Keras and this library has hooks between batches."""
    hooks = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
    return any(
        any(name in vars(callback) for name in hooks)  # `LambdaCallback` keeps functions there
        or (
            not type(callback).__module__.startswith(("keras.", "keras_aevb."))
            and any(
                getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
                for name in hooks
            )
        )
        for callback in callbacks.callbacks
    )


def evaluate(
    model: keras.Model,
    source: Epochs,
    program: Callable[[Sequence[keras.Model]], Any],
    callbacks: keras.callbacks.CallbackList,
) -> dict[str, float]:
    """Runs the test steps of one epoch.

    Args:
        model: Keras model.
        source: source of epochs, from `keras_aevb.training.epochs`.
        program: function from a list of models to their current program.
        callbacks: `keras.callbacks.CallbackList`.

    Returns:
        Dict of logs.
    """
    model.stop_evaluating = False
    callbacks.on_test_begin()
    model.reset_metrics()
    last_of_group = model.steps_per_execution - 1
    run = program([model])
    with side_by_side([source], 0) as groups:
        for first, steps in groups:
            callbacks.on_test_batch_begin(first)
            (logs,) = run(source.arrays, steps)
            callbacks.on_test_batch_end(first + last_of_group, logs)
            if model.stop_evaluating:
                break
    logs = as_numbers(logs)
    callbacks.on_test_end(logs)
    return logs


def predict(
    model: keras.Model,
    source: Epochs,
    program: Callable[[Sequence[keras.Model]], Any],
    callbacks: keras.callbacks.CallbackList,
) -> Any:
    """Runs the model on one epoch of whole batches.

    Args:
        model, source, program, callbacks: as for `evaluate`.

    Returns:
        The model's outputs, a structure of NumPy arrays, concatenated along the first axis.
    """
    model.stop_predicting = False
    callbacks.on_predict_begin()
    outputs = []
    last_of_group = model.steps_per_execution - 1
    run = program([model])
    with side_by_side([source], 0) as groups:
        for first, steps in groups:
            callbacks.on_predict_batch_begin(first)
            group = [run(batch) for (batch,) in steps]
            outputs += [keras.tree.map_structure(np.asarray, output) for output in group]
            callbacks.on_predict_batch_end(first + last_of_group, {"outputs": group[-1]})
            if model.stop_predicting:
                break
    callbacks.on_predict_end()
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *outputs)


def as_numbers(logs: Mapping[str, Tensor]) -> dict[str, float]:
    """Logs as Python numbers."""
    return {name: float(np.asarray(value)) for name, value in logs.items()}
