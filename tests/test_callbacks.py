"""Pictures during training: their files, and that they do not affect training."""

import sys

import keras
import numpy as np
import pytest
from matplotlib import image

import keras_aevb as kv
from keras_aevb.callbacks import Pictures

X = np.random.default_rng(0).random((30, 4, 3)).astype("float32")


class CountsTraces(keras.layers.Layer):
    """The identity, which counts how often a training program is traced."""

    traces = 0

    def call(self, x, training=False):
        if training:
            type(self).traces += 1
        return x


def aevb(**parts):
    dense, flatten, dropout = keras.layers.Dense, keras.layers.Flatten, keras.layers.Dropout
    defaults = {
        "encoder": keras.Sequential([flatten(), dropout(0.5, seed=3), CountsTraces(), dense(5)]),
        "decoder": keras.Sequential([dense(5, "tanh")]),
        "posterior": kv.DiagonalNormal(2),
        "likelihood": kv.Bernoulli((4, 3)),
    }
    return kv.AEVB(**{**defaults, **parts}, seed=0)


def cauchy():
    """Neither q(z|x) nor p(x|z) has a mean, so pictures need samples."""
    posterior, prior = kv.Conditional("Cauchy", 2), kv.Unconditional("Cauchy", 2, loc=0, scale=1)
    return aevb(posterior=posterior, prior=prior, likelihood=kv.Conditional("Cauchy", (4, 3)))


def monte_carlo_em():
    parts = {
        "decoder": keras.Sequential([keras.layers.Dense(3)]),
        "likelihood": kv.Bernoulli((4, 3)),
        "prior": kv.StandardNormal(2),
    }
    return kv.MonteCarloEM(**parts, num_leapfrog_steps=2, seed=0)


def trained(build, callbacks):
    keras.utils.set_random_seed(1)
    model = build()
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=2)
    CountsTraces.traces = 0
    model.fit(X, batch_size=10, epochs=3, verbose=0, callbacks=callbacks)
    return [np.asarray(v) for v in model.variables], CountsTraces.traces


@pytest.mark.slow
@pytest.mark.parametrize("build", [cauchy, monte_carlo_em])
def test_pictures_do_not_affect_training(build, tmp_path):
    pictures = Pictures(tmp_path, every=1, x=X[:7], labels=[0, 1, 0, 1, 0, 1, 2])
    plain, with_pictures = (trained(build, callbacks) for callbacks in ([], [pictures]))
    assert len(plain[0]) == len(with_pictures[0])
    for value, expected in zip(with_pictures[0], plain[0]):
        np.testing.assert_array_equal(value, expected)
    assert with_pictures[1] == plain[1]  # nothing is recompiled
    assert len(list(tmp_path.glob("samples/*.png"))) == 4


