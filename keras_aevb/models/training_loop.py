"""Keras' `compile`, `fit` and `evaluate` around an objective that is known for each example."""

import keras
from keras import ops

from keras_aevb import _backend
from keras_aevb.batches import RowBatches
from keras_aevb.models import _examples


class TrainingLoop(_backend.Model):
    """A Keras model that is trained on an `objective` of its own in place of a loss.

    A subclass has a `likelihood`, which knows what examples look like.
    """

    # Which terms of the objective are better the larger they are.
    rising_terms: tuple[str, ...] = ()

    def objective(self, x, training):
        """What training minimises, for each example.

        Args:
            x: tensor of shape `[B, *event_shape]`.
            training: whether the layers run in training mode.

        Returns:
            The loss of shape `[B]`, and a dict of terms of shape `[B]` for the logs.
        """
        raise NotImplementedError

    @_backend.step
    def train_step(self, data):
        """One optimizer step on a batch; on JAX a pure function of the variables' values."""
        _backend.minimize(self, lambda: self._loss(data, training=True))
        return self.get_metrics_result()

    @_backend.step
    def test_step(self, data):
        """The objective's running means over a batch; on JAX a pure function."""
        with _backend.full_precision():
            self._loss(data, training=False)
        return self.get_metrics_result()

    def _loss(self, data, training):
        x, _, sample_weight = self._unpack(data)
        return self._mean_loss(*self.objective(x, training), sample_weight)

    def _unpack(self, data):
        """x as densities need it, y, and sample weights or `None`."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return ops.cast(x, self.likelihood.density_dtype), y, sample_weight

    def _mean_loss(self, losses, terms, sample_weight):
        """The mean loss of a batch plus penalties; updates the running means of the logs."""
        batch_size = ops.shape(losses)[0]
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, losses.dtype), (-1,))  # [B]
            losses = losses * sample_weight
        loss = ops.mean(losses) + sum(self.losses)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=batch_size)
            elif metric.name in terms:
                metric.update_state(terms[metric.name], sample_weight=sample_weight)
        return loss

    def compile(self, optimizer="adam", loss=None, metrics=None, weighted_metrics=None, **kwargs):
        """`keras.Model.compile` without losses and metrics: the objective is the loss.

        Raises:
            ValueError: if a loss or metrics are given.
        """
        given = {"loss": loss, "metrics": metrics, "weighted_metrics": weighted_metrics}
        for name, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{self.__class__.__name__} is trained on its own objective and takes no "
                    f"`{name}`. Received: {name}={value}"
                )
        super().compile(optimizer=optimizer, **kwargs)
        # The parts are built, so the optimizer can be: for checkpoints, and for XLA on TensorFlow.
        self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config):
        """Compiles a loaded model as it was."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        **kwargs,
    ):
        """`keras.Model.fit`; labels are ignored, and the data is checked first.

        Raises:
            ValueError: if the data has the wrong shape, or holds NaN, infinite values or values
                of probability zero.
        """
        self._maximise(callbacks)
        if isinstance(x, RowBatches):
            shuffle = False  # they come in an order of their own
        return super().fit(
            _examples.checked(x, self.likelihood),
            y=_examples.labels(x, y, sample_weight),
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=_examples.checked_validation(validation_data, self.likelihood),
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            **kwargs,
        )

    def prepare(self, x, n_train):
        """Sets up what depends on the training set; `fit` calls it with arrays.

        Args:
            x: array of shape `[N, *event_shape]`.
            n_train: how many of its examples are trained on.

        Raises:
            ValueError: if the model was made for another training set.
        """

    def evaluate(
        self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs
    ):
        """`keras.Model.evaluate`, with the checks of `fit`."""
        # Inside `fit`, Keras evaluates batches that were checked when it began.
        if not kwargs.get("_use_cached_eval_dataset"):
            x = _examples.checked(x, self.likelihood)
        return super().evaluate(
            x,
            _examples.labels(x, y, sample_weight),
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            **kwargs,
        )

    def predict(self, x, *args, **kwargs):
        """`keras.Model.predict`, with the checks of `fit`."""
        return super().predict(_examples.checked(x, self.likelihood), *args, **kwargs)

    def _maximise(self, callbacks):
        """Callbacks that watch rising terms need no `mode`: Keras knows only its own metrics'."""
        for callback in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
            watched = getattr(callback, "monitor", "").removeprefix("val_")
            if watched in self.rising_terms and getattr(callback, "mode", None) == "auto":
                callback.mode = "max"
