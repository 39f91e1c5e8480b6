"""The settings of a training run."""

import dataclasses
import hashlib
import json

# Section 5: hidden units of encoder and decoder, by data set. The paper does not use the digits.
HIDDEN_UNITS = {"mnist": 500, "frey": 200, "digits": 100}
LATENT_DIMS = {"mnist": (3, 5, 10, 20, 200), "frey": (2, 5, 10, 20), "digits": (2, 5, 10)}
PAPER_DATASETS = ("mnist", "frey")
IMAGE_SHAPES = {"mnist": (28, 28), "frey": (28, 20), "digits": (8, 8)}
ALGORITHMS = ("aevb", "wake-sleep", "mcem")
SPLITS = ("train", "test")
# For each `measure`, the quantities measured at every evaluation, on each split.
MEASURED = {"bound": ("elbo", "sem"), "likelihood": ("density", "density_error")}
STEP_SIZES = (0.01, 0.02, 0.1)  # the candidates
BATCH_SIZE = 100
SPLIT_SEED = 0

# App. E: leapfrog steps per transition, and weight updates with the resulting sample.
MCEM_LEAPFROG_STEPS = 10
MCEM_UPDATES = 5

# Settings added later: at their defaults, they do not change the name of a run.
LATER_SETTINGS = ("n_train", "measure", "log_variance_gain", "split_seed", "decoder_layers")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """All settings that determine a run's numbers, except the number of training samples.

    That is left out because a longer run continues a shorter one.

    Args:
        dataset: `"mnist"`, `"frey"` or `"digits"`.
        algorithm: `"aevb"`, `"wake-sleep"` or `"mcem"`.
        latent_dim: number of latent variables N_z.
        step_size: Adagrad's global step size.
        seed: fixes the initial weights, the minibatches and the noise.
        hidden_units: tanh units of the encoder, and of each hidden layer of the decoder. Default:
            the paper's.
        batch_size: M, examples per minibatch. Monte Carlo EM always uses the whole training set.
        num_samples: L, samples of z per example.
        accumulate_only: number of first steps that only accumulate squared gradients.
        initial_stddev: standard deviation of the initial kernels.
        n_train: N, use only the first N training images. Default: all.
        measure: the evaluated quantity: `"bound"` (figure 2) or `"likelihood"` (figure 3).
        log_variance_gain: c in the encoder's log σ² = c W h + b.
        initial_bias_stddev: standard deviation of the initial biases.
        split_seed: seed of the random split into training and test images; MNIST has a fixed split.
        decoder_layers: number of the decoder's hidden layers.
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
    n_train: int | None = None
    measure: str = "bound"
    log_variance_gain: float = 1.0
    initial_bias_stddev: float = 0.01
    split_seed: int = SPLIT_SEED
    decoder_layers: int = 1

    def __post_init__(self):
        for name, known in (
            ("dataset", HIDDEN_UNITS),
            ("algorithm", ALGORITHMS),
            ("measure", MEASURED),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(
                    f"Expected `{name}` to be one of {', '.join(known)}. Received: {value!r}"
                )
        if self.hidden_units is None:
            object.__setattr__(self, "hidden_units", HIDDEN_UNITS[self.dataset])

    @property
    def id(self):
        """A readable name that ends in a hash of all settings."""
        settings = dataclasses.asdict(self)
        for field in dataclasses.fields(self):
            if field.name in LATER_SETTINGS and settings[field.name] == field.default:
                del settings[field.name]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        size = "" if self.n_train is None else f"-n{self.n_train}"
        return f"{self.dataset}-{self.algorithm}-z{self.latent_dim}{size}-{digest}"

    @property
    def samples_per_step(self):
        """Training samples evaluated by one training step.

        In Monte Carlo EM every leapfrog step and every weight update evaluates the whole training
        set once. The points of the paper's curves lie at multiples of 15 N_train.
        """
        if self.algorithm != "mcem":
            return self.batch_size
        if self.n_train is None:
            raise ValueError("Expected `n_train` of Monte Carlo EM. Received: None")
        return (MCEM_LEAPFROG_STEPS + MCEM_UPDATES) * self.n_train

    @property
    def score(self):
        """The measured quantity that compares runs during training."""
        return self.measured[0]

    @property
    def scores(self):
        """The score, and the same quantity on the test set."""
        return self.measured[: len(SPLITS)]

    @property
    def measured(self):
        """Names of the quantities that every evaluation measures, the score first."""
        return [f"{split}_{name}" for name in MEASURED[self.measure] for split in SPLITS]

    def __str__(self):
        return title([self])

    @property
    def curve(self):
        """The name of the curve, without step size and seed."""
        size = "" if self.n_train is None else f" N={self.n_train}"
        return f"{self.dataset} {self.algorithm} N_z={self.latent_dim}{size}"

    @property
    def curve_settings(self):
        """All settings but step size and seed."""
        return dataclasses.replace(self, step_size=0.0, seed=0)

    @property
    def shared_settings(self):
        """The settings that runs in one program share: their data, batches and evaluations."""
        data = self.dataset, self.split_seed, self.n_train
        return *data, self.measure, self.algorithm == "mcem", self.batch_size


def title(experiments):
    """A title for experiments that are trained side by side."""
    curves = dict.fromkeys(e.curve for e in experiments)
    steps = "/".join(f"{step:g}" for step in sorted({e.step_size for e in experiments}))
    seeds = "/".join(map(str, sorted({e.seed for e in experiments})))
    name = next(iter(curves)) if len(curves) == 1 else f"{len(curves)} curves"
    return f"{name} step {steps} seed {seeds}"
