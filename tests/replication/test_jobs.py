"""The runs that each figure trains; synthetic records replace training."""

import concurrent.futures
import functools
import math

import made_up
import pytest

from replication.errors import ReplicationError
from replication.plan.curves import Choice, figure2_curves, figure3_curves
from replication.plan.experiment import STEP_SIZES
from replication.plan.protocols import figure2_experiment, figure3_experiment, is_text
from replication.plan.step_sizes import pilot_samples
from replication.train.jobs import Jobs

UNTRAINED = -2000.0


class Recorder:
    """Replaces the workers: records each run, and writes a synthetic run folder."""

    def __init__(self, results, best):
        self.results = results
        self.best = best
        self.log = []

    def submit(self, group):
        for e in group.experiments:
            self.log.append((e, group.samples))
            end = -20.0 if e.step_size == self.best(e) else -30.0
            score = math.nan if self.best(e) is None else end
            if not (self.results / "runs" / e.id).exists():
                points = {0: {e.score: UNTRAINED}, pilot_samples(e): {e.score: score}}
                made_up.write_run(self.results, e, points)
        future = concurrent.futures.Future()
        future.set_result([])
        return future

    def collect(self, future):
        future.result()


@pytest.fixture
def make_jobs(tmp_path, monkeypatch):
    """make_jobs(best): a `Jobs` whose runs score best with the step size `best(experiment)`."""

    def jobs(best):
        made, recorder = Jobs(["digits"], None, tmp_path), Recorder(tmp_path, best)
        monkeypatch.setattr(made, "_workers", lambda width: recorder)
        made.log = recorder.log
        return made

    return jobs


def test_figure_2_continues_the_best_step_size_of_each_curve(make_jobs):
    best = {("aevb", 2): 0.02, ("aevb", 5): 0.01, ("wake-sleep", 2): 0.1, ("wake-sleep", 5): 0.02}
    jobs = make_jobs(lambda e: best[e.algorithm, e.latent_dim])
    jobs.curves(figure2_curves(["digits"], ("aevb", "wake-sleep"), (2, 5), 50_000), seeds=2)
    pilots = [
        (figure2_experiment("digits", *c, step, seed), 20_000)
        for c in best
        for step in STEP_SIZES
        for seed in (0, 1)
    ]
    longer = [
        (figure2_experiment("digits", *c, step, seed), 50_000)
        for c, step in best.items()
        for seed in (0, 1)
    ]
    assert jobs.log == pilots + longer


def test_the_texts_settings_are_separate_runs(tmp_path, monkeypatch):
    """Each setting has its own choice, length of the pilot and split of the faces."""
    loaded, made = [], tmp_path / "made"

    def load(name, _data_dir, split_seed):
        loaded.append((name, split_seed))

    monkeypatch.setattr("replication.train.jobs.load", load)
    frey = Jobs(["frey"], None, made)

    class FreyRecorder(Recorder):
        def submit(self, group):
            frey.dataset(group.experiments[0])
            return super().submit(group)

    recorder = FreyRecorder(made, lambda e: 0.02 if is_text(e) else 0.01)
    monkeypatch.setattr(frey, "_workers", lambda width: recorder)
    log = recorder.log
    for text, pilot, best in ((False, 500_000, 0.01), (True, 100_000, 0.02)):
        log.clear()
        frey.curves(figure2_curves(["frey"], ("aevb",), (2,), 10**6, text), 1)
        of = functools.partial(figure2_experiment, "frey", "aevb", 2, text=text)
        assert log == [*((of(step), pilot) for step in STEP_SIZES), (of(best), 10**6)]
    assert frey.aevb_models(["frey"], (2,), 10**6) == [figure2_experiment("frey", "aevb", 2, 0.01)]
    assert loaded == [("frey", 0), ("frey", 11)]


def test_given_step_sizes_need_no_pilot(make_jobs):
    jobs = make_jobs(lambda e: 0.01)
    jobs.curves(figure2_curves(["digits"], ("aevb",), (2,), 100), 1, step_sizes=(0.05, 0.1))
    assert jobs.log == [
        (figure2_experiment("digits", "aevb", 2, step), 100) for step in (0.05, 0.1)
    ]


def test_figure_3_takes_the_choice_of_the_smallest_training_set(make_jobs):
    jobs = make_jobs(lambda e: 0.02)
    jobs.curves(figure3_curves("digits", ("aevb",), {1500: 50_000}), seeds=1)
    pilots = [figure3_experiment("digits", "aevb", 300, step) for step in STEP_SIZES]
    longer = figure3_experiment("digits", "aevb", 1500, 0.02)
    assert jobs.log == [*((e, 20_000) for e in pilots), (longer, 50_000)]


def test_figure_3_chooses_with_all_its_seeds(make_jobs):
    """0.02 is best with seed 0 only, 0.1 with the other two."""
    jobs = make_jobs(lambda e: 0.1 if e.seed else 0.02)
    jobs.curves(figure3_curves("digits", ("wake-sleep",), {300: 50_000}), seeds=3)
    assert {e.step_size for e, samples in jobs.log if samples == 50_000} == {0.1}


def test_figures_4_and_5_choose_a_step_size_if_none_is_chosen(make_jobs):
    best = {2: 0.02, 5: 0.1}
    jobs = make_jobs(lambda e: best[e.latent_dim])
    five = functools.partial(figure2_experiment, "digits", "aevb", 5)
    jobs.curves([Choice(five, ((five, 20_000),))], 1)
    jobs.log.clear()
    models = jobs.aevb_models(["digits"], (2, 5), 30_000)
    assert models == [figure2_experiment("digits", "aevb", n, best[n]) for n in (2, 5)]
    pilots = [(figure2_experiment("digits", "aevb", 2, step), 20_000) for step in STEP_SIZES]
    # N_z = 5 needs no pilot runs, and does not wait for those of N_z = 2.
    assert jobs.log == [*pilots, *((model, 30_000) for model in reversed(models))]


def test_figures_4_and_5_complete_the_pilots_of_a_killed_command(make_jobs):
    """Two of three pilots exist already. With `fresh`, all are trained again."""
    jobs = make_jobs(lambda e: 0.1)
    pilots = [figure2_experiment("digits", "aevb", 2, step) for step in STEP_SIZES]
    jobs.train(pilots[:2], 20_000)
    assert jobs.aevb_models(["digits"], (2,), 30_000) == [pilots[2]]
    assert jobs.log[2:] == [*((pilot, 20_000) for pilot in pilots), (pilots[2], 30_000)]
    jobs.log.clear()
    jobs.fresh = True
    jobs.aevb_models(["digits"], (2,), 30_000)
    assert len(jobs.log) == 4


def test_too_few_samples_for_a_choice(make_jobs):
    for run in (
        lambda p: p.curves(figure2_curves(["digits"], ("aevb",), (2,), 19_999), 1),
        lambda p: p.curves(figure3_curves("digits", ("mcem",), {300: 100_000}), 1),
        lambda p: p.aevb_models(["digits"], (2,), 19_999),
    ):
        jobs = make_jobs(lambda e: 0.01)
        with pytest.raises(ReplicationError, match="`figure2` and `figure3` also accept"):
            run(jobs)
        assert jobs.log == []


def test_all_step_sizes_diverge(make_jobs):
    jobs = make_jobs(lambda e: None if e.latent_dim == 5 else 0.01)
    with pytest.raises(ReplicationError, match="trains digits aevb N_z=5"):
        jobs.curves(figure2_curves(["digits"], ("aevb",), (2, 5), 50_000), 1)
    assert {samples for _, samples in jobs.log} == {20_000}  # before any long run
