"""The paper's multilayer perceptrons (App. C), as the parts of a model.

```python
model = AEVB(**bernoulli_mlp(784, latent_dim=20, hidden_units=500, n_train=50_000))
model = MonteCarloEM(**bernoulli_mlp(784, latent_dim=3, hidden_units=100, recognition=False))
```
"""

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeAlias, Unpack

import keras
import numpy as np

from keras_aevb import arguments
from keras_aevb.distributions import Bernoulli, DiagonalNormal, Normal, StandardNormal
from keras_aevb.typing import Config, LayerArguments, Seed, Tensor
from keras_aevb.weight_prior import WeightPrior

Activation: TypeAlias = str | Callable[[Any], Any]


@keras.saving.register_keras_serializable(package="keras_aevb")
class Joined(keras.layers.Layer):
    """Flattens and concatenates several inputs for a network that takes vectors.

    A model with a `Condition` calls its encoder and its decoder with a pair of inputs.

    Args:
        network: Keras layer of vectors.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        values: list of tensors of shape `[B, ...]`.

    Example:
        >>> encoder = Joined(keras.Sequential([keras.layers.Dense(5, "tanh")]))
        >>> tuple(encoder([np.zeros((2, 4, 4)), np.zeros((2, 3))]).shape)
        (2, 5)
    """

    def __init__(self, network: keras.Layer, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.network = network

    def call(self, values: Sequence[Tensor], training: bool = False) -> Tensor:
        flat = [keras.ops.reshape(v, (-1, int(np.prod(v.shape[1:])))) for v in values]
        dtype = self.compute_dtype
        joined = keras.ops.concatenate([keras.ops.cast(v, dtype) for v in flat], axis=-1)
        return self.network(joined, training=training)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in config.items()})


@keras.saving.register_keras_serializable(package="keras_aevb")
class Elements(keras.layers.Layer):
    """Selects the first n elements of vectors, for example z₁ of a hierarchy for a decoder.

    Args:
        n: number of elements.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        z: tensor of shape `[..., N]`.

    Example:
        >>> tuple(Elements(2)(np.array([[1.0, 2.0, 3.0]])).shape)
        (1, 2)
    """

    def __init__(self, n: int, **kwargs: Unpack[LayerArguments]) -> None:
        super().__init__(**kwargs)
        self.n = arguments.integer("n", n)

    def call(self, z: Tensor) -> Tensor:
        return z[..., : self.n]

    def get_config(self) -> Config:
        return {**super().get_config(), "n": self.n}


def bernoulli_mlp(
    x_dim: int,
    latent_dim: int,
    hidden_units: int = 500,
    n_train: float | None = None,
    stddev: float = 0.01,
    seed: Seed = None,
    recognition: bool = True,
    log_variance_gain: float = 1.0,
    bias_stddev: float = 0.01,
    decoder_layers: int = 1,
) -> dict[str, Any]:
    r"""The paper's model of MNIST: Gaussian MLP encoder and Bernoulli MLP decoder.

    $$q(z|x) = N(z; μ, σ²), \quad h = \tanh(W_3 x + b_3), \quad μ = W_4 h + b_4, \quad
    \log σ² = c W_5 h + b_5$$
    $$p(z) = N(z; 0, I)$$
    $$p(x|z) = Bernoulli(x; y), \quad y = sigmoid(W_2 \tanh(W_1 z + b_1) + b_2)$$

    Args:
        x_dim: number of pixels.
        latent_dim: number of latent variables N_z.
        hidden_units: number of tanh units of the encoder, and of the decoder.
        n_train: number of training examples N. If given, the kernels have the prior N(0, I): a
            penalty of |W|²/2N on the mean loss.
        stddev: the kernels start from N(0, stddev²).
        seed: integer that fixes the initial weights. Default: a random one, which
            `keras.utils.set_random_seed` fixes.
        recognition: whether to make a recognition model q(z|x). The decoder's initial weights are
            the same without it.
        log_variance_gain: c, 1 in the paper. The model represents the same functions for every c,
            but Adagrad and Adam change σ at another rate. The authors' wake-sleep code uses 0.1.
            With 1, superfluous latent variables cost wake-sleep tens of nats.
        bias_stddev: the biases start from N(0, bias_stddev²), or from zero if it is 0.
        decoder_layers: number of tanh layers of the decoder, 1 in the paper, each of
            `hidden_units`.

    Returns:
        Dict with `encoder`, `decoder`, `posterior`, `likelihood` and `prior`, the arguments of a
        model; `encoder` and `posterior` only with a recognition model.

    Raises:
        ValueError: if a size is not a positive integer, or another number is out of range.

    Reference: Kingma & Welling (2013), App. C.1, eq. 11, and sec. 5.

    Example:
        >>> from keras_aevb import AEVB
        >>> AEVB(**bernoulli_mlp(784, latent_dim=20, seed=0)).count_params()
        815824
    """
    _check_sizes(x_dim=x_dim, latent_dim=latent_dim, hidden_units=hidden_units)
    arguments.boolean("recognition", recognition)
    dense = _dense_layers(n_train, stddev, bias_stddev, seed)
    encoder = _gaussian_encoder(dense, latent_dim, hidden_units, log_variance_gain)
    return {
        **(encoder if recognition else {}),
        "decoder": _decoder(dense, hidden_units, decoder_layers),
        "likelihood": Bernoulli(x_dim, logits=dense(x_dim), name="likelihood"),
        "prior": StandardNormal(latent_dim, name="prior"),
    }


