"""Files: errors for unregistered classes; sharded weights; quantised and LoRA kernels."""

import keras
import numpy as np
import pytest

import keras_aevb as kv
from keras_aevb.training import adapters


class OwnLikelihood(kv.Bernoulli):
    pass


class OwnModel(kv.AEVB):
    pass


class OwnHead(keras.layers.Dense):
    pass


def cube(x):
    return x**3


UNREGISTERED = {
    "a likelihood": (lambda make: make(likelihood=OwnLikelihood(6)), r"likelihood: OwnLikelihood"),
    "a head": (
        lambda make: make(likelihood=kv.Bernoulli(6, logits=OwnHead(6))),
        r"likelihood.logits: OwnHead",
    ),
    "a layer": (
        lambda make: make(decoder=keras.Sequential([OwnHead(4)])),
        r"decoder.layers\[\d\]: OwnHead",
    ),
    "an activation": (
        lambda make: make(decoder=keras.Sequential([keras.layers.Dense(4, cube)])),
        r"decoder.layers\[\d\].activation: cube",
    ),
    "the model": (lambda make: make(OwnModel), r"model: OwnModel"),
}
WAYS = {
    "save": lambda model, path: model.save(path),
    "save_model": keras.saving.save_model,
    "ModelCheckpoint": lambda model, path: model.fit(
        np.ones((4, 6)), verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(path)]
    ),
    "inside a functional model": lambda model, path: as_layer(model).save(path),
}


def as_layer(model):
    x = keras.Input((6,))
    return keras.Model(x, model(x))


@pytest.mark.parametrize("kind", UNREGISTERED)
def test_save_names_unregistered_classes(kind, make_model, tmp_path):
    make, message = UNREGISTERED[kind]
    with pytest.raises(ValueError, match=rf"register_keras_serializable.*{message}"):
        make(make_model).save(tmp_path / "model.keras")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_saving_names_unregistered_classes(way, make_model, tmp_path):
    model = make_model(likelihood=OwnLikelihood(6))
    model.compile()
    with pytest.raises(ValueError, match=r"likelihood: OwnLikelihood"):
        WAYS[way](model, tmp_path / "model.keras")


def test_a_scope_of_custom_objects_registers(make_model, x, tmp_path):
    model = make_model(likelihood=OwnLikelihood(6))
    names = {"OwnLikelihood": OwnLikelihood}
    with keras.saving.custom_object_scope(names):
        model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", custom_objects=names)
    assert type(loaded.likelihood) is OwnLikelihood
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_configs_without_a_file_need_no_registration(make_model):
    """Only writing a file requires it."""
    assert make_model(likelihood=OwnLikelihood(6)).get_config()["seed"] == 0


