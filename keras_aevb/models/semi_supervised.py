"""Semi-supervised learning with labels that are missing for some examples."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import arguments
from keras_aevb._backend.keras_private import clear_losses
from keras_aevb.bounds.aggregate_posterior import PenalizedELBO
from keras_aevb.condition import Condition
from keras_aevb.distributions.precision import warn_if_tokens_are_rounded
from keras_aevb.models import parts
from keras_aevb.models.aevb import AEVB
from keras_aevb.training import inputs
from keras_aevb.typing import Config, Distribution, Examples, Objective, Tensor, Verbose

# Stands for a missing label.
MISSING = -1


@keras.saving.register_keras_serializable(package="keras_aevb")
class SemiSupervisedAEVB(AEVB):
    r"""The model M2: p(x, y, z) = p(y) p(z) p(x|z, y), with q(y|x) and q(z|x, y).

    With a uniform p(y) and the bound L(x, y) on log p(x|y), training maximises, for a labelled
    example and for an unlabelled one respectively,

    $$L(x, y) + \log p(y) + α \log q(y|x)$$
    $$\sum_y q(y|x) \, (L(x, y) + \log p(y)) + H(q(y|x))$$

    The labels y are integers from 0; -1 marks a missing label. In the logs, `elbo` is the bound on
    log p(x, y) of labelled examples and on log p(x) of the others, without the classifier's term.
    `classification` is the mean of log q(y|x) over all examples, with 0 for unlabelled ones. A step
    evaluates each example once for each class.

    Args:
        classifier: Keras layer from x to the logits of q(y|x), of shape `[B, num_classes]`.
        condition: `Condition(num_classes=…)`.
        classification_weight: α ≥ 0. The paper uses 0.1 times the number of examples, divided by
            the number of labelled ones.
        **kwargs: arguments of `AEVB`: encoder and decoder also receive the features of y.

    Raises:
        ValueError: if the condition has no classes, the classifier does not return one logit for
            each, or `classification_weight` is negative; and as in `AEVB`.

    Reference: Kingma, Rezende, Mohamed & Welling (2014), arXiv:1406.5298, eqs. 6, 7 and 9.

    Example:
        >>> import keras_aevb as kv
        >>> join = kv.networks.Joined
        >>> model = kv.SemiSupervisedAEVB(
        ...     classifier=keras.layers.Dense(3),
        ...     encoder=join(keras.layers.Dense(8, "tanh")),
        ...     decoder=join(keras.layers.Dense(8, "tanh")),
        ...     posterior=kv.DiagonalNormal(2),
        ...     likelihood=kv.Bernoulli(16),
        ...     condition=kv.Condition(num_classes=3),
        ... )
        >>> model.compile("adam")
        >>> x, y = np.random.default_rng(0).random((20, 16)), np.full(20, -1)
        >>> y[:3] = 0, 1, 2
        >>> history = model.fit(x, y, batch_size=10, verbose=0)
        >>> model.classify(x).shape
        (20, 3)
    """

    parts = ("classifier", *AEVB.parts)
    extra_terms = ("classification",)
    condition: Condition

    def __init__(
        self, classifier: keras.Layer, classification_weight: float = 1.0, **kwargs: Any
    ) -> None:
        parts.check_network("classifier", classifier)
        warn_if_tokens_are_rounded("classifier", classifier)
        super().__init__(**kwargs)
        num_classes = getattr(self.condition, "num_classes", None)
        if num_classes is None:
            raise ValueError(
                "Expected `condition=Condition(num_classes=…)`, the classes of the labels. "
                f"Received: {self.condition}"
            )
        self.num_classes = num_classes
        self.classification_weight = arguments.number(
            "classification_weight", classification_weight, inclusive=True
        )
        self.classifier = classifier
        x = keras.Input(self.likelihood.event_shape, dtype=self.likelihood.density_dtype)
        shape = tuple(self.classifier(x).shape)
        if shape != (None, num_classes):
            raise ValueError(
                f"Expected the classifier to return {num_classes} logits for each example. "
                f"Received: output of shape {shape}"
            )

    def check_parts(self, q: Distribution, prior: Distribution) -> None:
        super().check_parts(q, prior)
        if isinstance(self.bound, PenalizedELBO):
            raise ValueError(
                "The bound's penalty compares q(z) of a batch with p(z), and here a batch has "
                "every class of each example, whatever its probability. Expected a bound without "
                f"a penalty, such as ELBO. Received: {type(self.bound).__name__}"
            )

    def objective(self, x: Tensor, training: bool, y: Any = None) -> Objective:
        """The objective in the class docstring; without y, that of unlabelled examples."""
        k, n = self.num_classes, ops.shape(x)[0]
        log_q = ops.log_softmax(self._logits(x, training))  # [B, K]
        every_x = ops.repeat(x, k, axis=0)  # [B K, ...]
        every_y = ops.tile(ops.arange(k), n)
        with self.given(every_y, training):
            q = self.encode(every_x, training)
            value, terms = self._bound_terms(every_x, q, training)
        # Weights of the classes: 1 for the label, or q(y|x) without one.
        if y is None:
            y = ops.full((n,), MISSING)
        y = ops.cast(ops.reshape(y, (-1, 1)), "int32")  # [B, 1]
        is_missing = ops.equal(y, MISSING)
        is_label = ops.cast(ops.equal(y, ops.arange(k)), log_q.dtype)  # [B, K]
        weights = ops.where(is_missing, ops.exp(log_q), is_label)
        entropy = -ops.sum(ops.exp(log_q) * log_q, axis=1) * ops.cast(is_missing[:, 0], log_q.dtype)

        def over_classes(term: Tensor) -> Tensor:
            if len(term.shape) == 0:  # the value of a schedule
                return term
            return ops.sum(weights * ops.reshape(term, (-1, k)), axis=1)

        terms = {name: over_classes(term) for name, term in terms.items()}
        entropy_and_log_prior = entropy - math.log(k)
        value = over_classes(value) + entropy_and_log_prior
        for name in terms:
            if name in ("elbo", self.bound.objective):
                terms[name] = terms[name] + entropy_and_log_prior
        classification = ops.sum(is_label * log_q, axis=1)
        loss = -value - self.classification_weight * classification
        return Objective(loss, {**terms, "classification": classification})

    def classify(
        self, x: Examples, batch_size: int = 1000, verbose: Verbose = "auto"
    ) -> np.ndarray:
        """q(y|x) of each example.

        Args:
            x, batch_size, verbose: as for `elbo`; the labels of a stream are ignored.

        Returns:
            NumPy array of shape `[N, num_classes]`.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero.
        """

        def probabilities(x: Tensor, seed: Tensor) -> Tensor:
            return ops.softmax(self._logits(x, training=False))

        return self.over_batches(
            ("classify",), probabilities, x, batch_size, 0, verbose=verbose, conditional=False
        )

    @property
    def phi(self) -> list[keras.Variable]:
        return [*super().phi, *self.classifier.trainable_variables]

    def _logits(self, x: Tensor, training: bool) -> Tensor:
        return self.classifier(self.likelihood.filled(x), training=training)

    def _loss(self, data: Any, training: bool) -> Tensor:
        clear_losses(self)
        x, y, sample_weight = self._unpack(data)
        return self._mean_loss(x, *self.objective(x, training, y), sample_weight)

    def labels(self, y: Any, n: int) -> np.ndarray:
        if y is None:
            raise ValueError("Expected labels y, with -1 for a missing one. Received: y=None")
        labels = inputs.as_array(y, "y")
        if not np.isin(labels, np.arange(MISSING, self.num_classes)).all():
            raise ValueError(
                f"Expected labels from 0 to {self.num_classes - 1}, or -1 for a missing one. "
                f"Received: values from {labels.min()} to {labels.max()}"
            )
        self.condition.checked(np.maximum(labels, 0), n)
        return labels.astype("int32")

    def check_batch(self, x: Any, y: Any, sample_weight: Any, training: bool = True) -> None:
        super().check_batch(x, np.zeros(len(x)), sample_weight, training)
        self.labels(y, len(x))

    def get_config(self) -> Config:
        return {**super().get_config(), "classification_weight": self.classification_weight}
