"""q(z|x) as a layer for other Keras models."""

from typing import Any, Literal, Self, Unpack

import keras
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend.keras_private import config_in_a_file
from keras_aevb.condition import Condition
from keras_aevb.distributions import ConditionalDistribution
from keras_aevb.typing import Config, Distribution, LayerArguments, Seed, Tensor

OUTPUTS = ("mean", "mean_and_log_variance", "sample")


@keras.saving.register_keras_serializable(package="keras_aevb")
class Encoding(keras.layers.Layer):
    """A layer from x to z ~ q(z|x), or to the mean and log-variance of q(z|x).

    It shares encoder and posterior with the original model: a loss on its output trains them, and
    a model that contains the layer saves them.

    Args:
        encoder: Keras model from x to features.
        posterior: `ConditionalDistribution` from the features to q(z|x).
        output: `"mean"`; `"mean_and_log_variance"`, a pair; or `"sample"`, one z for each x, in
            inference mode too.
        condition: `Condition` y of q(z|x, y). Default: none.
        fill: number that replaces missing values (NaN) of x. Default: x has none.
        seed: integer that fixes the samples. Default: a random one.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: tensor of shape `[B, *event_shape]`; with a condition, a list [x, y], where y may be a
            dict for `Conditions`.

    Returns:
        Tensor of shape `[B, *z_shape]`, or a pair of them.

    Raises:
        ValueError: if `posterior` has the wrong type, or `output` is unknown or not available for
            q(z|x).

    Example:
        >>> import keras, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = keras.Input((16,))
        >>> labels = keras.layers.Dense(10, "softmax")(model.encoding("mean")(x))
        >>> classifier = keras.Model(x, labels)
    """

    def __init__(
        self,
        encoder: keras.Layer,
        posterior: ConditionalDistribution,
        output: Literal["mean", "mean_and_log_variance", "sample"] = "mean",
        condition: Condition | None = None,
        fill: float | None = None,
        seed: Seed = None,
        **kwargs: Unpack[LayerArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # the encoder casts x; half precision would round labels of y
        if not isinstance(posterior, ConditionalDistribution):
            raise ValueError(
                f"Expected `posterior` to be a ConditionalDistribution. Received: {posterior!r}"
            )
        self.encoder = encoder
        self.posterior = posterior
        self.output_kind = arguments.choice("output", output, OUTPUTS)
        self.condition = condition
        self.fill = fill
        self.seed = arguments.seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    def build(self, shape: Any) -> None:
        if self.condition is None:
            shapes = [shape]
        else:  # Keras' shape of y is wrong for a dict
            shapes = [shape[0], (shape[0][0], *self.condition.shape)]
        self._parameters(*(keras.KerasTensor(s, self.compute_dtype) for s in shapes))

    def call(self, x: Any, training: bool = False) -> Any:
        seed = _backend.next_seed(self.seed_generator) if self.output_kind == "sample" else None
        inputs = [x] if self.condition is None else [x[0], self.condition.columns(x[1])]

        def output(seed: Tensor | None, *inputs: Tensor) -> Any:
            parameters = self._parameters(*inputs, training=training)
            return self._output(self.posterior.distribution(*parameters), seed)

        return _backend.over_examples(output, seed, *inputs)

    def _parameters(self, x: Any, y: Any = None, *, training: bool = False) -> tuple[Tensor, ...]:
        if self.fill is not None:
            x = ops.where(ops.isnan(x), ops.convert_to_tensor(self.fill, x.dtype), x)
        if self.condition is not None:
            x = [x, self.condition(y, training=training)]
        return self.posterior(self.encoder(x, training=training), training=training)

    def _output(self, q: Distribution, seed: Tensor | None) -> Any:
        try:
            if self.output_kind == "sample":
                return q.sample(seed=seed)
            if self.output_kind == "mean":
                return q.mean()
            return q.mean(), ops.log(q.variance())
        except NotImplementedError:
            raise ValueError(
                f"Expected `output='sample'`: TFP has no mean or variance of {q.name}. "
                f"Received: {self.output_kind!r}"
            ) from None

    def get_config(self) -> Config:
        parts = {"encoder": self.encoder, "posterior": self.posterior, "condition": self.condition}
        return {
            **super().get_config(),
            **{n: config_in_a_file(part) for n, part in parts.items()},
            "output": self.output_kind,
            "fill": self.fill,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})
