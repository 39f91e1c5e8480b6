"""The settings of each figure's runs."""

from typing import Any

from replication.plan.experiment import Experiment

FIGURE2_ALGORITHMS = ("aevb", "wake-sleep")

# Section 5, figure 3: N_z, hidden units and N_train. The paper does not use the digits.
FIGURE3_LATENT_DIM = 3
FIGURE3_HIDDEN_UNITS = {"mnist": 100, "digits": 50}
FIGURE3_N_TRAIN = {"mnist": (1000, 50_000), "digits": (300, 1500)}

MANIFOLD_LATENT_DIM = 2

# Settings specific to an algorithm, in every figure.
ALGORITHM_SETTINGS: dict[str, dict[str, Any]] = {
    "aevb": {},
    # c in log σ² = c W h + b of the encoder, from the authors' code for wake-sleep.
    "wake-sleep": {"log_variance_gain": 0.1},
    # The paper's curve is at -159 nats after 65 weight updates, so each update changes the weights.
    "mcem": {"accumulate_only": 0},
}


# Settings of figure 2 that differ from the paper's text, inferred from its curves; the gain is an
# assumption. They apply to both algorithms and all panels of the data set.
INFERRED_SETTINGS: dict[str, dict[str, Any]] = {
    "frey": {"batch_size": 500, "split_seed": 11, "log_variance_gain": 0.1, "decoder_layers": 2}
}


def figure2_experiment(dataset, algorithm, latent_dim, step_size, seed=0, text=False):
    """A run of figure 2; with `text`, a run of its second curve, with the settings of the text."""
    settings = ALGORITHM_SETTINGS[algorithm] | ({} if text else INFERRED_SETTINGS.get(dataset, {}))
    return Experiment(dataset, algorithm, latent_dim, step_size, seed, **settings)


def figure3_experiment(dataset, algorithm, n_train, step_size, seed=0):
    return Experiment(
        dataset,
        algorithm,
        FIGURE3_LATENT_DIM,
        step_size,
        seed,
        hidden_units=FIGURE3_HIDDEN_UNITS[dataset],
        n_train=n_train,
        measure="likelihood",
        **ALGORITHM_SETTINGS[algorithm],
    )


def figure_of(experiment):
    """The figure that an experiment belongs to, for any step size and seed: 2, 3, or 0 for none."""
    e = experiment
    if _is_figure2(e) or _is_figure2(e, text=True):
        return 2
    if e.dataset in FIGURE3_N_TRAIN and e == figure3_experiment(
        e.dataset, e.algorithm, e.n_train, e.step_size, e.seed
    ):
        return 3
    return 0


def is_text(experiment):
    """Whether a run belongs to figure 2's second curve, with the settings of the text."""
    return _is_figure2(experiment, text=True) and not _is_figure2(experiment)


def is_pilot(experiment):
    """Whether a run counts for the choice of the step size.

    In figure 3 only runs with the smallest N_train do, where all three algorithms are affordable.
    """
    e = experiment
    figure = figure_of(e)
    return figure == 2 or (figure == 3 and e.n_train == min(FIGURE3_N_TRAIN[e.dataset]))


def _is_figure2(experiment, text=False):
    e = experiment
    return e == figure2_experiment(
        e.dataset, e.algorithm, e.latent_dim, e.step_size, e.seed, text=text
    )
