"""The commands. Each imports its modules when it runs, so that `--help` is fast."""

import io
import sys

import click

from replication import environment, options
from replication.commands import Commands
from replication.plan.experiment import ALGORITHMS, LATENT_DIMS, PAPER_DATASETS
from replication.plan.presets import PRESETS
from replication.plan.protocols import FIGURE2_ALGORITHMS, FIGURE3_N_TRAIN, MANIFOLD_LATENT_DIM

DATASETS = tuple(LATENT_DIMS)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="keras-aevb")
def main():
    """Replicates the experiments of Auto-Encoding Variational Bayes (arXiv:1312.6114).

    --results is the folder of the results: a folder for each run, and the tables and figures
    generated from them. To resume an interrupted command, run it again. Commands that train
    different runs may share a results folder at the same time. The environment variable
    KERAS_BACKEND selects tensorflow or jax.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a ± in a locale without it
    environment.set_defaults()


@main.command()
@options.dataset(DATASETS, PAPER_DATASETS)
@options.latent_dim(" Default: the paper's for each data set.")
@options.algorithm(FIGURE2_ALGORITHMS)
@options.samples(
    "1e6",
    ", in whole minibatches of 100 (Frey Face: 500), of which the first 100 only accumulate "
    "Adagrad's squared gradients; the paper goes to 2.5e8 (MNIST) and 1e8 (Frey Face).",
)
@options.seeds
@options.step_size
@options.text
@options.training
def figure2(datasets, latent_dims, algorithms, samples, seeds, step_sizes, text, **settings):
    """Lower bound during training, AEVB and wake-sleep.

    Trains every combination of the options, evaluates the bound on fixed train and test examples
    at log-spaced sample counts, and writes figure2/table.md, table.csv, step_sizes.csv and
    figure2.png, which also has the paper's own curves.
    """
    if text and "frey" not in datasets:
        raise click.UsageError(f"Expected --text with Frey Face. Received: {', '.join(datasets)}.")
    from replication.figures.figure2 import build
    from replication.plan.curves import figure2_curves
    from replication.train.jobs import Jobs

    with Jobs(datasets, **settings) as jobs:
        curves = figure2_curves(datasets, algorithms, latent_dims, samples, text)
        jobs.curves(curves, seeds, step_sizes)
    _echo(build(settings["results"]))


@main.command()
@options.dataset(tuple(FIGURE3_N_TRAIN), ("mnist",))
@options.n_train
@options.algorithm(ALGORITHMS)
@options.samples("5e6", "; the paper goes to 6e7. Monte Carlo EM counts 15 per image and step.")
@options.seeds
@options.step_size
@options.training
def figure3(datasets, n_trains, algorithms, samples, seeds, step_sizes, **settings):
    """Marginal likelihood during training: AEVB, wake-sleep and Monte Carlo EM.

    Trains every combination of the options with 3 latent variables and 100 hidden units, estimates
    log p(x) of the first 1000 training and test images by App. D at log-spaced sample counts, and
    by a second estimator at the end. Writes figure3/table.md, table.csv, step_sizes.csv and
    figure3.png, which also has the paper's own curves.
    """
    from replication.figures.figure3 import build
    from replication.plan.curves import figure3_curves
    from replication.train.jobs import Jobs

    with Jobs(datasets, **settings) as jobs:
        curves = []
        for name in datasets:
            budgets = dict.fromkeys(n_trains or FIGURE3_N_TRAIN[name], samples)
            curves += figure3_curves(name, algorithms, budgets)
        jobs.curves(curves, seeds, step_sizes)
    _echo(build(settings["results"]))


@main.command()
@options.dataset(DATASETS, PAPER_DATASETS)
@options.samples("1e6", ".")
@options.training
def figure4(datasets, samples, **settings):
    """Manifolds of models with two latent variables.

    Trains AEVB with N_z = 2, and draws the decoded images of a grid over the latent space, and
    the encoded test set.
    """
    from replication.train.jobs import Jobs

    with Jobs(datasets, **settings) as jobs:
        _echo(_draw_figure4(jobs, datasets, samples))


@main.command()
@options.dataset(DATASETS, PAPER_DATASETS)
@options.latent_dim("", (2, 5, 10, 20))
@options.samples("1e6", ".")
@options.training
def figure5(datasets, latent_dims, samples, **settings):
    """Random samples for several latent sizes.

    Trains AEVB with each N_z, and draws decoded samples of p(z).
    """
    from replication.train.jobs import Jobs

    with Jobs(datasets, **settings) as jobs:
        _echo(_draw_figure5(jobs, datasets, latent_dims, samples))


@main.command()
@options.dataset(DATASETS, ("mnist",))
@options.latent_dim("", (20,))
@options.samples("1e6", ".")
@options.training
def gradient_variance(datasets, latent_dims, samples, **settings):
    """Gradient variance of three estimators.

    Trains AEVB, measures the variance of the estimators A, B and score function on one minibatch
    before and after training, and writes gradient_variance/table.md and table.csv.
    """
    from replication.train.jobs import Jobs

    with Jobs(datasets, **settings) as jobs:
        _echo(_measure_gradients(jobs, datasets, latent_dims, samples))


@main.command("all")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default="quick",
    show_default=True,
    help="\b\n" + "\n".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items()),
)
@options.training
def run_all(preset, **settings):
    """Every figure and table, and the report with the verdicts.

    Runs figure2, figure3, figure4, figure5, gradient-variance and report with the budgets of a
    preset, and writes the table of cost. Run it again to resume.
    """
    from replication.figures import cost, figure2, figure3
    from replication.plan.curves import figure2_curves, figure3_curves
    from replication.report import write_report
    from replication.train.jobs import Jobs

    preset, results = PRESETS[preset], settings["results"]
    first = preset.datasets[0]
    with Jobs(preset.datasets, **settings) as jobs:
        curves = []
        for name, samples in preset.figure2.items():
            latent_dims = preset.latent_dims.get(name)
            curves += figure2_curves([name], FIGURE2_ALGORITHMS, latent_dims, samples)
        jobs.curves(curves, preset.seeds)
        _echo(figure2.build(results))
        curves = []
        for algorithm, budgets in preset.figure3.items():
            curves += figure3_curves(first, [algorithm], budgets)
        jobs.curves(curves, preset.seeds)
        _echo(figure3.build(results))
        _echo(_draw_figure4(jobs, preset.datasets, preset.models))
        _echo(_draw_figure5(jobs, preset.datasets, preset.samples_dims, preset.models))
        _echo(_measure_gradients(jobs, [first], [preset.gradient_dim], preset.models))
    _echo(cost.build(results))
    _echo(write_report(results))


@main.command()
@options.existing_results
def report(results):
    """Rebuilds README.md and index.html of the results.

    Writes distances.csv too. Uses the run folders, tables and pictures, without training.
    index.html has interactive figures 2 and 3, and works offline.
    """
    from replication.report import write_report

    _echo(write_report(results))


@main.command()
@options.existing_results
@click.option(
    "--update", is_flag=True, help="Store the current numbers as the reference; do not compare."
)
@options.rerun
@options.data_dir
@options.workers
def verify(results, update, rerun, data_dir, **workers):
    """Compares verdicts and distances with the reference.

    Recomputes every verdict on a claim, the numbers behind it, and every distance from the paper's
    curves, and prints a line for each and for each run. Fails if an entry of reference.json is
    missing, if a verdict differs though no run got longer, if a number or distance differs by more
    than three standard errors, or if a stored measurement of a run has changed.

    With --rerun, retrains every run instead, in the folder `rerun` of the results, which is
    deleted at the end, and compares the measurements. They may differ by 0.1 nats plus three
    Monte Carlo standard errors and float32's rounding. Where training is chaotic, that is, a change
    of the initial weights' last digit moves the same number by more than 0.01 nats plus these
    errors, the last test value must lie within the spread over seeds.
    """
    from replication.verify import comparison, retraining

    if rerun and update:
        raise click.UsageError("Expected --rerun or --update. Received: both.")
    if not rerun and any(workers.values()):
        raise click.UsageError("Expected --jobs or --scheduler with --rerun. Received: no --rerun.")
    if rerun:
        good = retraining.run(results, rerun, click.echo, data_dir=data_dir, **workers)
    else:
        good = comparison.run(results, click.echo, update)
    if not good:
        sys.exit(1)


@main.command()
@click.argument("names", type=click.Choice(DATASETS), nargs=-1)
@options.data_dir
def data(names, data_dir):
    """Finds, downloads and verifies the data sets NAMES.

    Default: all of them.
    """
    from replication.train.datasets import load

    for name in names or DATASETS:
        dataset = load(name, data_dir)
        click.echo(
            f"{name:7} {len(dataset.train):6} train {len(dataset.test):6} test  "
            f"images {'x'.join(map(str, dataset.image_shape))}  sha256 {dataset.digest}"
        )


def _draw_figure4(jobs, datasets, samples):
    from replication.figures.figure4 import build

    models = jobs.aevb_models(datasets, [MANIFOLD_LATENT_DIM], samples)
    return build(models, {e.dataset: jobs.dataset(e) for e in models}, jobs.results)


def _draw_figure5(jobs, datasets, latent_dims, samples):
    from replication.figures.figure5 import build

    models = jobs.aevb_models(datasets, latent_dims, samples)
    return build(models, {e.dataset: jobs.dataset(e) for e in models}, jobs.results)


def _measure_gradients(jobs, datasets, latent_dims, samples):
    from replication.figures.gradient_variance import build
    from replication.train import gradients

    for model in jobs.aevb_models(datasets, latent_dims, samples):
        gradients.measure(model, jobs.dataset(model), jobs.results)
    return build(jobs.results)


def _echo(paths):
    for path in paths:
        click.echo(path)
