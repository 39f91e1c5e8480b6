"""Presets of `all`: budgets from minutes to the paper's own."""

import dataclasses

from replication.plan.experiment import PAPER_DATASETS


@dataclasses.dataclass(frozen=True)
class Preset:
    """Budgets in training samples.

    Attributes:
        summary: one line for `--help`.
        figure2: samples of each of figure 2's runs, by data set.
        figure3: samples of figure 3's runs, by algorithm and N_train.
        models: samples of the models of figures 4 and 5 and of the gradients.
        datasets: data sets of figures 2, 4 and 5; figure 3 uses the first.
        latent_dims: N_z of figure 2, by data set; default: the paper's.
        samples_dims: N_z of figure 5.
        gradient_dim: N_z of the model whose gradients are measured.
        seeds: number of seeds of every curve.
    """

    summary: str
    figure2: dict[str, int]
    figure3: dict[str, dict[int, int]]
    models: int
    datasets: tuple[str, ...] = PAPER_DATASETS
    latent_dims: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    samples_dims: tuple[int, ...] = (2, 5, 10, 20)
    gradient_dim: int = 20
    seeds: int = 1


PRESETS = {
    "smoke": Preset(
        summary="scikit-learn's digits; a minute and a half on two cores",
        datasets=("digits",),
        latent_dims={"digits": (2, 10)},
        figure2={"digits": 50_000},
        figure3={
            "aevb": {300: 50_000, 1500: 50_000},
            "wake-sleep": {300: 50_000, 1500: 50_000},
            "mcem": {300: 400_000, 1500: 400_000},
        },
        models=50_000,
        samples_dims=(2, 10),
        gradient_dim=10,
    ),
    "quick": Preset(
        summary="MNIST and Frey Face, every panel, short runs; under 30 minutes on two cores",
        figure2={"mnist": 200_000, "frey": 500_000},
        figure3={
            "aevb": {1000: 200_000, 50_000: 200_000},
            "wake-sleep": {1000: 200_000, 50_000: 200_000},
            "mcem": {1000: 5_000_000, 50_000: 7_500_000},
        },
        models=200_000,
    ),
    "paper": Preset(
        summary="the paper's own budgets, three seeds; days on two cores",
        figure2={"mnist": 250_000_000, "frey": 100_000_000},
        figure3={
            "aevb": {1000: 60_000_000, 50_000: 60_000_000},
            "wake-sleep": {1000: 60_000_000, 50_000: 60_000_000},
            "mcem": {1000: 60_000_000, 50_000: 60_000_000},
        },
        models=10_000_000,
        seeds=3,
    ),
}
