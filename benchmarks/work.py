"""The task of all peers: train the paper's MNIST model on random data of MNIST's shape."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Work:
    """784-500-20-500-784, tanh, Bernoulli pixels, Adagrad, batches of 100, one sample of z.

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

        2 for each multiplication and addition: once in the forward pass, and twice in the backward
        pass, for weights and inputs. The first layer's inputs need no gradient.
        """
        return 2 * (3 * self.multiplications - self.hidden_units * self.x_dim)
