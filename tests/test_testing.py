"""Stored references: comparison within Monte Carlo error, updates, and messages."""

import json

import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb.testing import assert_elbo_unchanged, assert_unchanged


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_AEVB_UPDATE", raising=False)
    return tmp_path / "folder" / "references.json"


def test_a_missing_reference_says_how_to_store_it(path):
    with pytest.raises(
        AssertionError, match=r"'a' in .*json\. Received: none.*KERAS_AEVB_UPDATE=1"
    ):
        assert_unchanged([1.0, 2.0], path, "a")
    assert not path.exists()
    assert_unchanged([1.0, 2.0], path, "b", update=True)
    with pytest.raises(AssertionError, match=r"Received: \['b'\]"):
        assert_unchanged([1.0, 2.0], path, "a")


def test_the_environment_stores_and_keeps_the_others(path, monkeypatch):
    monkeypatch.setenv("KERAS_AEVB_UPDATE", "1")
    assert_unchanged([1.0, 2.0, 3.0], path, "a")
    assert_unchanged([5.0, 5.0], path, "b")
    assert_unchanged([6.0, 6.0], path, "b")
    with pytest.raises(AssertionError):  # the argument has precedence
        assert_unchanged([7.0, 7.0], path, "b", update=False)
    stored = json.loads(path.read_text())
    assert list(stored) == ["a", "b"] and stored["b"]["mean"] == 6
    error = 1 / np.sqrt(3)
    assert stored["a"] == {
        "mean": 2.0,
        "num_values": 3,
        "standard_error": pytest.approx(error),
    }
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_differences_are_in_combined_standard_errors(path):
    assert_unchanged([1.0, 2.0, 3.0], path, "a", update=True)
    error = np.hypot(1, 2) / np.sqrt(3)
    for distance, fails in ((4.9, False), (5.1, True), (-5.1, True)):
        values = 2 + distance * error + np.array([-2.0, 0.0, 2.0])
        if not fails:
            assert_unchanged(values, path, "a")
            continue
        with pytest.raises(AssertionError) as raised:
            assert_unchanged(values, path, "a")
        for words in ("'a' has changed", "2.0000 ± 0.5774", f"differ by {distance:+.1f} standard"):
            assert words in str(raised.value)
        assert_unchanged(values, path, "a", max_standard_errors=6)


def test_without_noise_rounding_is_tolerated(path):
    assert_unchanged([-100.0, -100.0], path, "a", update=True)
    assert_unchanged([-100.001, -100.001], path, "a")
    with pytest.raises(AssertionError):
        assert_unchanged([-100.1, -100.1], path, "a")


@pytest.mark.parametrize("text", ["", "[]", "3", '{"a": 5}', '{"a": {"mean": null}}'])
def test_other_files_are_refused_and_not_changed(text, path):
    path.parent.mkdir()
    path.write_text(text)
    for update in (True, False):
        with pytest.raises(ValueError, match=r"references.json to contain references"):
            assert_unchanged([1.0, 2.0], path, "a", update=update)
    assert path.read_text() == text


def test_the_bound_of_a_model(path, make_model, x):
    """The same seeds give the same numbers; other seeds differ by noise, other weights by more."""
    model = make_model()
    assert_elbo_unchanged(model, x, path, update=True)
    assert_elbo_unchanged(model, x, path, max_standard_errors=1e-3)
    assert_elbo_unchanged(model, x, path, seed=1)  # fails with probability 1e-4
    reference = json.loads(path.read_text())["elbo"]
    bounds = np.mean([model.elbo(x, 1000, seed=s).mean() for s in range(3)])
    assert abs(reference["mean"] - bounds) < 5 * reference["standard_error"]
    logits = model.likelihood.heads["logits"]
    logits.set_weights([w + 2 for w in logits.get_weights()])
    with pytest.raises(AssertionError, match="'elbo' has changed"):
        assert_elbo_unchanged(model, x, path)


def test_options(path, make_model, x):
    model = make_model(kv.FullVB)
    assert_elbo_unchanged(model, x, path, "few", num_repeats=3, update=True)
    assert_elbo_unchanged(model, x, path, "many", 3, num_samples=50, batch_size=5, update=True)
    few, many = (json.loads(path.read_text())[name] for name in ("few", "many"))
    assert few["num_values"] == 3 and few["standard_error"] > many["standard_error"]


def test_a_small_change_is_detected(path):
    """Ten repeats with a spread of 0.1 detect a change of 0.3 nats in 100."""
    rng = np.random.default_rng(0)
    assert_unchanged(rng.normal(-100, 0.1, 10), path, "a", update=True)
    with pytest.raises(AssertionError):
        assert_unchanged(rng.normal(-99.7, 0.1, 10), path, "a")
