"""The choice of the step sizes as tables, for figures 2 and 3."""

import dataclasses

from replication.figures.curves import panel_of
from replication.figures.tables import NAMES, csv_text, markdown, number
from replication.step_sizes import StepSize

SIZES = {2: "N_z", 3: "N_train"}


def step_sizes_csv(pilots):
    rows = [dataclasses.asdict(pilot) for pilot in pilots]
    for row in rows:
        row["step_size"] = f"{row['step_size']:g}"
        row["latent_dims"] = " ".join(map(str, row["latent_dims"]))
    return csv_text([field.name for field in dataclasses.fields(StepSize)], rows)


def step_size_sections(introduction, score, pilots, rivals, runs):
    """The end of a figure's page.

    Args:
        introduction: text over the table of the pilots.
        score: name of what is compared.
        pilots: rows of `step_sizes.pilots`.
        rivals: list of `Run`, those that were compared.
        runs: list of `Run`, all of the figure.

    Returns:
        List of Markdown sections.
    """
    sections = [introduction, _pilot_table(pilots, score) + "\n"] if pilots else []
    others = [r for r in runs if r.diverged and not (r in rivals and _told(r, pilots))]
    if others:
        table = _run_table(others, score)
        sections += ["These runs diverged too. They are left out above.\n", table + "\n"]
    return sections


def _pilot_table(pilots, score):
    header = ["data set", "algorithm", "verdict", "step size", score, "N_z"]
    rows = [
        [
            NAMES[p.dataset],
            NAMES[p.algorithm],
            p.verdict,
            f"{p.step_size:g}",
            number(p.score),
            ", ".join(map(str, p.latent_dims)),
        ]
        for p in pilots
    ]
    return markdown(header, rows, left=3)


def _told(run, pilots):
    """Whether a row of the pilots tells that the run diverged."""
    e = run.experiment
    return any(
        (p.dataset, p.algorithm, p.step_size) == (e.dataset, e.algorithm, e.step_size)
        and p.verdict == "diverged"
        and e.latent_dim in p.latent_dims
        for p in pilots
    )


def _run_table(runs, score):
    panels = [panel_of(run.experiment) for run in runs]
    size = SIZES[panels[0].figure]
    header = ["data set", "algorithm", size, "step size", "seed", "samples", score]
    rows = [
        [
            NAMES[e.dataset],
            NAMES[e.algorithm],
            str(panel.size),
            f"{e.step_size:g}",
            str(e.seed),
            str(last.samples),
            number(last[e.score]),
        ]
        for panel, e, last in ((p, r.experiment, r.points[-1]) for p, r in zip(panels, runs))
    ]
    return markdown(header, rows, left=2)
