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
    header = ["data set", "algorithm", "N_z", "step size", "seeds", score, "verdict"]
    rows = [
        [
            NAMES[p.dataset],
            NAMES[p.algorithm],
            str(p.latent_dim),
            f"{p.step_size:g}",
            str(p.seeds),
            number(p.score),
            p.verdict,
        ]
        for p in pilots
    ]
    return markdown(header, rows, left=2)


def _told(run, pilots):
    """Whether a row of the pilots tells that the run diverged."""
    e = run.experiment
    told = {(p.dataset, p.algorithm, p.latent_dim, p.step_size, p.verdict) for p in pilots}
    return (e.dataset, e.algorithm, e.latent_dim, e.step_size, "diverged") in told


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