def gaussian_mlp(
    x_dim: int,
    latent_dim: int,
    hidden_units: int = 200,
    n_train: float | None = None,
    stddev: float = 0.01,
    seed: Seed = None,
    mean_activation: Activation | None = None,
    recognition: bool = True,
    log_variance_gain: float = 1.0,
    bias_stddev: float = 0.01,
    decoder_layers: int = 1,
) -> dict[str, Any]:
    r"""The paper's model of continuous data: Gaussian MLPs as encoder and decoder.

    $$h = \tanh(W_3 \cdot + b_3), \quad μ = W_4 h + b_4, \quad \log σ² = W_5 h + b_5$$

    for q(z|x) and p(x|z) alike, and p(z) = N(z; 0, I). The paper's Frey Face model passes the
    decoder's means through a sigmoid: `mean_activation="sigmoid"`.

    Args:
        x_dim, latent_dim, hidden_units, n_train, stddev, seed, recognition, log_variance_gain,
            bias_stddev, decoder_layers: as for `bernoulli_mlp`; the gain applies only to the
            encoder.
        mean_activation: activation of the decoder's mean.

    Returns:
        Dict, as from `bernoulli_mlp`.

    Raises:
        ValueError: if a size is not a positive integer, another number is out of range, or
            `mean_activation` is unknown.

    Reference: Kingma & Welling (2013), App. C.2, eq. 12, and sec. 5.

    Example:
        >>> from keras_aevb import WakeSleep
        >>> parts = gaussian_mlp(560, latent_dim=2, mean_activation="sigmoid", seed=0)
        >>> WakeSleep(**parts).count_params()
        338724
    """
    _check_sizes(x_dim=x_dim, latent_dim=latent_dim, hidden_units=hidden_units)
    arguments.boolean("recognition", recognition)
    _check_activation("mean_activation", mean_activation)
    dense = _dense_layers(n_train, stddev, bias_stddev, seed)
    encoder = _gaussian_encoder(dense, latent_dim, hidden_units, log_variance_gain)
    return {
        **(encoder if recognition else {}),
        "decoder": _decoder(dense, hidden_units, decoder_layers),
        "likelihood": Normal(
            x_dim,
            mean=dense(x_dim, mean_activation),
            log_variance=dense(x_dim),
            name="likelihood",
        ),
        "prior": StandardNormal(latent_dim, name="prior"),
    }


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        arguments.integer(name, size)


def _check_activation(name: str, activation: Activation | None) -> None:
    try:
        keras.activations.get(activation)
    except (TypeError, ValueError):
        raise ValueError(
            f"Expected `{name}` to be the name of a Keras activation, a function or None. "
            f"Received: {activation!r}"
        ) from None


def _gaussian_encoder(
    dense: Callable[..., keras.Layer], latent_dim: int, hidden_units: int, log_variance_gain: float
) -> dict[str, Any]:
    arguments.number("log_variance_gain", log_variance_gain)
    hidden, mean, log_variance = dense(hidden_units, "tanh"), dense(latent_dim), dense(latent_dim)
    if log_variance_gain != 1.0:
        log_variance = keras.Sequential([keras.layers.Rescaling(log_variance_gain), log_variance])
    return {
        "encoder": keras.Sequential([hidden], name="encoder"),
        "posterior": DiagonalNormal(
            latent_dim, mean=mean, log_variance=log_variance, name="posterior"
        ),
    }


def _decoder(
    dense: Callable[..., keras.Layer], hidden_units: int, decoder_layers: int
) -> keras.Layer:
    arguments.integer("decoder_layers", decoder_layers)
    hidden = [dense(hidden_units, "tanh") for _ in range(decoder_layers)]
    return keras.Sequential(hidden, name="decoder")


def _dense_layers(
    n_train: float | None, stddev: float, bias_stddev: float, seed: Seed
) -> Callable[..., keras.Layer]:
    """A function that makes dense layers with normal initial weights, each from new seeds."""
    for name, value in {"stddev": stddev, "bias_stddev": bias_stddev}.items():
        arguments.number(name, value, inclusive=True)
    if n_train is not None:
        arguments.number("n_train", n_train)
    seeds = np.random.SeedSequence(arguments.seed_or_default(seed))

    def dense(units: int, activation: Activation | None = None) -> keras.Layer:
        kernel_seed, bias_seed = map(int, seeds.spawn(1)[0].generate_state(2))
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=keras.initializers.RandomNormal(stddev=stddev, seed=kernel_seed),
            bias_initializer=keras.initializers.RandomNormal(stddev=bias_stddev, seed=bias_seed),
            kernel_regularizer=None if n_train is None else WeightPrior(n_train),
        )

    return dense
