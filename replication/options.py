"""The options that commands share, with the values that they accept."""

import math

import click

from replication.plan.experiment import BATCH_SIZE

# Far beyond the paper's 2.5e8 samples and 200 latent variables, and what a machine still holds.
MOST_SAMPLES = 10**10
MOST_LATENT_DIMS = 1000
MOST_SEEDS = 100
STEP_SIZE_RANGE = 1e-6, 1e3


class SampleCount(click.ParamType):
    """A number of training samples, such as 1000000 or 1e6; a whole number of minibatches."""

    name = "samples"

    def convert(self, value, param, ctx):
        try:
            samples = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number such as 1e6.", param, ctx)
        if not BATCH_SIZE <= samples <= MOST_SAMPLES or samples % BATCH_SIZE:
            self.fail(
                f"{value} is not a multiple of the batch size {BATCH_SIZE} from {BATCH_SIZE} to "
                f"{MOST_SAMPLES:.0e}.",
                param,
                ctx,
            )
        return int(samples)


class StepSize(click.FloatRange):
    """A number in a range, which NaN is not."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


class Folder(click.Path):
    """A folder that has a name: the value of a variable that is not set has none."""

    def convert(self, value, param, ctx):
        if not value:
            self.fail("Expected the name of a folder. Received: an empty one.", param, ctx)
        return super().convert(value, param, ctx)


def _distinct(ctx, param, values):
    """What was given twice counts once."""
    return tuple(dict.fromkeys(values))


def dataset(choices, default):
    return click.option(
        "--dataset",
        "datasets",
        type=click.Choice(choices),
        multiple=True,
        callback=_distinct,
        default=default,
        show_default=True,
        help="Data set; may be repeated.",
    )


def algorithm(choices):
    return click.option(
        "--algorithm",
        "algorithms",
        type=click.Choice(choices),
        multiple=True,
        callback=_distinct,
        default=choices,
        show_default=True,
        help="Algorithm; may be repeated.",
    )


def latent_dim(text, default=()):
    return click.option(
        "--latent-dim",
        "latent_dims",
        type=click.IntRange(1, MOST_LATENT_DIMS),
        multiple=True,
        callback=_distinct,
        default=default,
        show_default=bool(default),
        help=f"Number of latent variables N_z; may be repeated.{text}",
    )


def samples(default, text):
    return click.option(
        "--samples",
        type=SampleCount(),
        default=default,
        show_default=True,
        help=f"Training samples of each run{text}",
    )


seeds = click.option(
    "--seeds",
    type=click.IntRange(1, MOST_SEEDS),
    default=1,
    show_default=True,
    help="Runs of each curve, with seeds 0, 1, …; step sizes are chosen with all of them.",
)

step_size = click.option(
    "--step-size",
    "step_sizes",
    type=StepSize(*STEP_SIZE_RANGE),
    multiple=True,
    callback=_distinct,
    help="Adagrad's step size; may be repeated. Default: chosen as in the paper, from 0.01, 0.02 "
    "and 0.1, by the score on the training set in the first iterations.",
)

data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    envvar="AEVB_DATA_DIR",
    show_envvar=True,
    help="Folder with the data sets. Default: Keras' cache, filled by download where needed.",
)

n_train = click.option(
    "--n-train",
    "n_trains",
    type=click.IntRange(min=1),
    multiple=True,
    callback=_distinct,
    help="Size of the training set; may be repeated. Default: the paper's 1000 and 50000.",
)

results = click.option(
    "--results",
    type=Folder(file_okay=False),
    default="results",
    show_default=True,
    help="Folder for run folders, tables and figures.",
)

fresh = click.option("--fresh", is_flag=True, help="Start over: discard these runs' folders first.")
