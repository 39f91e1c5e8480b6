"""The options that commands share, and what their errors look like."""

import functools
import sys

import click

from replication.experiment import BATCH_SIZE


class SampleCount(click.ParamType):
    """A number of training samples, such as 1000000 or 1e6; a whole number of minibatches."""

    name = "samples"

    def convert(self, value, param, ctx):
        try:
            samples = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number such as 1e6", param, ctx)
        if samples < BATCH_SIZE or samples % BATCH_SIZE:
            self.fail(f"{value} is not a positive multiple of the batch size {BATCH_SIZE}")
        return int(samples)


def reports_errors(command):
    """Turns the errors that a user can mend into one line, and Ctrl-C into what to do next."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        from replication.errors import ReplicationError

        try:
            return command(*args, **kwargs)
        except ReplicationError as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            click.echo("\nInterrupted. Give the same command again to continue.", err=True)
            sys.exit(130)

    return wrapped


def dataset(choices, default):
    return click.option(
        "--dataset",
        "datasets",
        type=click.Choice(choices),
        multiple=True,
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
        default=choices,
        show_default=True,
        help="Algorithm; may be repeated.",
    )


def latent_dim(text, default=()):
    return click.option(
        "--latent-dim",
        "latent_dims",
        type=click.IntRange(min=1),
        multiple=True,
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
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each curve, with seeds 0, 1, …; step sizes are chosen with all of them.",
)

step_size = click.option(
    "--step-size",
    "step_sizes",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
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

results = click.option(
    "--results",
    type=click.Path(file_okay=False),
    default="results",
    show_default=True,
    help="Folder for run folders, tables and figures.",
)

fresh = click.option("--fresh", is_flag=True, help="Start over: discard these runs' folders first.")
