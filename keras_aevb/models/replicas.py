"""Training of several models in one program."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_aevb import _backend, arguments
from keras_aevb.batches import RowBatches
from keras_aevb.models.parts import check_type
from keras_aevb.models.training_loop import Callbacks, TrainingLoop
from keras_aevb.training import epochs as epochs_of
from keras_aevb.training import inputs, loop, sources
from keras_aevb.training.programs import Programs
from keras_aevb.typing import ArrayLike, Config, Stream, Verbose


class Replicas:
    """Trains models side by side: an ensemble, or models of several sizes and algorithms.

    On the jax backend one compiled program makes the steps of all models. On a CPU it runs them
    concurrently. On a GPU, which a model of the paper's size leaves mostly idle, it vectorises the
    steps of models with the same computation, such as an ensemble, over stacked variables. On the
    tensorflow backend each model has its own program, and the programs take turns. The results
    equal those of models trained alone, up to rounding. A model that diverges does not affect the
    others.

    Each model can still be evaluated, saved and trained alone. All have their new weights when
    `fit` returns or is interrupted.

    Args:
        models: compiled models of data of one shape and type. They have the same
            `steps_per_execution`, `run_eagerly` and `jit_compile`.

    Raises:
        ValueError: if there are no models, a model is not compiled or was built under a
            `tf.distribute` strategy, two differ in one of these settings, or two share variables.

    Example:
        >>> import keras, numpy as np, keras_aevb as kv
        >>> def build(seed, step_size):
        ...     parts = kv.networks.bernoulli_mlp(64, latent_dim=2, hidden_units=32, seed=seed)
        ...     model = kv.AEVB(**parts, seed=seed)
        ...     model.compile(keras.optimizers.Adagrad(step_size), steps_per_execution=5)
        ...     return model
        >>> models = [build(seed, step_size) for seed in (0, 1) for step_size in (0.01, 0.1)]
        >>> x = np.random.default_rng(0).random((100, 64))
        >>> histories = kv.Replicas(models).fit(x, batch_size=20, epochs=3, verbose=0)
        >>> len(histories), len(histories[0].history["elbo"])
        (4, 3)
    """

    def __init__(self, models: Sequence[TrainingLoop]) -> None:
        if not isinstance(models, list | tuple):
            raise ValueError(f"Expected a list of compiled models. Received: {models!r}")
        self.models = list(models)
        if not self.models:
            raise ValueError("Expected at least one model. Received none")
        for model in self.models:
            check_type("models", model, TrainingLoop)
            if _backend.has_replicas(model):
                strategy = type(model.distribute_strategy).__name__
                raise ValueError(
                    "Expected models built outside a tf.distribute strategy. "
                    f"Received: {model.name!r} under {strategy}"
                )
            if not model.compiled:
                raise ValueError(f"Expected compiled models. Received: {model} before `compile`")
        variables = [id(v) for m in self.models for v in (*m.variables, *m.optimizer.variables)]
        if len(set(variables)) < len(variables):
            raise ValueError("Expected models that share no variables. Received some that do")
        self._programs: dict[tuple[int, ...], Programs] = {}
        self._check_settings()

    def _check_settings(self) -> None:
        first, *others = map(_shared_settings, self.models)
        for settings in others:
            for name, value in settings.items():
                if value != first[name]:
                    raise ValueError(
                        f"Expected models with the same {name}. Received: {first[name]} and {value}"
                    )

    def fit(
        self,
        x: ArrayLike | Sequence[Stream],
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        shuffle: bool = True,
        verbose: Verbose = 1,
        report: Callable[[int, Config], None] | None = None,
        validation_data: Any = None,
        callbacks: Sequence[Callbacks] | None = None,
        initial_epoch: int = 0,
    ) -> list[keras.callbacks.History]:
        """Trains all models.

        Args:
            x: array of shape `[N, *event_shape]` for all models; each shuffles it by its own seed,
                as in its own `fit`. Or a list of streams of the same length, such as
                `RandomMinibatches`, one for each model.
            sample_weight: array of shape `[N]`, for an array x.
            batch_size: examples in a batch, for an array x. Default: 32.
            epochs: index of the epoch before which training stops.
            shuffle: whether to shuffle an array x for each epoch.
            verbose: 1 for a progress bar, 0 for none.
            report: function of the total number of steps of all models so far, and of the logs of
                the first model; called after every execution.
            validation_data: as for `fit` of one model; each model is evaluated on it.
            callbacks: list of lists of callbacks, one list for each model. If a callback stops its
                model, the others continue after the end of the epoch.
            initial_epoch: index of the first epoch.

        Returns:
            List of `keras.callbacks.History`, one for each model.

        Raises:
            ValueError: if there is not one stream or list of callbacks for each model, the streams
                differ in length, the data has the wrong shape or impossible values, a model with
                unknown `n_train` receives a stream, or models were recompiled and now
                differ in a setting of the program.
        """
        arguments.check_fit(
            batch_size=batch_size, epochs=epochs, initial_epoch=initial_epoch, shuffle=shuffle
        )
        self._check_settings()
        streams = self._epochs(x, sample_weight, batch_size, shuffle)
        num_batches = streams[0].num_batches
        assert num_batches is not None  # streams of unknown length are refused
        calls = self._callback_lists(callbacks, num_batches, epochs, verbose, report)
        validate = None
        if validation_data is not None:
            held_out = keras.utils.unpack_x_y_sample_weight(validation_data)

            def validate(
                model: TrainingLoop, calls: keras.callbacks.CallbackList, epoch: int
            ) -> dict[str, float]:
                return model.validation(held_out, batch_size, calls)

        loop.fit(self.models, streams, self._program, calls, epochs, initial_epoch, validate)
        return [model.history for model in self.models]

    def _program(self, models: Sequence[TrainingLoop]) -> Any:
        """The program of the models that are still training."""
        key = tuple(map(id, models))
        programs = self._programs.setdefault(key, Programs(models))
        return programs.get("train", lambda: _backend.Program(models, "train"))

    def _epochs(
        self, x: Any, sample_weight: ArrayLike | None, batch_size: int | None, shuffle: bool
    ) -> list[epochs_of.Epochs]:
        """Each model's epochs of batches; arrays shared by all are on the device once."""
        if not isinstance(x, list | tuple):
            checked = [sources.checked(model, x, None, sample_weight) for model in self.models]
            if not inputs.is_array(x):
                raise ValueError(
                    f"Expected an array, or a list of {len(self.models)} streams, one for each "
                    f"model. Received: {type(x)}"
                )
            # The models share converted arrays, so that the device has one copy.
            examples, _, weights = checked[0]
            for model in self.models:
                model.adapt(examples)
            x = [
                sources.row_batches(model, (examples, labels, weights), batch_size, shuffle)
                for model, (_, labels, _) in zip(self.models, checked)
            ]
        else:
            self._check_streams(x)
            for model, stream in zip(self.models, x):
                sources.checked(model, stream, None, sample_weight)
        for model in self.models:
            model.check_ready()
        steps = self.models[0].steps_per_execution
        if not all(map(epochs_of.are_rows, x)):
            return [
                epochs_of.StreamEpochs(stream, steps, model.unpacked, model.check_batch)
                for model, stream in zip(self.models, x)
            ]
        shared = _share_arrays(x) and epochs_of.fits_device(x[0])
        dtype = self.models[0].likelihood.density_dtype
        arrays = epochs_of.on_device(x[0].arrays, dtype) if shared else None
        return [epochs_of.RowEpochs(stream, steps, None, arrays) for stream in x]

    def _check_streams(self, streams: Sequence[Any]) -> None:
        if len(streams) != len(self.models):
            raise ValueError(
                f"Expected {len(self.models)} streams, one for each model. Received: {len(streams)}"
            )
        for stream in streams:
            if inputs.is_array(stream) or not hasattr(stream, "__len__"):
                raise ValueError(
                    "Expected streams of batches with a length, such as `RandomMinibatches`. "
                    f"Received: {type(stream)}"
                )
        lengths = sorted({len(stream) for stream in streams})
        if len(lengths) > 1 or lengths == [0]:
            raise ValueError(
                f"Expected streams of the same positive length. Received: lengths {lengths}"
            )

    def _callback_lists(
        self,
        callbacks: Sequence[Callbacks] | None,
        num_batches: int,
        epochs: int,
        verbose: Verbose,
        report: Callable[[int, Config], None] | None,
    ) -> list[keras.callbacks.CallbackList]:
        callbacks = [[] for _ in self.models] if callbacks is None else list(callbacks)
        if len(callbacks) != len(self.models):
            raise ValueError(
                f"Expected {len(self.models)} lists of callbacks, one for each model. "
                f"Received: {len(callbacks)}"
            )
        if report is None and verbose:
            report = _ProgressBar(len(self.models) * num_batches * epochs)
        if report is not None:
            first = keras.tree.flatten(callbacks[0])
            reports = _Report(report, len(self.models), num_batches)
            callbacks[0] = [*first, reports]
        for model, calls in zip(self.models, callbacks):
            model.set_mode(calls)
        return [
            keras.callbacks.CallbackList(
                calls, add_history=True, model=model, epochs=epochs, steps=num_batches
            )
            for model, calls in zip(self.models, callbacks)
        ]


