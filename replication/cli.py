"""The commands; each imports what it needs when it runs, so that `--help` is immediate."""

import functools
import os
import sys

import click

from replication.experiment import ALGORITHMS, BATCH_SIZE, LATENT_DIMS

DATASETS = tuple(LATENT_DIMS)


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


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False),
    envvar="AEVB_DATA_DIR",
    show_envvar=True,
    help="Folder with the data sets. Default: Keras' cache, filled by download where needed.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="keras-aevb")
def main():
    """Reruns the experiments of Auto-Encoding Variational Bayes (arXiv:1312.6114).

    Results are files below --results: one folder for each run, and tables and figures that are
    drawn from these folders alone. An interrupted command continues where it stopped when it is
    given again. The environment variable KERAS_BACKEND chooses tensorflow or jax.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@main.command()
@click.option(
    "--dataset",
    "datasets",
    type=click.Choice(DATASETS),
    multiple=True,
    default=("mnist", "frey"),
    show_default=True,
    help="Data set; may be repeated.",
)
@click.option(
    "--latent-dim",
    "latent_dims",
    type=click.IntRange(min=1),
    multiple=True,
    help="Number of latent variables N_z; may be repeated. Default: the paper's for each data set.",
)
@click.option(
    "--algorithm",
    "algorithms",
    type=click.Choice(ALGORITHMS),
    multiple=True,
    default=ALGORITHMS,
    show_default=True,
    help="Algorithm; may be repeated.",
)
@click.option(
    "--samples",
    type=SampleCount(),
    default="1e6",
    show_default=True,
    help="Training samples of each run; the paper goes to 2.5e8 (MNIST) and 1e8 (Frey Face).",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Runs of each curve, with seeds 0, 1, …",
)
@click.option(
    "--step-size",
    "step_sizes",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    help="Adagrad's step size; may be repeated. Default: chosen as in the paper, from 0.01, 0.02 "
    "and 0.1 on the training bound of the first samples.",
)
@data_dir_option
@click.option(
    "--results",
    type=click.Path(file_okay=False),
    default="results",
    show_default=True,
    help="Folder for run folders, tables and figures.",
)
@click.option("--fresh", is_flag=True, help="Start over: discard these runs' folders first.")
@reports_errors
def figure2(**options):
    """Lower bound against training samples, AEVB and wake-sleep (Figure 2).

    Trains every combination of the options, evaluates the bound on fixed train and test examples
    at log-spaced sample counts, and writes figure2/table.md, table.csv, step_sizes.csv and
    figure2.png with the paper's own curves beside ours.
    """
    from replication.figures import figure2
    from replication.protocols import figure2_runs

    figure2_runs(**options)
    for path in figure2.build(options["results"]):
        click.echo(path)


@main.command()
@click.argument("names", type=click.Choice(DATASETS), nargs=-1)
@data_dir_option
@reports_errors
def data(names, data_dir):
    """Finds, downloads and verifies the data sets NAMES (default: all)."""
    from replication import datasets

    for name in names or DATASETS:
        dataset = datasets.load(name, data_dir)
        click.echo(
            f"{name:7} {len(dataset.train):6} train {len(dataset.test):6} test  "
            f"images {'x'.join(map(str, dataset.image_shape))}  sha256 {dataset.digest}"
        )
