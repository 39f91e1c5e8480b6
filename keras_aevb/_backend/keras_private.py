"""All private names of Keras that this library uses.

If Keras changes one, a test in `tests/test_keras_private.py` fails with its name.
"""

import contextlib
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
from keras.src.backend.common.global_state import get_global_attribute
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.trainers import epoch_iterator
from keras.src.utils import file_utils, module_utils
from keras.src.utils.tracking import no_automatic_dependency_tracking

# Attributes of a model.
SET_BY_COMPILE = {"_compile_config", "_compiled_trainable_state"}


class EpochIterator(epoch_iterator.EpochIterator):
    """Keras' iterator, without the warning at the end of data of unknown length."""

    def _interrupted_warning(self) -> None:
        if self.steps_per_epoch:
            super()._interrupted_warning()


def values(variables: Sequence[keras.Variable]) -> list[Any]:
    """The values of Keras variables, 50 times as fast as `variable.value`."""
    return [variable._value for variable in variables]


def set_values(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Sets Keras variables to arrays of their shapes and types, without the checks of `assign`."""
    for variable, value in zip(variables, values, strict=True):
        variable._value = value


def named_inputs(network: keras.Layer) -> list[str]:
    """The keys of a functional model whose inputs are a dict."""
    structure = getattr(network, "_inputs_struct", None)
    return list(structure) if isinstance(structure, dict) else []


def separate_values(variables: Iterable[keras.Variable]) -> None:
    """Copies an array that several variables have, as after `a.assign(b)` on JAX.

    A program may free or reuse the array of every variable.
    """
    seen: set[int] = set()
    for variable in variables:
        if id(variable._value) in seen:
            variable._value = keras.ops.copy(variable._value)
        seen.add(id(variable._value))


def restored_epoch(model: keras.Model) -> int | None:
    """The epoch from which `BackupAndRestore` resumes, or `None`."""
    return model._initial_epoch


def forget_restored_epoch(model: keras.Model) -> None:
    """Resets the restored epoch; otherwise Keras would skip epochs in the next `fit` too."""
    model._initial_epoch = None


def has_backup(callback: keras.callbacks.BackupAndRestore) -> bool:
    """Whether a `BackupAndRestore` has weights to restore."""
    return bool(file_utils.exists(callback._weights_path))


def discard_damaged_metadata(callback: keras.callbacks.BackupAndRestore) -> None:
    """Removes `BackupAndRestore`'s metadata file if a killed process left it incomplete.

    Keras would fail to parse it as JSON. The weights' file contains the same information.
    """
    path = pathlib.Path(callback._training_metadata_path)
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        path.unlink(missing_ok=True)  # another process may have done it


def only_restore(callback: keras.callbacks.BackupAndRestore) -> None:
    """Makes a `BackupAndRestore` restore but not keep backups, for all processes but the first.

    TensorFlow reads variables of several processes by collective operations, so all of them save.
    """

    def take_part() -> None:
        with tempfile.TemporaryDirectory() as folder:
            callback.model.save_weights(f"{folder}/own.weights.h5")

    callback._save_model = take_part
    callback.delete_checkpoint = False


@no_automatic_dependency_tracking  # type: ignore[untyped-decorator]
def set_loss_metric(model: keras.Model, metric: keras.metrics.Metric) -> None:
    """Replaces the metric of the loss that `compile` has made.

    If the model tracked it, `model.metrics` would have it twice.
    """
    model._loss_tracker = metric


def loss_metric(model: keras.Model) -> Any:
    """The metric of the loss, `None` before `compile`."""
    return model._loss_tracker


def clear_losses(model: keras.Model) -> None:
    """Clears the penalties of the last step.

    Keras identifies penalties by id, and those of the next step may reuse an id.
    """
    model._clear_losses()


def inner_optimizer(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer that computes the updates, which a `LossScaleOptimizer` wraps."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def check_optimizer(model: keras.Model) -> None:
    """Raises a `ValueError` if a model's optimizer was built for other variables.

    On the jax backend, Keras assigns state to variables by position, whichever they are.
    """
    optimizer = inner_optimizer(model)
    built_for = {id(v): v.path for v in optimizer._trainable_variables}
    trained = {id(v): v.path for v in model.trainable_variables}
    by_position = keras.backend.backend() == "jax"
    if [*trained] == [*built_for] or (not by_position and trained.keys() <= built_for.keys()):
        return
    missing = [path for i, path in trained.items() if i not in built_for]
    frozen = [path for i, path in built_for.items() if i not in trained]
    raise ValueError(
        "An optimizer has state for each trainable variable. Call `compile` with a new optimizer "
        "for every model, and after changing which variables are trainable. Received: an optimizer "
        f"without state for {missing[:3]}, with state for {frozen[:3]}, which are not trained"
    )


def all_layers(model: keras.Model) -> list[keras.Layer]:
    """A model and all the layers inside it."""
    return list(model._flatten_layers())


def endpoint_function(
    archive: keras.export.ExportArchive,
    name: str,
    function: Callable[..., Any],
    signature: list[Any],
) -> Any:
    """A function as a `tf.function` with the variables of an `ExportArchive`, but no endpoint."""
    return archive._backend_add_endpoint(name, function, signature)


def in_shared_object_scope() -> bool:
    """Whether Keras is recording the objects that configs share."""
    return get_global_attribute("shared_objects/id_to_config_map") is not None


def config_in_a_file(part: Any) -> Any:
    """The config of a part that other layers of the same file may share.

    When Keras serializes an object again, it adds the object's id to both configs. If a layer
    contains the object, the file has an earlier copy of the first config, without the id.
    """
    config = keras.saving.serialize_keras_object(part)
    if in_shared_object_scope() and part is not None:
        config["shared_object_id"] = id(part)
    return config


@contextlib.contextmanager
def without_loading_tensorflow() -> Iterator[None]:
    """Keeps `serialize_keras_object` from loading TensorFlow to look for values of its types.

    Before TensorFlow is loaded, there are no such values. Loading it takes seconds and prints logs.
    """
    tensorflow = module_utils.tensorflow
    unknown = tensorflow._available is None and "tensorflow" not in sys.modules
    if unknown:
        tensorflow._available = False
    try:
        yield
    finally:
        if unknown:
            tensorflow._available = None


__all__ = [
    "EpochIterator",
    "ObjectSharingScope",
    "all_layers",
    "check_optimizer",
    "clear_losses",
    "config_in_a_file",
    "discard_damaged_metadata",
    "endpoint_function",
    "forget_restored_epoch",
    "has_backup",
    "in_shared_object_scope",
    "inner_optimizer",
    "loss_metric",
    "named_inputs",
    "only_restore",
    "restored_epoch",
    "separate_values",
    "set_loss_metric",
    "set_values",
    "values",
    "without_loading_tensorflow",
]
