"""A Keras model whose loss is a per-example objective: the hooks of subclasses, and the steps."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend
from keras_aevb._backend.keras_private import all_layers, clear_losses, loss_metric
from keras_aevb.batches import RowBatches, row_indices
from keras_aevb.bounds.base import Bound, LatestValue
from keras_aevb.distributions import ConditionalDistribution
from keras_aevb.outputs import check_one_per_example, check_terms
from keras_aevb.training import inputs
from keras_aevb.typing import Objective, Tensor, Terms


class ObjectiveModel(keras.Model):
    """A Keras model whose loss is the mean of its own `objective` over a batch.

    A subclass has a `likelihood`, which defines the shape and the values of examples.
    """

    # Terms of the objective that are better when larger, and when smaller.
    maximize: tuple[str, ...] = ()
    minimize: tuple[str, ...] = ()
    likelihood: ConditionalDistribution
    # The means of the terms in the logs.
    term_means: list[keras.metrics.Metric]

    def objective(self, x: Tensor, training: bool) -> Objective:
        """The loss of each example, and terms for the logs.

        Args:
            x: tensor of shape `[B, *event_shape]`.
            training: whether the layers run in training mode.

        Returns:
            An `Objective`: the loss of shape `[B]`, and terms of shape `[B]` for the logs.
        """
        raise NotImplementedError(f"Expected {type(self).__name__} to implement `objective`")

    def adapt(self, x: Tensor) -> None:
        """Sets state that depends on the training set; `fit` calls it with its arrays.

        Args:
            x: training examples, an array of shape `[N, *event_shape]`.

        Raises:
            ValueError: if the model was made for another training set.
        """

    def check_ready(self, training: bool = True, class_weight: Any = None) -> None:
        """Raises a `ValueError` if the model lacks state that `adapt` or an argument would set.

        Args:
            training: whether the model will be trained, or evaluated.
            class_weight: argument of `fit` for a stream; with it, Keras reads y as class labels.
        """

    def check_class_weight(self, class_weight: Any) -> None:
        """Raises a `ValueError` if the model's y has no classes to weight."""

    def unpacked(self, data: Any) -> tuple[Any, Any, Any]:
        """(x, y, sample weights) of a stream's batch, or of the arguments of `fit`.

        x is a NumPy array or a tensor, if it was an array of any kind, such as a DataFrame.

        Raises:
            ValueError: if x is a dict, but the model has no named inputs.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(x, dict):
            raise ValueError(
                "Expected one array, or a stream of batches of arrays. Received: a dict with "
                f"{sorted(x)}; only a model with a condition has named inputs"
            )
        return inputs.as_indexable(x, self.likelihood.density_dtype), y, sample_weight

    def labels(self, y: Any, n: int) -> np.ndarray:
        """The labels that steps receive for n examples in arrays; by default the row indices."""
        return row_indices(n)

    def check_batch(self, x: Any, y: Any, sample_weight: Any, training: bool = True) -> None:
        """Raises a `ValueError` if a batch of a stream cannot be trained on or evaluated."""
        x = inputs.as_array(x, dtype=self.likelihood.density_dtype)
        self.likelihood.check(x)
        inputs.check_sample_weight(sample_weight, len(x))

    def check_rows(self, batches: RowBatches, training: bool = True) -> None:
        """Like `check_batch`, for the arrays of a `RowBatches`."""
        self.check_batch(*self.unpacked(batches.arrays), training)

    # Steps

    @_backend.step
    def train_step(self, data: Any) -> Any:
        """One optimizer step on a batch; on JAX a pure function of the variables' values."""
        _backend.minimize(self, lambda: self._loss(data, training=True))
        for layer in all_layers(self):
            if isinstance(layer, Bound):
                layer.count_step()
        return self.get_metrics_result()

    @_backend.step
    def test_step(self, data: Any) -> Any:
        """Updates the running means of the objective; on JAX a pure function."""
        with _backend.full_precision():
            self._loss(data, training=False)
        return self.get_metrics_result()

    def _loss(self, data: Any, training: bool) -> Tensor:
        clear_losses(self)
        x, _, sample_weight = self._unpack(data)
        return self._mean_loss(x, *self.objective(x, training), sample_weight)

    def _unpack(self, data: Any) -> tuple[Tensor, Any, Any]:
        """x cast for densities, y, and sample weights or `None`."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return ops.cast(x, self.likelihood.density_dtype), y, sample_weight

    def _mean_loss(self, x: Tensor, losses: Tensor, terms: Terms, sample_weight: Any) -> Tensor:
        """The mean loss of a batch plus penalties; updates the running means of the logs.

        With several replicas on TensorFlow, this is the replica's share of the loss. The shares add
        up to the loss of the whole batch, and their gradients to its gradient, for any split.
        """
        check_one_per_example(self, "loss", losses, x)
        check_terms(self, terms, (mean.name for mean in self.term_means), x)
        batch_size = ops.shape(losses)[0]
        if sample_weight is not None:
            sample_weight = ops.reshape(ops.cast(sample_weight, losses.dtype), (-1,))  # [B]
            losses = losses * sample_weight
        penalties = sum(ops.cast(penalty, losses.dtype) for penalty in self.losses)
        num_replicas = _backend.num_replicas()
        if num_replicas == 1:
            mean = share = _backend.mean(losses) + penalties
        else:
            total, n = ops.sum(losses), ops.cast(batch_size, losses.dtype)
            mean = total / ops.maximum(n, 1) + penalties
            share = total / _backend.sum_over_replicas(n) + penalties / num_replicas
        loss_metric(self).update_state(mean, sample_weight=batch_size)
        for metric in self._means_of(terms):
            metric.update_state(terms[metric.name], sample_weight=sample_weight)
        return share

    def _means_of(self, terms: Terms) -> list[keras.metrics.Metric]:
        """The metrics of these terms, and of schedules in force.

        Raises:
            ValueError: if a layer's own metric has the name of one of them.
        """
        means = [m for m in self.metrics if isinstance(m, LatestValue) and m.name in terms]
        means += self.term_means
        names = {"loss", *(mean.name for mean in means)}
        others = {*self.metrics} - {loss_metric(self), *means}
        if clashing := sorted({m.name for m in others if m.name in names}):
            raise ValueError(
                f"The logs have one number for each name. Expected metrics of layers with other "
                f"names than {sorted(names)}. Received: {clashing}"
            )
        return means

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Each metric once: Keras lists that of a nested layer for every enclosing layer."""
        return list(dict.fromkeys(super().metrics))