def _shared_settings(model: TrainingLoop) -> Config:
    """The settings that models in one program share."""
    return {
        "steps_per_execution": model.steps_per_execution,
        "run_eagerly": model.run_eagerly,
        "jit_compile": model.jit_compile,
        "event shape of the likelihood": model.likelihood.event_shape,
        "dtype of the likelihood": model.likelihood.density_dtype,
    }


class _Report(keras.callbacks.Callback):
    """Calls a function of the total number of steps of all models, and of one model's logs."""

    def __init__(
        self, report: Callable[[int, Any], None], num_models: int, steps_per_epoch: int
    ) -> None:
        super().__init__()
        self.report = report
        self.num_models = num_models
        self.steps_per_epoch = steps_per_epoch
        self.done = 0

    def on_train_batch_end(self, batch: int, logs: Config | None = None) -> None:
        # As in Keras, `batch` counts an incomplete last group as complete.
        steps = min(batch + 1, self.steps_per_epoch)
        self.report((self.done + steps) * self.num_models, logs)

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        self.done += self.steps_per_epoch


class _ProgressBar:
    def __init__(self, total: int) -> None:
        self.bar = keras.utils.Progbar(total, unit_name="step", stateful_metrics=["loss"])

    def __call__(self, done: int, logs: Config) -> None:
        self.bar.update(done, [("loss", float(np.asarray(logs["loss"])))])


def _share_arrays(streams: Sequence[RowBatches]) -> bool:
    """Whether all streams index the same arrays."""
    first = streams[0].arrays
    return all(
        len(s.arrays) == len(first) and all(a is b for a, b in zip(s.arrays, first))
        for s in streams
    )
