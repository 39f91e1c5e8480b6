"""The tasks of the peers, on random data."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Work:
    """The paper's MNIST model: 784-500-20-500-784, tanh, Bernoulli pixels, Adagrad.

    Attributes:
        examples: float32 examples in an epoch.
        x_dim: pixels.
        hidden_units: hidden units of the encoder, and of the decoder.
        latent_dim: N_z.
        batch_size: M.
        num_samples: L, samples of z for each example.
        replicas: number of models to train, with different seeds.
    """

    examples: int = 20_000
    x_dim: int = 784
    hidden_units: int = 500
    latent_dim: int = 20
    batch_size: int = 100
    num_samples: int = 1
    replicas: int = 1

    def data(self):
        """Pixels in [0, 1], of shape `[examples, x_dim]`."""
        return np.random.default_rng(0).random((self.examples, self.x_dim), dtype="float32")

    @property
    def samples(self):
        """Training samples of an epoch, over all replicas."""
        return self.examples * self.replicas

    @property
    def layers(self):
        """Inputs and outputs of each dense layer."""
        return {
            "hidden": (self.x_dim, self.hidden_units),
            "mean": (self.hidden_units, self.latent_dim),
            "log_variance": (self.hidden_units, self.latent_dim),
            "decoder": (self.latent_dim, self.hidden_units),
            "logits": (self.hidden_units, self.x_dim),
        }

    @property
    def multiplications(self):
        """Multiplications by weights in one example's forward pass."""
        encoder = self.hidden_units * (self.x_dim + 2 * self.latent_dim)
        decoder = self.hidden_units * (self.latent_dim + self.x_dim)
        return encoder + self.num_samples * decoder

    @property
    def flop_per_sample(self):
        """Floating-point operations of a training sample's matrix products.

        Each weight takes a multiplication and an addition: once in the forward pass, and twice in
        the backward pass, for weights and inputs. The first layer's inputs need no gradient.
        """
        return 2 * (3 * self.multiplications - self.hidden_units * self.x_dim)


@dataclasses.dataclass(frozen=True)
class Images:
    """A convolutional model of grey images, with Bernoulli pixels, ReLU and Adam.

    Four convolutions of 4 × 4 with strides of 2, a dense layer, and the same in reverse: the
    networks of Burgess et al. (2018) with one dense layer in place of two.

    Attributes:
        examples: float32 examples in an epoch.
        size: width and height, 16 times that of the last convolution's output.
        filters: filters of each convolution except the decoder's last.
        dense_units: units of the dense layers.
        latent_dim: N_z.
        batch_size: M.
    """

    examples: int = 640
    size: int = 64
    filters: int = 32
    dense_units: int = 256
    latent_dim: int = 10
    batch_size: int = 64

    def data(self):
        """Pixels in [0, 1], of shape `[examples, size, size, 1]`."""
        shape = self.examples, self.size, self.size, 1
        return np.random.default_rng(0).random(shape, dtype="float32")

    @property
    def encoded_shape(self):
        """The shape of the last convolution's output."""
        return self.size // 16, self.size // 16, self.filters


@dataclasses.dataclass(frozen=True)
class Counts:
    """Counts of genes in cells: scVI's default networks, negative binomial counts and Adam.

    A hidden layer with batch normalisation, ReLU and dropout of 0.1 in the encoder, one without
    dropout in the decoder. A gene has one dispersion. Only in scVI's program are a cell's
    rates fractions of its total count.

    Attributes:
        examples: cells in an epoch.
        x_dim: genes.
        hidden_units: hidden units of the encoder, and of the decoder.
        latent_dim: N_z.
        batch_size: M.
    """

    examples: int = 2560
    x_dim: int = 2000
    hidden_units: int = 128
    latent_dim: int = 10
    batch_size: int = 128

    def data(self):
        """Counts as float32, of shape `[examples, x_dim]`; most are 0."""
        rng = np.random.default_rng(0)
        rates = rng.gamma(0.3, 2.0, (self.examples, self.x_dim))
        return rng.poisson(rates).astype("float32")
