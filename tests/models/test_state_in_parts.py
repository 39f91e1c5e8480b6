"""State in parts belongs to the model: it is tracked, trained, saved, and read by programs."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv


@keras.saving.register_keras_serializable("tests")
class Weighted(kv.Bound):
    """An ELBO whose divergence has a weight: an attribute, or a variable."""

    def __init__(self, beta=1.0, num_samples=1, variable=False, trainable_shift=False, **kwargs):
        super().__init__(num_samples, **kwargs)
        self.beta = beta
        self.variable = variable
        self.trainable_shift = trainable_shift
        if variable:
            self.weight = self.add_weight(
                (), initializer=keras.initializers.Constant(beta), trainable=False
            )
        if trainable_shift:
            self.shift = self.add_weight((), initializer="ones")

    def __call__(self, x, q, prior, decode, seed):
        z = q.sample(self.num_samples, seed=seed)
        reconstruction = ops.mean(decode(z).log_prob(x), axis=0)
        kl = q.kl_divergence(prior)
        weight = self.weight if self.variable else self.beta
        shift = ops.square(self.shift) if self.trainable_shift else 0.0
        elbo = reconstruction - weight * kl - shift
        return {"elbo": elbo, "reconstruction": reconstruction, "kl": kl}

    def get_config(self):
        names = ("beta", "variable", "trainable_shift")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class Sets(keras.callbacks.Callback):
    """Sets the weight to the epoch's or batch's number; infers the weight in use from the logs."""

    def __init__(self, moment="epoch_begin"):
        super().__init__()
        setattr(self, f"on_{moment}", self.set)
        self.seen = []

    def set(self, number, logs=None):
        bound = self.model.bound
        if bound.variable:
            bound.weight.assign(float(number))
        else:
            bound.beta = float(number)

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((logs["reconstruction"] - logs["elbo"]) / logs["kl"])


@pytest.fixture
def build(make_model):
    def build(**settings):
        model = make_model(bound=Weighted(**settings))
        model.compile(keras.optimizers.SGD(0.01))
        return model

    return build


@pytest.mark.parametrize("variable", [False, True])
def test_callbacks_change_the_weight_of_the_divergence(variable, build, x):
    callback = Sets()
    build(variable=variable).fit(x, epochs=4, verbose=0, callbacks=[callback])
    # Differences of float32 numbers near 4, divided by a divergence of about one.
    np.testing.assert_allclose(callback.seen, [0, 1, 2, 3], atol=1e-4)


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_callbacks_change_the_weight_between_batches(steps_per_execution, variable, build, x):
    """Three batches with the weights 0, 1 and 2, or 0, 0 and 2 for two steps per execution."""
    model = build(variable=variable)
    model.compile(keras.optimizers.SGD(0.0), steps_per_execution=steps_per_execution)
    callback = Sets("train_batch_begin")
    model.fit(x[:12], batch_size=4, verbose=0, shuffle=False, callbacks=[callback])
    weight = {1: [0, 1, 2], 2: [0, 0, 2]}[steps_per_execution]
    kl = np.asarray(model.encode(x[:12]).kl_divergence(model.prior.distribution())).reshape(3, 4)
    expected = np.sum(kl.mean(1) * weight) / kl.mean(1).sum()
    np.testing.assert_allclose(callback.seen, [expected], rtol=1e-3)  # a quotient of differences


def test_elbo_follows_an_attribute_and_a_variable(build, x):
    for variable in (False, True):
        model = build(variable=variable)
        kl = np.asarray(model.encode(x).kl_divergence(model.prior.distribution()))
        before = model.elbo(x, seed=0)
        if variable:
            model.bound.weight.assign(100.0)
        else:
            model.bound.beta = 100.0
        # float32: the difference of numbers near 100 KL
        np.testing.assert_allclose(before - model.elbo(x, seed=0), 99 * kl, rtol=1e-4, atol=1e-4)


def test_a_trainable_variable_in_a_bound_is_trained(build, x):
    """Its loss is shift²: three SGD steps of 0.1 · 2 · shift, from 1."""
    model = build(trainable_shift=True)
    model.compile(keras.optimizers.SGD(0.1))
    assert any(v is model.bound.shift for v in model.trainable_variables)
    model.fit(x, batch_size=5, verbose=0)
    np.testing.assert_allclose(model.bound.shift.numpy(), 0.8**3, rtol=1e-6)  # float32


def test_variables_of_a_bound_are_saved(build, x, tmp_path):
    model = build(variable=True)
    model.bound.weight.assign(3.0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.bound.weight.numpy() == 3
    np.testing.assert_array_equal(loaded.elbo(x, seed=0), model.elbo(x, seed=0))


def test_another_number_of_samples_keeps_attributes_missing_in_the_config(make_model, x):
    """`elbo(num_samples=…)` once rebuilt the bound from its config."""

    class Forgets(Weighted):
        def get_config(self):
            return {"num_samples": self.num_samples}

    model = make_model(bound=Forgets(beta=5.0))
    model.compile()
    values = model.elbo(x, num_samples=500, seed=0).mean()
    (logged,) = [model.evaluate(x, batch_size=13, verbose=0, return_dict=True)["elbo"]]
    kl = np.asarray(model.encode(x).kl_divergence(model.prior.distribution())).mean()
    assert abs(values - logged) < kl  # and not 4 KL apart
    with pytest.raises(ValueError, match=r"Forgets.get_config.*without \['beta'"):
        model.get_config()


# Changes of layers


def change_activation(model):
    model.encoder.layers[0].activation = keras.activations.relu


def add_a_layer(model):
    model.encoder.add(keras.layers.Dense(5, "tanh"))


def replace_the_encoder(model):
    keras.utils.set_random_seed(7)
    model.encoder = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, "sigmoid")])


def replace_the_bound(model):
    model.bound = Weighted(beta=4.0)


def quantize(model):
    model.decoder.quantize("int8")


def enable_lora(model):
    layer = model.decoder.layers[0]
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(ops.ones(layer.lora_kernel_b.shape))


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`")  # Keras' own
@pytest.mark.parametrize(
    "change",
    [
        change_activation,
        add_a_layer,
        replace_the_encoder,
        replace_the_bound,
        quantize,
        enable_lora,
    ],
)
@pytest.mark.parametrize("compile_again", [False, True])
def test_programs_follow_changes_of_layers(compile_again, change, make_model, x):
    """`elbo`, `evaluate`, `predict` and `sample` give the results of newly compiled programs.

    `compile` drops all programs or none, so two of them suffice to test it.
    """
    model = make_model(posterior=kv.DiagonalNormal(2, log_variance=keras.layers.Dense(2)))
    model.compile()

    def results():
        state = model.seed_generator.state.numpy()
        found = [model.evaluate(x, batch_size=13, verbose=0), model.elbo(x, seed=0)]
        model.seed_generator.state.assign(state)
        if not compile_again:
            found += [model.predict(x, verbose=0), model.sample(5, 0)]
        return [np.asarray(values) for values in found]

    before = results()
    change(model)
    if compile_again:
        model.compile()
    after = results()
    assert any(np.any(a != b) for a, b in zip(after, before))
    model._programs.programs.clear()  # as a fresh process
    for ours, fresh in zip(after, results()):
        np.testing.assert_array_equal(ours, fresh)


def test_training_does_not_recompile(make_model, x):
    model = make_model()
    model.compile()
    model.fit(x, epochs=2, verbose=0, validation_data=(x, None))
    model.elbo(x)
    programs = dict(model._programs.programs)
    model.fit(x, epochs=3, verbose=0, validation_data=(x, None))
    model.elbo(x)
    assert len(programs) == 3
    assert all(model._programs.programs[key] is program for key, program in programs.items())


def test_compile_with_the_same_optimizer_takes_its_changes(make_model, x):
    """`compile` drops the programs, also for the same optimizer, and makes a new loss metric."""
    model = make_model()
    optimizer = keras.optimizers.SGD(1.0)
    model.compile(optimizer)
    model.fit(x, verbose=0)
    before = model.get_weights()
    optimizer.clipnorm = 1e-9
    model.compile(optimizer)
    for _ in range(2):
        history = model.fit(x, verbose=0).history
        np.testing.assert_allclose(history["loss"], -np.array(history["elbo"]), rtol=1e-6)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_allclose(new, old, atol=1e-7)


def test_a_changed_constraint_takes_effect(make_model, x):
    model = make_model()
    model.compile(keras.optimizers.SGD(0.01))
    model.fit(x, verbose=0)
    kernel = model.decoder.layers[0].kernel
    assert np.asarray(kernel).min() < -0.1
    kernel.constraint = keras.constraints.NonNeg()
    model.fit(x, verbose=0)
    assert np.asarray(kernel).min() >= 0


@pytest.mark.parametrize("name", ["kernel.regularizer", "activity_regularizer"])
def test_a_changed_regularizer_takes_effect(make_model, x, name):
    model = make_model()
    model.compile(keras.optimizers.SGD(0.0))
    model.evaluate(x, verbose=0)
    layer = model.decoder.layers[0]
    owner = layer.kernel if name.startswith("kernel") else layer
    owner_attribute = name.rpartition(".")[2]
    setattr(owner, owner_attribute, keras.regularizers.L2(100.0))
    logs = model.evaluate(x, verbose=0, return_dict=True)
    assert logs["loss"] + logs["elbo"] > 1
    if owner is layer.kernel:
        expected = 100 * np.square(np.asarray(layer.kernel)).sum()
        np.testing.assert_allclose(logs["loss"] + logs["elbo"], expected, rtol=1e-5)