@pytest.mark.parametrize("name", ["w.weights.h5", "w.weights.json"])
def test_weights_alone(name, make_model, x, tmp_path):
    """Whole, and in shards of a kilobyte, with the seed states."""
    model = make_model()
    model.compile()
    model.fit(x, verbose=0)
    shards = {"max_shard_size": 1e-6} if name.endswith("json") else {}
    model.save_weights(tmp_path / name, **shards)
    assert len(list(tmp_path.iterdir())) > (2 if shards else 0)
    other = make_model(seed=7)
    other.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(other.elbo(x), model.elbo(x))


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`")  # Keras' own
@pytest.mark.parametrize("part", ["decoder", "likelihood"])
def test_quantised_kernels_give_new_numbers_at_once(part, make_model, x, tmp_path):
    """Kernels of eight bits: pixels' means move, by less than 1/64."""
    model = make_model(likelihood=kv.Bernoulli(6, logits=keras.layers.Dense(6)))
    before = model.predict(x, verbose=0), model.elbo(x, seed=0), model.reconstruct(x)
    if part == "decoder":
        model.decoder.quantize("int8")
    else:
        model.likelihood.heads["logits"].quantize("int8")
    after = model.predict(x, verbose=0), model.elbo(x, seed=0), model.reconstruct(x)
    for old, new in zip(before, after):
        assert not np.array_equal(old, new)
    assert np.abs(after[0] - before[0]).max() < 1 / 64
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), after[0])


def test_lora_freezes_the_kernel(make_model, x, tmp_path):
    model = make_model()
    model.compile()
    model.fit(x, verbose=0)
    before = model.predict(x, verbose=0)
    layer = model.decoder.layers[-1]
    layer.enable_lora(2)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)  # B starts at zero
    layer.lora_kernel_b.assign(np.ones((2, 4)))
    changed = model.predict(x, verbose=0)
    assert not np.array_equal(changed, before)  # at once
    frozen = np.asarray(layer._kernel)
    model.compile()
    model.fit(x, verbose=0)
    np.testing.assert_array_equal(layer._kernel, frozen)
    assert not np.array_equal(model.predict(x, verbose=0), changed)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)


@pytest.mark.parametrize("how, seed", [("fit", None), ("train_on_batch", 0)])
def test_lora_is_trained_after_loading_weights(how, seed, make_model, x, tmp_path):
    """A file has A B in the kernel, and loading sets A and B to zero, where gradients vanish."""
    model = make_model(seed=seed)
    model.save_weights(tmp_path / "plain.weights.h5")
    layer = model.decoder.layers[-1]
    layer.enable_lora(2)
    model.load_weights(tmp_path / "plain.weights.h5")
    model.compile()
    before = model.predict(x, verbose=0)
    with pytest.warns(UserWarning, match=r"LoRA factors A and B of \['sequential.*were zero"):
        adapters.renew(model)
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    limit = np.sqrt(6 / 2)  # of He's uniform initializer for 2 inputs
    a = np.asarray(layer.lora_kernel_a)
    assert 0 < np.abs(a).max() <= limit and np.unique(a).size == a.size
    adapters.renew(model)  # warnings are errors
    np.testing.assert_array_equal(layer.lora_kernel_a, a)
    layer.lora_kernel_a.assign(np.zeros_like(a))
    with pytest.warns(UserWarning, match="LoRA factors"):
        model.fit(x, verbose=0) if how == "fit" else model.train_on_batch(x)
    assert np.all(np.asarray(layer.lora_kernel_b) != 0)


def test_lora_of_embeddings_is_trained_after_loading_weights(make_model, tmp_path):
    tokens = keras.layers.Embedding(5, 3)
    encoder = keras.Sequential([tokens, keras.layers.Flatten(), keras.layers.Dense(4)])
    model = make_model(encoder=encoder, likelihood=kv.Conditional("Poisson", 6))
    model.save_weights(tmp_path / "plain.weights.h5")
    tokens.enable_lora(2)
    model.compile()
    x = np.arange(18).reshape(3, 6) % 5
    model.fit(x, verbose=0)  # without a warning: A is random
    model.save_weights(tmp_path / "own.weights.h5")
    model.load_weights(tmp_path / "own.weights.h5")
    with pytest.warns(UserWarning, match="LoRA factors A and B of .*embedding"):
        model.fit(x, verbose=0)
    assert np.any(np.asarray(tokens.lora_embeddings_b))


def test_full_vb_refuses_lora_that_a_file_would_lose(make_model):
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, lora_rank=2)])
    with pytest.raises(
        ValueError, match=r"q\(θ\) over them would be lost. Received: LoRA in .*dense"
    ):
        make_model(kv.FullVB, decoder=decoder)


def test_the_given_jit_compile_is_saved(make_model, tmp_path):
    """Keras resolves `"auto"` to true on JAX, and to false on TensorFlow without a GPU."""
    model = make_model()
    for given in ("auto", True, False):
        model.compile(jit_compile=given)
        assert model.get_compile_config()["jit_compile"] == given
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.get_compile_config()["jit_compile"] == given
        assert loaded.jit_compile == model.jit_compile
    model.compile("adam")
    assert model.get_compile_config()["jit_compile"] == "auto"
    assert not make_model().get_compile_config()
