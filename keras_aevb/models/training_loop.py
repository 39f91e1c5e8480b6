"""Keras' `compile`, `fit`, `evaluate` and `predict` for a per-example objective."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, TypeAlias, Unpack

import keras
import numpy as np

from keras_aevb import _backend, arguments
from keras_aevb._backend.keras_private import check_optimizer, set_loss_metric
from keras_aevb.batches import RowBatches
from keras_aevb.models.objective_model import ObjectiveModel
from keras_aevb.training import adapters, inputs, loop, sources
from keras_aevb.training.epochs import with_given_parts
from keras_aevb.training.programs import Programs
from keras_aevb.typing import (
    ArrayLike,
    ConditionLike,
    Config,
    Data,
    LayerArguments,
    Verbose,
)

Callbacks: TypeAlias = Sequence[keras.callbacks.Callback] | keras.callbacks.Callback


class TrainingLoop(ObjectiveModel):
    """A Keras model that is trained on its own `objective` in place of a loss.

    `fit` makes `steps_per_execution` steps in one program. Arrays stay on the device if they take
    at most a quarter of its memory, or 2 GiB on a CPU and on TensorFlow. The order of examples in
    epoch e is `numpy.random.default_rng([seed, e]).permutation(N)` with the model's seed. It is the
    same on both backends, and for a resumed run.
    """

    epochs_done: int
    restored_epoch: int | None
    jit_compile_setting: bool | str

    def __init__(self, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.epochs_done = 0
        self.restored_epoch = None
        self._programs = Programs([self])

    def compile(
        self,
        optimizer: str | keras.Optimizer = "adam",
        loss: None = None,
        metrics: None = None,
        weighted_metrics: None = None,
        **kwargs: Any,
    ) -> None:
        """`keras.Model.compile` without losses and metrics: the objective is the loss.

        Raises:
            ValueError: if a loss or metrics are given, or XLA under a TensorFlow strategy.
        """
        given = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"Expected no `{name}`: {self.__class__.__name__} is trained on its own "
                    "objective, and its logs are the objective's terms. "
                    f"Received: {name}={value}"
                )
        if "steps_per_execution" in kwargs:
            arguments.integer("steps_per_execution", kwargs["steps_per_execution"])
        if kwargs.get("jit_compile") is True and _backend.has_replicas(self):
            raise ValueError(
                "XLA cannot access variables on several devices. Expected `jit_compile=False` "
                f"under {type(self.distribute_strategy).__name__}. Received: jit_compile=True"
            )
        super().compile(optimizer=optimizer, **kwargs)
        self.jit_compile_setting = kwargs.get("jit_compile", "auto")
        set_loss_metric(self, _backend.mean_metric("loss", self.likelihood.density_dtype))
        # Checkpoints, and XLA on TensorFlow, need a built optimizer.
        self.optimizer.build(self.trainable_variables)
        check_optimizer(self)

    def get_compile_config(self) -> Config | None:
        """The settings of `compile`, with `jit_compile` as given: backends resolve `"auto"`."""
        config = super().get_compile_config()
        return config and {**config, "jit_compile": self.jit_compile_setting}

    def compile_from_config(self, config: Config) -> None:
        """Compiles a loaded model with its saved settings."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x: Data | None = None,
        y: ConditionLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Callbacks | None = None,
        validation_split: float = 0.0,
        validation_data: Data | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Collection[int] = 1,
    ) -> keras.callbacks.History:
        """`keras.Model.fit` on the objective, with validated data; y is the condition.

        Arrays are validated before training starts, streams batch by batch.

        Raises:
            ValueError: if Keras does not accept an argument, or the data has the wrong shape, or
                contains NaN, infinite values or values of probability zero.
        """
        self._check_compiled("fit")
        arguments.check_fit(
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            initial_epoch=initial_epoch,
            validation_split=validation_split,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            shuffle=shuffle,
        )
        self.set_mode(callbacks)
        x, y, sample_weight = self.unpacked((x, y, sample_weight))
        self.check_class_weight(class_weight)
        weighted_by_class = class_weight is not None and inputs.is_array(x)
        if weighted_by_class:
            sample_weight, class_weight = inputs.class_weights(y, class_weight, sample_weight), None
        data = sources.checked(self, x, y, sample_weight)
        held_out: tuple[Any, Any, Any] | None = None
        if validation_data is not None:
            held_out = self.unpacked(validation_data)
            held_out = sources.checked(self, *held_out, name="validation_data", training=False)
        elif validation_split:
            data, held_out = inputs.split(*data, validation_split)
            if weighted_by_class:  # as in Keras, only in training
                held_out = (*held_out[:2], None)
        if inputs.is_array(x):
            self.adapt(data[0])
        self.check_ready(class_weight=class_weight)
        source = sources.epochs(self, data, batch_size, steps_per_epoch, shuffle, class_weight)
        validate = None
        if held_out is not None:
            validation = sources.epochs(
                self,
                held_out,
                validation_batch_size or batch_size,
                validation_steps,
                training=False,
            )

            def validate(
                model: keras.Model, calls: keras.callbacks.CallbackList, epoch: int
            ) -> dict[str, float] | None:
                if _is_due(epoch, validation_freq):
                    return loop.evaluate(self, validation, self._test_program, calls)
                return None

        calls = self._callback_list(
            callbacks, verbose, epochs=epochs, steps=source.num_batches, add_history=True
        )
        loop.fit([self], [source], self._train_program, [calls], epochs, initial_epoch, validate)
        return self.history

    def evaluate(
        self,
        x: Data | None = None,
        y: ConditionLike | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callbacks | None = None,
        return_dict: bool = False,
    ) -> list[float] | Any:
        """`keras.Model.evaluate`, which validates the data as `fit` does."""
        self._check_compiled("evaluate")
        arguments.check_fit(batch_size=batch_size, verbose=verbose, steps=steps)
        self.check_ready(training=False)
        data = sources.checked(self, x, y, sample_weight, training=False)
        source = sources.epochs(self, data, batch_size, steps, training=False)
        calls = self._callback_list(callbacks, verbose, epochs=1, steps=source.num_batches)
        logs = loop.evaluate(self, source, self._test_program, calls)
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Callbacks | None = None,
    ) -> np.ndarray | Any:
        """`keras.Model.predict`, which validates the data as `fit` does."""
        arguments.check_fit(batch_size=batch_size, verbose=verbose, steps=steps)
        data = sources.checked(self, x)
        source = sources.epochs(self, data, batch_size, steps, training=False, whole=True)
        calls = self._callback_list(callbacks, verbose, epochs=1, steps=source.num_batches)
        return loop.predict(self, source, self._predict_program, calls)

    def train_on_batch(
        self,
        x: ArrayLike | dict[str, Any],
        y: ConditionLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> list[float] | Any:
        """`keras.Model.train_on_batch`, which validates the data as `fit` does."""
        self._check_compiled("train_on_batch")
        self.check_ready()
        adapters.renew(self)
        self.check_class_weight(class_weight)
        x, y, sample_weight = self.unpacked((x, y, sample_weight))
        if class_weight is not None:
            sample_weight = inputs.class_weights(y, class_weight, sample_weight)
        return self._on_batch(self._train_program, (x, y, sample_weight), return_dict)

    def test_on_batch(
        self,
        x: ArrayLike | dict[str, Any],
        y: ConditionLike | None = None,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> list[float] | Any:
        """`keras.Model.test_on_batch`, which validates the data as `fit` does."""
        self._check_compiled("test_on_batch")
        self.check_ready(training=False)
        data = self.unpacked((x, y, sample_weight))
        return self._on_batch(self._test_program, data, return_dict, False)

    def predict_on_batch(self, x: ArrayLike | dict[str, Any]) -> np.ndarray | Any:
        """`keras.Model.predict_on_batch`, which validates the data as `fit` does."""
        x, y, _ = self.unpacked((x,))
        self.check_batch(x, y, None, training=False)
        batch = with_given_parts(np.asarray(x), y)
        outputs = self._predict_program([self])(batch)
        return keras.tree.map_structure(np.asarray, outputs)

    def _on_batch(
        self,
        program: Callable[[Sequence[keras.Model]], Any],
        data: tuple[Any, Any, Any],
        return_dict: bool,
        training: bool = True,
    ) -> list[float] | Any:
        self.check_batch(*data, training=training)
        batch = with_given_parts(*(None if part is None else np.asarray(part) for part in data))
        self.reset_metrics()
        (logs,) = program([self])(None, [[batch]])
        logs = loop.as_numbers(logs)
        return logs if return_dict else self._in_order(logs)

    def _in_order(self, logs: Mapping[str, float]) -> list[float]:
        return [logs[name] for name in self.metrics_names]

    def check_rows(self, batches: RowBatches, training: bool = True) -> None:
        def check() -> None:
            super(TrainingLoop, self).check_rows(batches, training)

        self.check_once(batches.arrays, check, training)

    def check_once(
        self, arrays: Sequence[Any], check: Callable[[], object], kind: Hashable = None
    ) -> None:
        """`Programs.check_once` of this model's programs."""
        self._programs.check_once(arrays, check, kind)

    # Programs and callbacks

    def _train_program(self, models: Sequence[keras.Model]) -> Any:
        return self._programs.get("train", lambda: _backend.Program(models, "train"))

    def _test_program(self, models: Sequence[keras.Model]) -> Any:
        return self._programs.get("test", lambda: _backend.Program(models, "test"))

    def _predict_program(self, models: Sequence[keras.Model]) -> Any:
        return self._programs.get("predict", lambda: _backend.PredictProgram(*models))

    def validation(
        self,
        data: tuple[Any, Any, Any],
        batch_size: int | None,
        callbacks: keras.callbacks.CallbackList,
    ) -> dict[str, float]:
        """Validation logs of (x, y, sample weights), computed as in `fit`."""
        source = sources.epochs(
            self, sources.checked(self, *data, training=False), batch_size, training=False
        )
        return loop.evaluate(self, source, self._test_program, callbacks)

    def _callback_list(
        self, callbacks: Callbacks, verbose: Verbose, **settings: Any
    ) -> keras.callbacks.CallbackList:
        if isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks
        for callback in keras.tree.flatten(callbacks):
            if not isinstance(callback, keras.callbacks.Callback | None):
                raise ValueError(
                    f"Expected `callbacks` to be Keras callbacks. Received: {callbacks!r}"
                )
        return keras.callbacks.CallbackList(
            callbacks, add_progbar=verbose != 0, verbose=verbose, model=self, **settings
        )

    def set_mode(self, callbacks: Callbacks | None) -> None:
        """Resolves `mode="auto"` of callbacks that monitor a term of the objective.

        Keras infers the direction of its own metrics only.

        Args:
            callbacks: as for `fit`.
        """
        callbacks = getattr(callbacks, "callbacks", callbacks)  # of a `CallbackList`
        modes = dict.fromkeys(self.minimize, "min") | dict.fromkeys(self.maximize, "max")
        for callback in keras.tree.flatten(callbacks):
            watched = (getattr(callback, "monitor", None) or "").removeprefix("val_")
            if watched in modes and getattr(callback, "mode", None) == "auto":
                callback.mode = modes[watched]

    def _check_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                f"Expected a compiled model: call `compile()` before `{method}()`. "
                f"Received: {self.__class__.__name__} {self.name!r}, which is not compiled"
            )


def _is_due(epoch: int, validation_freq: int | Collection[int]) -> bool:
    """Whether to validate after an epoch: every few epochs, or after those in a list."""
    if isinstance(validation_freq, Collection):
        return epoch + 1 in validation_freq
    return (epoch + 1) % validation_freq == 0
