"""Damaged files, and those of another model."""

import keras
import pytest
from bad_calls import check_message, compiled, new

import keras_aevb as kv
from keras_aevb import networks


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of a model, intact and damaged, and those of another model."""
    folder = tmp_path_factory.mktemp("files")
    model, other = compiled(new(kv.AEVB, seed=0)), kv.AEVB(**networks.gaussian_mlp(7, 3, 5))
    for end, save in {".keras": "save", ".weights.h5": "save_weights"}.items():
        getattr(model, save)(folder / f"whole{end}")
        getattr(other, save)(folder / f"other{end}")
        content = (folder / f"whole{end}").read_bytes()
        for name, damaged in {
            "half": content[: len(content) // 2],
            "empty": b"",
            "text": b"no model at all",
        }.items():
            (folder / f"{name}{end}").write_bytes(damaged)
    return folder


DAMAGED = ("half", "empty", "text", "missing")


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_model_files(name, files):
    path = files / f"{name}.keras"
    check_message(lambda _: keras.saving.load_model(path), None, [str(path)])


@pytest.mark.parametrize("end", [".keras", ".weights.h5"])
@pytest.mark.parametrize(
    "name",
    ["half", "empty", "text", "missing"],
)
def test_damaged_weights_files(name, end, files, models):
    path, kinds = files / f"{name}{end}", (ValueError, OSError)
    try:
        check_message(lambda m: m["AEVB"].load_weights(path), models, [str(path)], kinds)
    finally:
        models.check_unchanged()


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # an error follows
@pytest.mark.parametrize("end", [".keras", ".weights.h5"])
def test_weights_of_another_model(end, files, models):
    try:
        with pytest.raises(ValueError):
            models["AEVB"].load_weights(files / f"other{end}")
    finally:
        models.check_unchanged()