def test_files_and_events(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New

    folder, log_dir = tmp_path / "pictures", tmp_path / "logs"
    model = aevb()
    model.compile("adam")
    pictures = Pictures(folder, log_dir, every=2, x=X[:7])
    model.fit(X, batch_size=10, epochs=3, verbose=0, callbacks=[pictures])
    kinds = ["encoded", "kl_by_dimension", "manifold", "reconstructions", "samples", "traversals"]
    assert sorted(path.name for path in folder.iterdir()) == kinds
    expected = {}
    for kind in kinds:
        files = sorted((folder / kind).iterdir())
        assert [f.name for f in files] == ["epoch-0000.png", "epoch-0002.png", "epoch-0003.png"]
        for step, file in zip((0, 2, 3), files):
            assert image.imread(file).std() > 0.01
            expected[kind, step] = file.read_bytes()
    (events,) = log_dir.iterdir()
    reader = PyRecordReader_New(str(events))
    found = {}
    while True:
        try:
            reader.GetNext()
        except Exception as error:  # the class of the reader's end-of-file error varies
            assert type(error).__name__ == "OutOfRangeError"
            break
        event = Event.FromString(reader.record())
        for value in event.summary.value:
            found[value.tag, event.step] = value.image.encoded_image_string
    assert found == expected


def test_the_same_model_gives_the_same_picture(tmp_path):
    model = aevb()
    model.compile("adam")
    for name in ("a", "b"):
        pictures = Pictures(tmp_path / name, kinds=["samples"], x=X[:3])
        model.fit(X, epochs=0, verbose=0, callbacks=[pictures])
        pictures.draw(0)
    files = [tmp_path / name / "samples" / "epoch-0000.png" for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()


CONDITIONS = {
    "one": (lambda: kv.Condition(num_classes=3), lambda y: y),
    "several": (
        lambda: kv.Conditions({"label": kv.Condition(num_classes=3), "age": kv.Condition()}),
        lambda y: {"label": y, "age": y / 7},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("condition", CONDITIONS)
def test_pictures_of_a_conditional_model(condition, tmp_path):
    make, of_labels = CONDITIONS[condition]
    join = kv.networks.Joined
    model = aevb(
        encoder=join(keras.Sequential([keras.layers.Dense(3)])),
        decoder=join(keras.Sequential([keras.layers.Dense(3)])),
        condition=make(),
    )
    model.compile("adam")
    y = np.arange(30) % 3
    pictures = Pictures(tmp_path, x=X[:7], condition=of_labels(y[:7]))
    model.fit(X, of_labels(y), epochs=1, verbose=0, callbacks=[pictures])
    assert len(list(tmp_path.glob("*/epoch-0001.png"))) == 6
    with pytest.raises(ValueError, match=r"7.*Received"):  # x has 7 examples
        few = Pictures(tmp_path, x=X[:7], condition=of_labels(y[:2]))
        model.fit(X, of_labels(y), verbose=0, callbacks=[few])


@pytest.mark.parametrize("condition", [2, [2], np.array(2.0)])
def test_one_condition_for_all_images(condition, tmp_path):
    join = kv.networks.Joined
    model = aevb(
        encoder=join(keras.Sequential([keras.layers.Dense(3)])),
        decoder=join(keras.Sequential([keras.layers.Dense(3)])),
        condition=kv.Condition(num_classes=3),
    )
    pictures = Pictures(tmp_path, condition=condition, kinds=["samples"])
    pictures.set_model(model)
    np.testing.assert_array_equal(pictures.conditions_for(3), [2, 2, 2])
    pictures.condition = []
    with pytest.raises(ValueError, match=r"one y or more. Received: none"):
        pictures.conditions_for(3)


def test_impossible_kinds_are_left_out_or_refused(tmp_path):
    words = aevb(likelihood=kv.Conditional("Poisson", 12), prior=kv.MixturePrior("Normal", 2, 3))
    words.compile("adam")
    counts = np.ones((10, 12))
    words.fit(counts, verbose=0, callbacks=[Pictures(tmp_path, x=counts)])
    assert [path.name for path in tmp_path.iterdir()] == ["encoded"]
    for kind, match in {
        "samples": "image_shape",
        "manifold": "independent",
        "kl_by_dimension": "independent",
    }.items():
        with pytest.raises(ValueError, match=match):
            pictures = Pictures(tmp_path, kinds=[kind], x=counts)
            words.fit(counts, verbose=0, callbacks=[pictures])
    with pytest.raises(ValueError, match="encoder"):
        words.fit(counts, verbose=0, callbacks=[Pictures(tmp_path, kinds=["encoded"])])
    with pytest.raises(ValueError, match="`image_shape`"):
        pictures = Pictures(tmp_path, x=counts, image_shape=(5, 5))
        words.fit(counts, verbose=0, callbacks=[pictures])


def test_arguments_are_checked(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`folder` or a `log_dir`"):
        Pictures()
    with pytest.raises(ValueError, match=r"`kinds`.*'faces'"):
        Pictures(tmp_path, kinds=["faces"])
    with pytest.raises(ValueError, match=r"`every`.*positive integer"):
        Pictures(tmp_path, every=0)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(ImportError, match=r"keras-aevb\[plots\]"):
        Pictures(log_dir=tmp_path)
