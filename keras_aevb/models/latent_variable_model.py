"""What all algorithms share: p(x, z), made of parts that the user hands in."""

import contextlib
import zipfile

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments, marginal_likelihood
from keras_aevb._backend.keras_private import ObjectSharingScope, is_sharing_objects
from keras_aevb.distributions import ConditionalDistribution, Prior
from keras_aevb.distributions.precision import check_precision
from keras_aevb.models import parts
from keras_aevb.models.training_loop import TrainingLoop
from keras_aevb.training import inputs


class UnreadableWeightsError(OSError, ValueError):
    """A damaged file, or one of another model; `BackupAndRestore` looks for an `OSError`."""


class LatentVariableModel(TrainingLoop):
    """A generative model p(x, z) = p(z) p(x|z).

    A subclass is an algorithm: it implements `objective`. All parts are built in the constructor,
    so that whatever does not fit together is known before any data is.

    Args:
        decoder: Keras model from z to features.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z).
        terms: names of what `objective` returns for the logs.
        seed: integer that fixes all noise. Default: a random one.

    Raises:
        ValueError: if a part is not of its type, or does not accept what the one before it
            returns.
    """

    # The constructor's arguments that are objects, in order.
    parts: tuple[str, ...] = ("decoder", "likelihood", "prior")

    def __init__(self, decoder, likelihood, prior, terms, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_precision(self)
        parts.check_type("likelihood", likelihood, ConditionalDistribution)
        parts.check_type("prior", prior, Prior)
        parts.check_network("decoder", decoder)
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.seed = arguments.seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.term_means = [keras.metrics.Mean(name) for name in terms]
        features = self.decoder(keras.Input(prior.event_shape, dtype=prior.density_dtype))
        p = parts.example_distribution(likelihood, features)
        parts.check_distribution("likelihood", p, (parts.BATCH,), likelihood.event_shape)
        parts.check_distribution("prior", prior.distribution(), (), prior.event_shape)
        self.built = True

    # Distributions

    def decode(self, z, training=False):
        """p(x|z), a TFP distribution of batch shape `[...]`, for z of shape `[..., *event_shape]`.

        Raises:
            ValueError: if z does not have the prior's event shape.
        """
        z = ops.convert_to_tensor(z)
        rank = len(self.prior.event_shape)
        self._check_shape("z", tuple(z.shape[z.ndim - rank :]), self.prior.event_shape)
        batch_shape = ops.shape(z)[: z.ndim - rank]
        features = self.decoder(ops.reshape(z, (-1, *self.prior.event_shape)), training=training)
        parameters = self.likelihood(
            features, training=training
        )  # each [product of batch_shape, *event_shape]
        return self.likelihood.distribution(
            *(ops.reshape(p, (*batch_shape, *p.shape[1:])) for p in parameters)
        )

    def decoder_of(self, training):
        """`decode` as a function of z alone, as bounds want it."""
        return lambda z: self.decode(z, training)

    def _check_shape(self, name, received, expected):
        if received != expected:
            raise ValueError(
                f"Expected {name} with event shape {expected}. Received: event shape {received}"
            )

    # Arrays in, arrays out

    def sample(self, n, seed=None):
        """Draws x from the model: z ~ p(z), then x ~ p(x|z).

        Args:
            n: number of samples.
            seed: integer that fixes the samples. Default: the model's own stream.

        Returns:
            NumPy array of shape `[n, *event_shape]`.

        Raises:
            ValueError: if n is not a positive integer, or `seed` not a valid seed.
        """
        n, seed = arguments.integer("n", n), arguments.seed(seed)
        program = self._program(("sample", n), lambda *seeds: self.sample_joint(n, *seeds)[0])
        return np.asarray(program(self._seed(seed, 0), self._seed(seed, 1)))

    def sample_joint(self, n, z_seed, x_seed, training=False):
        """Draws n pairs (x, z) ~ p(x, z), as tensors."""
        z = self.prior.distribution().sample(n, seed=z_seed)
        return self.decode(z, training).sample(seed=x_seed), z

    def log_likelihood(
        self,
        x,
        num_samples=None,
        method="importance",
        batch_size=100,
        seed=None,
        return_standard_error=False,
    ):
        """log p(x) of each example, estimated.

        Args:
            x: data of shape `[N, *event_shape]`.
            num_samples: Monte Carlo samples for each example. Default: the method's own.
            method: `"importance"`, `"annealed"`, `"density"` (App. D), or an estimator of
                `keras_aevb.marginal_likelihood`.
            batch_size: examples that are evaluated together.
            seed: integer that fixes the noise. Default: the model's own stream.
            return_standard_error: whether to return the standard errors too.

        Returns:
            NumPy array of shape `[N]`, in nats; or a pair of them, estimates and standard errors.

        Raises:
            ValueError: if x has the wrong shape, or values of probability zero, the method is
                unknown, or it needs a recognition model and there is none.
        """
        estimator = marginal_likelihood.get(method, num_samples)
        one_x = ops.zeros((1, *self.likelihood.event_shape))
        estimator.check(self._recognition(one_x), self.prior.distribution())

        def batch_log_likelihood(x, seed):
            q, prior = self._recognition(x), self.prior.distribution()
            return estimator(x, q, prior, self.decode, seed)

        key = (estimator.__class__, *estimator.get_config().items())
        estimates = self._over_batches(key, batch_log_likelihood, x, batch_size, seed)
        if return_standard_error:
            return estimates["log_likelihood"], estimates["standard_error"]
        return estimates["log_likelihood"]

    def _recognition(self, x):
        """q(z|x) of batch shape `[B]`, or `None` where the model has none."""
        return None

    # Programs on batches

    def _over_batches(self, key, function, x, batch_size, seed):
        """`function(batch, seed)`, which returns tensors of shape `[B]`, over all of `x`.

        Returns:
            NumPy array of shape `[N]`, or a structure of them.
        """
        seed = arguments.seed(seed)
        batch_size = arguments.integer("batch_size", batch_size)
        x = inputs.as_array(x)
        self.likelihood.check(x)

        def cast_first(x, seed):
            return function(ops.cast(x, self.likelihood.density_dtype), seed)

        # One program for one batch size: on TensorFlow, TFP's loops need to know it.
        program = self._program((*key, min(batch_size, len(x))), cast_first)
        results = [
            keras.tree.map_structure(
                lambda values, length=length: np.asarray(values)[:length],
                program(batch, self._seed(seed, i)),
            )
            for i, (batch, length) in enumerate(inputs.padded_batches(x, batch_size))
        ]
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *results)

    def _seed(self, seed=None, index=0):
        """Number `index` of the seeds that an integer determines; by default the model's next."""
        if seed is None:
            return _backend.next_seed(self.seed_generator)
        return _backend.fixed_seed(seed, index)

    def _program(self, key, function):
        """`function` compiled as `compile` says, once for each key."""
        return self._programs.get(key, lambda: _backend.compiled(self, function))

    # Saving

    def save_own_variables(self, store):
        """The variables, and what Keras leaves out: the state of the noise, and epochs done."""
        super().save_own_variables(store)
        store["epochs_done"] = np.array(self.epochs_done)
        for i, variable in enumerate(self._seed_states()):
            store[f"seed_state_{i}"] = np.asarray(variable, "int64")

    def load_own_variables(self, store):
        names = list(store.keys())
        extra = {k: np.asarray(store[k]) for k in names if k.startswith(("epochs", "seed_state"))}
        super().load_own_variables({k: store[k] for k in names if k not in extra})
        if not extra:
            return  # a file of a version before 0.1.0
        self.epochs_done = self.restored_epoch = int(extra["epochs_done"])
        for i, variable in enumerate(self._seed_states()):
            variable.assign(extra[f"seed_state_{i}"])

    def load_weights(self, filepath, *args, **kwargs):
        """`keras.Model.load_weights`, whose errors name the file.

        Raises:
            FileNotFoundError: if there is no such file.
            UnreadableWeightsError: if it does not hold the weights of a model like this one.
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

    def _seed_states(self):
        """States of all seed generators, those of layers like dropout included."""
        weights = {id(v) for v in (*self.weights, *self.metrics_variables)}
        return [v for v in self.non_trainable_variables if id(v) not in weights]

    def get_config(self):
        # Inside one scope, so that a layer in two parts is written, and read again, as one.
        with _sharing_objects():
            for name in self.parts:
                if name not in ("encoder", "decoder"):
                    parts.check_config(name, getattr(self, name))
            objects = {
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in self.parts
            }
        if not is_sharing_objects():
            objects = _with_small_numbers(objects)
        return {**super().get_config(), **objects, "seed": self.seed}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        missing = [name for name in cls.parts if name not in config]
        if missing:
            raise ValueError(
                f"Expected a config of {cls.__name__} with {list(cls.parts)}. "
                f"Received: one without {missing}"
            )
        with _sharing_objects():
            objects = {
                name: keras.saving.deserialize_keras_object(
                    config[name], custom_objects=custom_objects
                )
                for name in cls.parts
            }
        return cls(**{**config, **objects})


def _sharing_objects():
    """Keras' scope of shared objects, or the one that is open already."""
    return contextlib.nullcontext() if is_sharing_objects() else ObjectSharingScope()


# What holds no weights: it does not matter whether two layers share it.
STATELESS = {"keras.initializers", "keras.regularizers", "keras.constraints"}


def _with_small_numbers(config):
    """A config whose shared layers have the numbers 0, 1, … in place of their addresses."""
    numbers = {}

    def renumbered(value):
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
