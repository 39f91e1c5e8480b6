"""Command-line options that commands share, and their types."""

import functools
import math

import click

from replication.plan.experiment import BATCH_SIZE

# Far beyond the paper's 2.5e8 samples and 200 latent variables, but still feasible in memory.
MOST_SAMPLES = 10**10
MOST_LATENT_DIMS = 1000
MOST_SEEDS = 100
MOST_JOBS = 1000
STEP_SIZE_RANGE = 1e-6, 1e3


class SampleCount(click.ParamType):
    """A number of training samples, such as 1000000 or 1e6, a multiple of MNIST's minibatch."""

    name = "samples"

    def convert(self, value, param, ctx):
        try:
            samples = float(value)
        except ValueError:
            samples = math.nan
        if math.isnan(samples):
            self.fail(f"{value!r} is not a number such as 1e6.", param, ctx)
        if not BATCH_SIZE <= samples <= MOST_SAMPLES or samples % BATCH_SIZE:
            self.fail(
                f"{value} is not a multiple of {BATCH_SIZE} between {BATCH_SIZE} and "
                f"{MOST_SAMPLES:.0e}.",
                param,
                ctx,
            )
        return int(samples)


class StepSize(click.FloatRange):
    """A number in a range; rejects NaN."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


class Folder(click.Path):
    """A folder; rejects the empty name, the value of an unset variable."""

    def convert(self, value, param, ctx):
        if not value:
            self.fail("Expected the name of a folder. Received: an empty one.", param, ctx)
        return super().convert(value, param, ctx)


def _repeated(flag, name, value, text, default=None):
    """An option that may be repeated; duplicates are ignored."""
    return click.option(
        flag,
        name,
        type=value,
        multiple=True,
        callback=lambda ctx, param, values: tuple(dict.fromkeys(values)),
        default=default,
        show_default=bool(default),
        help=text,
    )


def dataset(choices, default):
    text = "Data set; may be repeated."
    return _repeated("--dataset", "datasets", click.Choice(choices), text, default)


def algorithm(choices):
    text = "Algorithm; may be repeated."
    return _repeated("--algorithm", "algorithms", click.Choice(choices), text, choices)


def latent_dim(text, default=None):
    text = f"Number of latent variables N_z; may be repeated.{text}"
    value = click.IntRange(1, MOST_LATENT_DIMS)
    return _repeated("--latent-dim", "latent_dims", value, text, default)


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
    help="Runs of each curve, with seeds 0, 1, …; all seeds enter the choice of the step size.",
)

step_size = _repeated(
    "--step-size",
    "step_sizes",
    StepSize(*STEP_SIZE_RANGE),
    "Adagrad's step size; may be repeated. Default: chosen as in the paper, from 0.01, 0.02 "
    "and 0.1, by the score on the training set in the first iterations.",
)

text = click.option(
    "--text",
    is_flag=True,
    help="Train Frey Face with the settings of the paper's text instead of those inferred from its "
    "curves; drawn as a second, dotted curve.",
)

n_train = _repeated(
    "--n-train",
    "n_trains",
    click.IntRange(min=1),
    "Size of the training set; may be repeated. Default: the paper's 1000 and 50000 (digits: 300 "
    "and 1500).",
)


def _results(text, **checks):
    kind = Folder(file_okay=False, **checks)
    return click.option("--results", type=kind, default="results", show_default=True, help=text)


results = _results("Folder for run folders, tables and figures.")
existing_results = _results("Folder of the results.", exists=True)

data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    envvar="AEVB_DATA_DIR",
    show_envvar=True,
    help="Folder with the data sets. Default: Keras' cache, with a download if necessary.",
)

fresh = click.option("--fresh", is_flag=True, help="Start over: discard these runs' folders first.")


jobs = click.option(
    "--jobs",
    type=click.IntRange(1, MOST_JOBS),
    help="Number of training processes, each with its share of the cores. Default: one per core, "
    "or a single one with a GPU.",
)


rerun = click.option(
    "--rerun",
    type=SampleCount(),
    metavar="SAMPLES",
    help="Retrain every run of the results for this many samples, and compare.",
)


scheduler = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Train on the workers of the Dask scheduler at this address, which must share the results "
    "folder, instead of in local processes.",
)


def workers(command):
    """The options --jobs and --scheduler."""

    @functools.wraps(command)
    def checked(*arguments, **options):
        if options["jobs"] and options["scheduler"]:
            raise click.UsageError("Expected --jobs or --scheduler. Received: both.")
        return command(*arguments, **options)

    return jobs(scheduler(checked))


def training(command):
    """The options of all commands that train."""
    return data_dir(results(fresh(workers(command))))
