"""Several models trained side by side."""

import keras

from keras_aevb import _backend
from keras_aevb.batches import EpochMinibatches, row_numbers
from keras_aevb.models import _examples
from keras_aevb.models._likeness import difference
from keras_aevb.models.latent_variable_model import check_type
from keras_aevb.models.training_loop import TrainingLoop


class Replicas:
    """Trains models that differ in seed, step size and weights alone, as one.

    On the jax backend one compiled program makes the steps of all models: on a GPU, which a model
    of the paper's size leaves idle for the most part, on stacked values; on a processor side by
    side. On the tensorflow backend the models are trained one after another. The results are those
    of models trained alone, up to rounding. A model that diverges does not touch the others.

    The models stay what they are: each can be evaluated, saved and trained further by itself. They
    are up to date whenever `fit` has returned or was interrupted.

    Args:
        models: compiled models of one class, equal in everything but seeds, weights and the
            optimizer's learning rate, which must be a number.

    Raises:
        ValueError: if there are none, one is not compiled, on jax is compiled to run eagerly, or
            differs in more, or two share variables.

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
        >>> len(histories), len(histories[0]["elbo"])
        (4, 3)
    """

    def __init__(self, models):
        self.models = list(models)
        if not self.models:
            raise ValueError("Expected at least one model. Received none")
        for model in self.models:
            check_type("models", model, TrainingLoop)
            if not model.compiled:
                raise ValueError(f"Expected compiled models. Received: {model} before `compile`")
        variables = [id(v) for m in self.models for v in (*m.variables, *m.optimizer.variables)]
        if len(set(variables)) < len(variables):
            raise ValueError("Expected models that share no variables. Received some that do")
        self._trainer = self._new_trainer()

    def _new_trainer(self):
        for model in self.models[1:]:
            found = difference(self.models[0], model)
            if found is not None:
                raise ValueError(
                    "Expected models that are equal in everything but seeds, weights and the "
                    f"learning rate. Received a difference in {found}"
                )
        self._compiled_as = [_how_compiled(model) for model in self.models]
        return _backend.ReplicaTrainer(self.models)

    def fit(
        self, x, sample_weight=None, batch_size=32, epochs=1, shuffle=True, verbose=1, report=None
    ):
        """Trains all models.

        Args:
            x: array of shape `[N, *event_shape]` for all models, each of which takes it in an order
                that its own seed determines; or a list of streams, one for each model, as
                `RandomMinibatches`, of one length, with batches of one shape.
            sample_weight: array of shape `[N]`, for an array x.
            batch_size: examples in a batch, for an array x.
            epochs: passes over the data.
            shuffle: whether an array x is shuffled for each epoch.
            verbose: 1 for a progress bar, 0 for none.
            report: function of the number of steps made so far, of all models together, and of the
                logs of one of them; called after every execution.

        Returns:
            For each model a dict from the names of the logs to lists of their values, one for each
            epoch.

        Raises:
            ValueError: if there is not one stream for each model, they differ in length, the data
                has the wrong shape or impossible values, a model does not know the size of its
                training set and gets a stream, or models were compiled again and differ now.
        """
        if self._compiled_as != [_how_compiled(model) for model in self.models]:
            self._trainer = self._new_trainer()
        streams = self._streams(x, sample_weight, batch_size, shuffle)
        for model, stream in zip(self.models, streams):
            _examples.checked(stream, model.likelihood)
            model.make_train_function()  # checks that the model can train on a stream
        if report is None and verbose:
            report = _ProgressBar(len(self.models) * len(streams[0]) * epochs)
        return self._trainer.fit(streams, epochs, report or (lambda done, logs: None))

    def _streams(self, x, sample_weight, batch_size, shuffle):
        if isinstance(x, list | tuple):
            if len(x) != len(self.models):
                raise ValueError(
                    f"Expected {len(self.models)} streams, one for each model. Received: {len(x)}"
                )
            lengths = sorted({len(stream) for stream in x})
            if len(lengths) > 1 or lengths == [0]:
                raise ValueError(
                    f"Expected streams of one length, at least 1. Received: lengths {lengths}"
                )
            return list(x)
        self.models[0].likelihood.check(_examples.as_array(x))
        for model in self.models:
            model.prepare(x, len(x))
        arrays = (x, row_numbers(len(x)), *([] if sample_weight is None else [sample_weight]))
        return [
            EpochMinibatches(arrays, batch_size, shuffle, seed=model.seed) for model in self.models
        ]


class _ProgressBar:
    def __init__(self, total):
        self.bar = keras.utils.Progbar(total, unit_name="step", stateful_metrics=["loss"])

    def __call__(self, done, logs):
        self.bar.update(done, [("loss", float(logs["loss"]))])


def _how_compiled(model):
    """What `compile` changes; the optimizer itself, so that another one is told from it."""
    return model.optimizer, model.run_eagerly, model.jit_compile, model.steps_per_execution
