"""One training run of the paper, as a value."""

import dataclasses
import hashlib
import json

# Section 5: hidden units of encoder and decoder, by data set. The digits are ours.
HIDDEN_UNITS = {"mnist": 500, "frey": 200, "digits": 100}
LATENT_DIMS = {"mnist": (3, 5, 10, 20, 200), "frey": (2, 5, 10, 20), "digits": (2, 5, 10)}
ALGORITHMS = ("aevb", "wake-sleep")
STEP_SIZES = (0.01, 0.02, 0.1)
BATCH_SIZE = 100


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that determines a run's numbers, but not how far it is trained.

    The number of samples is left out on purpose: a longer run continues a shorter one.

    Args:
        dataset: `"mnist"`, `"frey"` or `"digits"`.
        algorithm: `"aevb"` or `"wake-sleep"`.
        latent_dim: number of latent variables N_z.
        step_size: Adagrad's global step size.
        seed: fixes the initial weights, the minibatches and the noise.
        hidden_units: tanh units of the encoder, and as many of the decoder. Default: the paper's.
        batch_size: M, examples per minibatch.
        num_samples: L, samples of z per example.
        accumulate_only: number of first steps that accumulate squared gradients without moving.
        initial_stddev: standard deviation of the initial kernels.
    """

    dataset: str
    algorithm: str
    latent_dim: int
    step_size: float
    seed: int = 0
    hidden_units: int | None = None
    batch_size: int = BATCH_SIZE
    num_samples: int = 1
    accumulate_only: int = 100
    initial_stddev: float = 0.01

    def __post_init__(self):
        if self.hidden_units is None:
            object.__setattr__(self, "hidden_units", HIDDEN_UNITS[self.dataset])

    @property
    def id(self):
        """A readable name with a hash of all settings."""
        settings = json.dumps(dataclasses.asdict(self), sort_keys=True)
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        return f"{self.dataset}-{self.algorithm}-z{self.latent_dim}-{digest}"

    def __str__(self):
        return (
            f"{self.dataset} {self.algorithm} N_z={self.latent_dim} "
            f"step {self.step_size:g} seed {self.seed}"
        )
