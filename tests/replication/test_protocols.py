"""The settings of figure 2's runs: inferred from the paper's curves, or those of its text."""

import dataclasses

import pytest

from replication.plan import schedule
from replication.plan.experiment import Experiment
from replication.plan.protocols import figure2_experiment, figure3_experiment, figure_of, is_text
from replication.plan.step_sizes import pilot_samples

PANELS = [("mnist", 20), ("digits", 5)]  # with the settings of the text only


def settings(*panel, **text):
    e = figure2_experiment(*panel, 0.01, **text)
    return e.batch_size, e.split_seed, e.log_variance_gain, e.decoder_layers


@pytest.mark.parametrize("latent_dim", [2, 5, 10, 20])
def test_all_curves_of_frey_face_have_the_same_settings(latent_dim):
    for algorithm, gain in (("aevb", 1.0), ("wake-sleep", 0.1)):
        panel = "frey", algorithm, latent_dim
        assert settings(*panel) == (500, 11, 0.1, 2)
        assert settings(*panel, text=True) == (100, 0, gain, 1)


def test_nothing_else_of_an_experiment_differs():
    new, old = (figure2_experiment("frey", "aevb", 5, 0.02, 1, text=text) for text in (False, True))
    options = {"batch_size": 100, "split_seed": 0, "log_variance_gain": 1.0, "decoder_layers": 1}
    assert dataclasses.replace(new, **options) == old


@pytest.mark.parametrize(("dataset", "latent_dim"), PANELS)
@pytest.mark.parametrize("algorithm", ["aevb", "wake-sleep"])
def test_other_data_sets_have_only_the_texts_settings(dataset, algorithm, latent_dim):
    panel = dataset, algorithm, latent_dim, 0.01
    assert figure2_experiment(*panel) == figure2_experiment(*panel, text=True)
    assert figure2_experiment(*panel).split_seed == 0
    assert not is_text(figure2_experiment(*panel))


def test_both_curves_belong_to_figure_2_and_nothing_in_between_does():
    new, old = (figure2_experiment("frey", "aevb", 5, 0.02, text=text) for text in (False, True))
    assert (figure_of(new), figure_of(old)) == (2, 2)
    assert (is_text(new), is_text(old)) == (False, True)
    changed = (new, {"split_seed": 0}), (new, {"decoder_layers": 1}), (old, {"batch_size": 500})
    for experiment, setting in changed:
        mixed = dataclasses.replace(experiment, **setting)
        assert figure_of(mixed) == 0
        assert not is_text(mixed)
    assert not is_text(figure3_experiment("mnist", "aevb", 1000, 0.02))


@pytest.mark.parametrize(
    ("experiment", "expected"),  # runs committed before these settings were added
    [
        (Experiment("frey", "aevb", 10, 0.01), "frey-aevb-z10-397ea471"),
        (figure2_experiment("frey", "aevb", 20, 0.02, text=True), "frey-aevb-z20-2cbe6054"),
        (
            figure2_experiment("frey", "wake-sleep", 2, 0.01, text=True),
            "frey-wake-sleep-z2-6cd614b2",
        ),
        (
            dataclasses.replace(figure2_experiment("frey", "aevb", 10, 0.01), decoder_layers=1),
            "frey-aevb-z10-6b166e02",
        ),
        (figure2_experiment("mnist", "aevb", 10, 0.01), "mnist-aevb-z10-a6ce86b5"),
    ],
)
def test_older_runs_keep_their_names(experiment, expected):
    assert experiment.id == expected


@pytest.mark.parametrize("name, values", [("split_seed", (0, 1, 2)), ("decoder_layers", (1, 2, 3))])
def test_another_setting_is_another_run(name, values):
    ids = {Experiment("frey", "aevb", 2, 0.01, **{name: value}).id for value in values}
    assert len(ids) == len(values)


def test_frey_faces_samples_are_multiples_of_500():
    """So are all sample counts of the paper's curves that are legible to a multiple of 100."""
    experiment = figure2_experiment("frey", "aevb", 2, 0.01)
    counts = schedule.evaluations(10**8, experiment.samples_per_step)
    assert all(count % 500 == 0 for count in counts)
    # No rounding was needed: both curves are evaluated at the same counts.
    assert counts == schedule.evaluations(10**8, 100)


def test_the_pilot_has_as_many_updates_with_the_larger_minibatch():
    for text, samples in ((False, 500_000), (True, 100_000)):
        assert pilot_samples(figure2_experiment("frey", "aevb", 2, 0.01, text=text)) == samples


def test_steps_of_monte_carlo_em_need_the_size_of_its_training_set():
    with pytest.raises(ValueError, match="Expected `n_train` of Monte Carlo EM"):
        Experiment("mnist", "mcem", 3, 0.01).samples_per_step  # noqa: B018
