"""Saving and loading: a model's parts, its weights, and the state of its seed generators."""

import contextlib
import zipfile
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, Self

import keras
import numpy as np

from keras_aevb import arguments
from keras_aevb._backend.keras_private import (
    ObjectSharingScope,
    config_in_a_file,
    in_shared_object_scope,
)
from keras_aevb.typing import Config


class UnreadableWeightsError(OSError, ValueError):
    """A weights file is damaged or belongs to another model.

    It is an `OSError` because `BackupAndRestore` catches that.
    """


class SerializableModel(keras.Model):
    """A model whose training continues exactly after saving and loading.

    A subclass lists in `parts` the constructor arguments that are objects.
    """

    parts: tuple[str, ...] = ()
    epochs_done: int
    restored_epoch: int | None

    def save_own_variables(self, store: Any) -> None:
        """Saves the variables and, unlike Keras, seed states and the number of finished epochs."""
        super().save_own_variables(store)
        store["epochs_done"] = np.array(self.epochs_done)
        for i, variable in enumerate(self._seed_states()):
            store[f"seed_state_{i}"] = np.asarray(variable, "int64")

    def load_own_variables(self, store: Any) -> None:
        names = list(store.keys())
        extra = {k: np.asarray(store[k]) for k in names if k.startswith(("epochs", "seed_state"))}
        super().load_own_variables({k: store[k] for k in names if k not in extra})
        if not extra:
            return  # a file without seed states, such as one that `keras.Model` saved
        self.epochs_done = self.restored_epoch = int(extra["epochs_done"])
        for i, variable in enumerate(self._seed_states()):
            variable.assign(extra[f"seed_state_{i}"])

    def load_weights(self, filepath: str | PathLike[str], *args: Any, **kwargs: Any) -> None:
        """`keras.Model.load_weights`, whose errors name the file.

        Raises:
            FileNotFoundError: if there is no such file.
            UnreadableWeightsError: if the file does not contain weights that fit this model.
        """
        try:
            super().load_weights(filepath, *args, **kwargs)
        except FileNotFoundError:
            raise
        except (KeyError, OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:
            raise UnreadableWeightsError(
                f"Expected a file with the weights of a model like {self.name!r}. "
                f"Received: {str(filepath)!r}, which could not be loaded: {error}"
            ) from error

    def _seed_states(self) -> list[keras.Variable]:
        """States of all seed generators, including those of layers such as dropout."""
        weights = {id(v) for v in (*self.weights, *self.metrics_variables)}
        return [v for v in self.non_trainable_variables if id(v) not in weights]

    def _given_parts(self) -> list[str]:
        return [name for name in self.parts if getattr(self, name) is not None]

    def get_config(self) -> Config:
        for_a_file = in_shared_object_scope()
        serialize = config_in_a_file if for_a_file else keras.saving.serialize_keras_object
        # In one scope, so that a layer shared by two parts stays shared after loading.
        with _shared_object_scope():
            for name in self._given_parts():
                if name not in ("encoder", "decoder"):
                    arguments.check_config(name, getattr(self, name))
            objects = {name: serialize(getattr(self, name)) for name in self._given_parts()}
        if for_a_file:
            name = keras.saving.get_registered_name(type(self))
            _check_registered({"model": {"class_name": name, "registered_name": name}, **objects})
        else:
            objects = _with_consecutive_ids(objects)
        return {**super().get_config(), **objects, "seed": self.seed}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, Any] | None = None) -> Self:
        missing = [n for n in cls.parts if n not in config and n != "condition"]
        if missing:
            raise ValueError(
                f"Expected a config of {cls.__name__} with {list(cls.parts)}. "
                f"Received: one without {missing}"
            )
        with _shared_object_scope():
            objects = {
                name: keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
                for name in cls.parts
                if name in config
            }
        return cls(**{**config, **objects})


def _shared_object_scope() -> contextlib.AbstractContextManager[Any]:
    """Keras' scope of shared objects, unless one is already open."""
    return contextlib.nullcontext() if in_shared_object_scope() else ObjectSharingScope()


# Objects without weights: it does not matter whether two layers share them.
STATELESS = {"keras.initializers", "keras.regularizers", "keras.constraints"}


def _check_registered(objects: Config) -> None:
    """Raises a `ValueError` if Keras would not find an object's class or function when loading.

    Args:
        objects: dict from names to configs of objects.
    """
    unknown = sorted(set(_unregistered(objects)))
    if unknown:
        raise ValueError(
            "Expected every part of a saved model to be a Keras class, or registered with the "
            "decorator `keras.saving.register_keras_serializable(package=…)`, or named in a "
            "`keras.saving.custom_object_scope` around `save` and in the `custom_objects` of "
            "`load_model`. A function, such as that of a `Lambda` layer, can be applied to a "
            "`keras.Input` instead, in a functional model. "
            f"Received: {', '.join(unknown)}"
        )


def _unregistered(config: Any, path: str = "") -> Iterator[str]:
    """Paths and names of unregistered classes and functions in a config."""
    if isinstance(config, dict):
        if _is_unregistered(config):
            yield f"{path}: {_object_name(config)}"
        for name, value in config.items():
            steps = "config", "build_config", "module"
            yield from _unregistered(value, path if name in steps else f"{path}.{name}".lstrip("."))
    elif isinstance(config, list | tuple):
        for i, value in enumerate(config):
            yield from _unregistered(value, f"{path}[{i}]")


def _is_unregistered(config: Any) -> bool:
    name, module = _object_name(config), str(config.get("module", ""))
    if name is None or keras.saving.get_registered_object(name) is not None:
        return False
    if config["class_name"] == "function":
        modules = keras.activations, keras.constraints, keras.initializers, keras.regularizers
        return not any(hasattr(module, name) for module in modules)
    return module.partition(".")[0] not in ("keras", "keras_hub")


def _object_name(config: Any) -> str | None:
    """The name that Keras looks up, or `None` if a dict is not the config of an object."""
    if "registered_name" not in config or "class_name" not in config:
        return None
    is_function = config["class_name"] == "function"
    return config["config"] if is_function else config["registered_name"] or config["class_name"]


def _with_consecutive_ids(config: Any) -> Any:
    """A config whose shared layers are numbered 0, 1, … instead of by memory address."""
    numbers: dict[int, int] = {}

    def renumbered(value: Any) -> Any:
        if isinstance(value, list):
            return [renumbered(item) for item in value]
        if not isinstance(value, dict):
            return value
        result = {k: renumbered(v) for k, v in value.items() if k != "shared_object_id"}
        policy = str(value.get("class_name")).endswith("Policy")
        if "shared_object_id" in value and value["module"] not in STATELESS and not policy:
            address = value["shared_object_id"]
            result["shared_object_id"] = numbers.setdefault(address, len(numbers))
        return result

    return renumbered(config)
