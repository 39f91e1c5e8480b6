"""Measures the speed of training, streams and evaluation, scaling, precision and import times.

    python benchmarks/run.py

Every program runs in its own process. The processes take turns epoch by epoch, so that other load
on the machine affects all alike. Compare ratios, not single numbers. A ratio is the median over
rounds of the ratio in one round. The parts `models`, `streams` and `evaluation` measure CPU time on
one core, and their ratios compare the fastest rounds: a ratio may lie outside its quartiles.
Programs that need other packages have environments, to install once:

    python benchmarks/run.py --install
"""

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
from harness import FOLDER
from work import Work

sys.path.insert(0, str(FOLDER.parent))

RESULTS = FOLDER / "results"
PARTS = ("training", "models", "streams", "evaluation", "floor", "scaling", "precision", "imports")


def whole_batches(context, parameter, examples):
    if examples % Work.batch_size:
        raise click.BadParameter(f"Expected a multiple of {Work.batch_size}. Received: {examples}")
    return examples


@click.command(help=__doc__)
@click.option("--part", multiple=True, type=click.Choice(PARTS), help="Default: all.")
@click.option(
    "--rounds",
    default=7,
    show_default=True,
    type=click.IntRange(min=2),
    help="Epochs measured for each program.",
)
@click.option(
    "--examples",
    default=20_000,
    show_default=True,
    type=click.IntRange(min=1),
    callback=whole_batches,
    help="Examples in an epoch, a multiple of 100.",
)
@click.option("--only", default="", help="Programs whose names contain this; nothing is stored.")
@click.option(
    "--environments",
    default=FOLDER / "environments",
    type=click.Path(path_type=Path),
    help="Folder of the other programs' environments.",
)
@click.option("--install", is_flag=True, help="Make these environments and stop.")
def main(part, rounds, examples, only, environments, install):
    if install:
        return make_environments(environments)
    RESULTS.mkdir(exist_ok=True)
    for name in part or PARTS:
        click.echo(f"{name} …", err=True)
        rows = measure(name, rounds, examples, only, environments)
        if not only:
            write(name, rows)
        click.echo(table(rows))


def measure(part, rounds, examples, only, environments):
    import evaluation
    import floor
    import imports
    import models
    import precision
    import scaling
    import streams
    import training

    def chosen(peer):
        return takes_part(peer, only, environments)

    if part == "imports":
        return imports.rows(rounds, filter(installed, imports.BACKENDS))
    if part == "precision":
        return precision.rows()
    if part == "scaling":
        return scaling.rows(rounds, examples, environments)
    modules = {
        "training": training,
        "models": models,
        "streams": streams,
        "evaluation": evaluation,
        "floor": floor,
    }
    return modules[part].rows(rounds, examples, environments, chosen)


def takes_part(peer, only, environments):
    """Whether a peer is selected and can run; prints a message if it cannot."""
    from harness import python_of

    if only not in peer.name:
        return False
    if not python_of(peer, environments).exists():
        click.echo(f"left out: {peer.name}; its environment is not installed", err=True)
        return False
    if not peer.environment and not installed(peer.backend):
        click.echo(f"left out: {peer.name}; {peer.backend} is not installed", err=True)
        return False
    return True


def installed(backend):
    return importlib.util.find_spec(backend) is not None


def make_environments(environments):
    """Makes the other programs' environments, with uv if available: seconds, not pip's minutes."""
    for requirements in sorted((FOLDER / "requirements").glob("*.txt")):
        folder = environments / requirements.stem
        click.echo(f"installing {folder.name}", err=True)
        python = folder / "bin" / "python"
        if shutil.which("uv"):
            make = ["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable]
            install = ["uv", "pip", "install", "--python", python]
        else:
            make = [sys.executable, "-m", "venv"]
            install = [python, "-m", "pip", "install"]
        subprocess.run([*make, folder], check=True)
        subprocess.run([*install, "--quiet", "-r", requirements], check=True)


def write(part, rows):
    from pictures import draw

    with (RESULTS / f"{part}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    on_one = ", one core used" if part in ("models", "streams", "evaluation") else ""
    heading = f"{machine()}{on_one}\n\n"
    (RESULTS / f"{part}.md").write_text(heading + table(rows) + "\n")
    draw(part, rows, machine(), RESULTS / f"{part}.png")


def machine():
    """The processor, the number of usable cores, and NVIDIA GPUs."""
    from replication.measurements.provenance import gpus, processor

    return ", ".join([processor(), f"{len(os.sched_getaffinity(0))} cores", *gpus()])


def table(rows):
    import pandas as pd

    from replication.figures.text import markdown

    texts = [isinstance(value, str) for value in rows[0].values()]
    left = texts.index(False) if False in texts else len(texts)
    cells = [{n.replace("_", " "): str(value) for n, value in row.items()} for row in rows]
    return markdown(pd.DataFrame(cells), left)


if __name__ == "__main__":
    main()
