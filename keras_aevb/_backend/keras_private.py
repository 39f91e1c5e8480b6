"""Every private name of Keras that this library uses.

`tests/test_keras_private.py` fails by the name of the one that Keras has changed.
"""

import json
import pathlib

from keras.src.backend.common.global_state import get_global_attribute
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.trainers import epoch_iterator


class EpochIterator(epoch_iterator.EpochIterator):
    """Keras' iterator, which does not warn where a pass over data of unknown length ends."""

    def _interrupted_warning(self):
        if self.steps_per_epoch:
            super()._interrupted_warning()


def values(variables):
    """What Keras variables hold; in a fiftieth of the time of `variable.value`."""
    return [variable._value for variable in variables]


def set_values(variables, values):
    """Sets Keras variables to arrays of their shapes and types, without the checks of `assign`."""
    for variable, value in zip(variables, values, strict=True):
        variable._value = value


def restored_epoch(model):
    """The epoch that `BackupAndRestore` goes on with, or `None`."""
    return model._initial_epoch


def forget_restored_epoch(model):
    """Keras keeps the epoch for ever, and would skip epochs of the next `fit`."""
    model._initial_epoch = None


def discard_damaged_metadata(callback):
    """Removes what a kill left of `BackupAndRestore`'s second file.

    Keras would end in an error of its JSON parser. The weights' file says the same.
    """
    path = pathlib.Path(callback._training_metadata_path)
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        path.unlink()


def clear_losses(model):
    """Forgets the penalties of the step before.

    Keras knows them by addresses, which those of the next step may get again.
    """
    model._clear_losses()


def all_layers(model):
    """A model and all the layers inside it."""
    return list(model._flatten_layers())


def endpoint_function(archive, name, function, signature):
    """A function as a `tf.function` with the variables of an `ExportArchive`, but no endpoint."""
    return archive._backend_add_endpoint(name, function, signature)


def is_sharing_objects():
    """Whether configs that are made now note which objects they share."""
    return get_global_attribute("shared_objects/id_to_config_map") is not None


__all__ = [
    "EpochIterator",
    "ObjectSharingScope",
    "all_layers",
    "clear_losses",
    "discard_damaged_metadata",
    "endpoint_function",
    "forget_restored_epoch",
    "is_sharing_objects",
    "restored_epoch",
    "set_values",
    "values",
]
