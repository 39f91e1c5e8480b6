"""Features and libraries that people use with Keras, on every kind of data.

A client is a function of a `Data` and a folder, which asserts that a feature works. Clients that
need another library are skipped without it: `pip install 'keras-aevb[clients]'`.
"""

import copy
import csv
import os
import pickle
import re

import keras
import numpy as np
import pytest
from sources import SOURCES, Data, X

import keras_aevb as kv

pytestmark = pytest.mark.slow

CLIENTS = {}


def client(function):
    CLIENTS[function.__name__] = function
    return function


def make(optimizer="adam", parts=None, **compile_arguments):
    """A small model with random weights."""
    mlp = kv.networks.bernoulli_mlp(6, latent_dim=2, hidden_units=5, stddev=0.5, seed=0)
    model = kv.AEVB(**{**mlp, **(parts or {})}, seed=0)
    model.compile(optimizer, **compile_arguments)
    return model


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`")  # Keras' own
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:(keras_tuner|mlflow|sqlalchemy|<sqlalchemy)"
)
@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("name", CLIENTS)
def test_client(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CLIENTS[name](Data(kind), tmp_path)


def weights(model):
    return [np.asarray(w) for w in model.get_weights()]


def same(actual, desired):
    return all(np.array_equal(a, b) for a, b in zip(actual, desired, strict=True))


# Keras' callbacks


@client
def model_checkpoint(data, folder):
    path = folder / "best.keras"
    best = keras.callbacks.ModelCheckpoint(path, monitor="val_elbo", save_best_only=True)
    model = make()
    history = data.fit(model, epochs=3, callbacks=[best])
    assert best.best == max(history["val_elbo"])
    loaded = keras.saving.load_model(path)
    if np.argmax(history["val_elbo"]) == 2:
        assert same(weights(loaded), weights(model))


@client
def early_stopping(data, folder):
    """A step size that ruins the bound ends training."""
    stop = keras.callbacks.EarlyStopping("val_elbo", patience=1, restore_best_weights=True)
    model = make(keras.optimizers.SGD(50.0))
    history = data.fit(model, epochs=20, callbacks=[stop])
    assert len(history["val_elbo"]) < 20 and stop.monitor_op is keras.ops.greater
    assert stop.best == max(history["val_elbo"])


@client
def early_stopping_in_a_callback_list(data, folder):
    model = make()
    stop = keras.callbacks.EarlyStopping("val_elbo", patience=0, min_delta=1e6)
    calls = keras.callbacks.CallbackList([stop], add_history=True, model=model, epochs=20)
    history = data.fit(model, epochs=20, callbacks=calls)
    assert len(history["val_elbo"]) == 2 and stop.monitor_op is keras.ops.greater


@client
def early_stopping_for_kl(data, folder):
    stop = keras.callbacks.EarlyStopping("val_kl", patience=0, min_delta=1e6)
    assert len(data.fit(make(), epochs=20, callbacks=[stop])["val_kl"]) == 2
    assert stop.monitor_op is keras.ops.less


@client
def reduce_lr_on_plateau(data, folder):
    reduce = keras.callbacks.ReduceLROnPlateau("val_elbo", 0.5, patience=1, min_delta=1e6)
    model = make(keras.optimizers.Adam(0.01))
    data.fit(model, epochs=3, callbacks=[reduce])
    np.testing.assert_allclose(float(model.optimizer.learning_rate), 0.0025, rtol=1e-6)


@client
def csv_logger(data, folder):
    history = data.fit(make(), callbacks=[keras.callbacks.CSVLogger("log.csv")])
    rows = list(csv.DictReader((folder / "log.csv").read_text().splitlines()))
    np.testing.assert_allclose([float(r["val_elbo"]) for r in rows], history["val_elbo"])


@client
def swap_ema_weights(data, folder):
    model = make(keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    averaged = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: averaged.append(weights(model))
    )
    data.fit(model, callbacks=[swap, watch])
    assert not same(averaged[-1], averaged[0])


@client
def backup_and_restore(data, folder):
    """Training is stopped after one epoch and resumed: the weights equal an uninterrupted run's."""
    if data.source is SOURCES["generator"]:
        pytest.skip("a generator cannot resume")
    whole = make()
    data.fit(whole, epochs=2, shuffle=False)
    halves = make()
    backup = keras.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False)
    data.fit(halves, epochs=1, shuffle=False, callbacks=[backup])
    again = make()
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    data.fit(again, epochs=2, shuffle=False, callbacks=[backup])
    assert same(weights(again), weights(whole))


@client
def learning_rate_scheduler(data, folder):
    model = make()
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.01 / (epoch + 1))
    history = data.fit(model, callbacks=[rates])
    np.testing.assert_allclose(history["learning_rate"], [0.01, 0.005], rtol=1e-6)


@client
def terminate_on_nan(data, folder):
    model = make(keras.optimizers.SGD(float(np.float32(1e38))))
    history = data.fit(model, 30, validate=False, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert len(history["loss"]) < 30


@client
def lambda_callback(data, folder):
    batches = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batches.append((batch, float(logs["loss"])))
    )
    data.fit(make(), callbacks=[watch])
    assert [b for b, _ in batches] == [0, 1, 0, 1]


@client
def remote_monitor(data, folder):
    pytest.importorskip("requests")
    monitor = keras.callbacks.RemoteMonitor("http://127.0.0.1:9", send_as_json=True)
    with pytest.warns(UserWarning, match="RemoteMonitor"):  # there is no server
        data.fit(make(), epochs=1, callbacks=[monitor])


@client
def progress_bar(data, folder):
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        data.fit(make(), verbose=1)
    assert re.search(r"2/2.*elbo", text.getvalue()) and "val_elbo" in text.getvalue()


@client
def tensorboard(data, folder):
    pytest.importorskip("tensorboard")
    board = keras.callbacks.TensorBoard(folder / "logs", histogram_freq=0)
    data.fit(make(), callbacks=[board])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "logs" / "validation")).Reload()
    tags = events.Tags()
    assert "epoch_elbo" in tags["tensors"] + tags["scalars"]


@client
def orbax_callback(data, folder):
    pytest.importorskip("orbax.checkpoint")
    if not hasattr(keras.callbacks, "OrbaxCheckpoint"):
        pytest.skip("this version of Keras has no OrbaxCheckpoint")
    model = make()
    orbax = keras.callbacks.OrbaxCheckpoint(str(folder / "orbax"), save_freq="epoch")
    data.fit(model, callbacks=[orbax])
    assert any((folder / "orbax").iterdir())


# Optimizers and schedules


def trains_with(optimizer, **compile_arguments):
    def run(data, folder):
        model = make(optimizer(), **compile_arguments)
        before = weights(model)
        history = data.fit(model)
        assert np.isfinite(history["val_elbo"]).all() and not same(weights(model), before)

    return run


O = keras.optimizers  # noqa: E741
S = O.schedules
for name, optimizer in {
    "sgd_with_momentum": lambda: O.SGD(0.01, momentum=0.9, nesterov=True),
    "rmsprop": lambda: O.RMSprop(),
    "adagrad": lambda: O.Adagrad(0.01),
    "adamw": lambda: O.AdamW(weight_decay=0.01),
    "lion": lambda: O.Lion(),
    "nadam": lambda: O.Nadam(),
    "adafactor": lambda: O.Adafactor(),
    "exponential_decay": lambda: O.Adam(S.ExponentialDecay(0.01, 1, 0.9)),
    "cosine_decay_with_warmup": lambda: O.Adam(
        S.CosineDecay(0.0, 10, warmup_target=0.01, warmup_steps=2)
    ),
    "ema": lambda: O.Adam(use_ema=True),
}.items():
    CLIENTS[name] = trains_with(optimizer)
for name, how in {
    "jit_compile": {"jit_compile": True},
    "without_jit_compile": {"jit_compile": False},
    "run_eagerly": {"run_eagerly": True},
    "steps_per_execution": {"steps_per_execution": 2},
    "auto_scale_loss": {"auto_scale_loss": True},
}.items():
    CLIENTS[name] = trains_with(lambda: O.Adam(0.01), **how)


@client
def gradient_accumulation(data, folder):
    """The weights change once per epoch, after both batches of 10."""
    model = make(O.SGD(0.1, gradient_accumulation_steps=2))
    changed = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: changed.append(weights(model))
    )
    before = weights(model)
    data.fit(model, epochs=1, callbacks=[watch])
    assert same(changed[0], before) and not same(changed[1], before)


def clips(**clipping):
    def run(data, folder):
        """Steps of SGD are gradients, no longer than the limit."""
        model = make(O.SGD(1.0, **clipping))
        before = weights(model)
        data.fit(model, epochs=1, validate=False)
        moves = [a - b for a, b in zip(weights(model), before)]
        ((name, limit),) = clipping.items()
        lengths = {
            "clipvalue": max(np.abs(m).max() for m in moves),
            "clipnorm": max(np.linalg.norm(m) for m in moves),
            "global_clipnorm": np.sqrt(sum((m**2).sum() for m in moves)),
        }
        assert 0 < lengths[name] <= 2 * limit * (1 + 1e-4)  # two steps

    return run


for name in ("clipvalue", "clipnorm", "global_clipnorm"):
    CLIENTS[name] = clips(**{name: 1e-3})


# Layers and policies


@client
def lora(data, folder):
    model = make()
    layer = model.decoder.layers[-1]
    layer.enable_lora(2)
    kernel = np.asarray(layer._kernel)
    model.compile("adam")
    data.fit(model)
    assert np.abs(np.asarray(layer.lora_kernel_b)).max() > 0
    np.testing.assert_array_equal(layer._kernel, kernel)


@client
def quantization(data, folder):
    model = make()
    data.fit(model, epochs=1)
    before = model.elbo(data.once(), seed=0)
    model.decoder.quantize("int8")
    after = model.elbo(data.once(), seed=0)
    assert not np.array_equal(before, after) and np.abs(before - after).max() < 0.5


@client
def frozen_layers(data, folder):
    model = make()
    model.encoder.trainable = False
    model.compile("adam")
    before = weights(model.encoder)
    data.fit(model)
    assert same(weights(model.encoder), before)


@client
def regularizers_dropout_and_batch_normalization(data, folder):
    layers = keras.layers
    encoder = keras.Sequential(
        [
            layers.Dense(5, "tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.5, seed=0),
        ]
    )
    model = make(parts={"encoder": encoder})
    moving = np.asarray(encoder.layers[1].moving_mean)
    data.fit(model)
    assert not np.array_equal(encoder.layers[1].moving_mean, moving)
    np.testing.assert_array_equal(model.predict(X, verbose=0), model.predict(X, verbose=0))


@client
def keras_applications(data, folder):
    images = Data(
        next(k for k, s in SOURCES.items() if s is data.source),
        np.random.default_rng(0).random((20, 32, 32, 3)).astype("float32"),
    )
    backbone = keras.applications.MobileNetV2(
        (32, 32, 3), 0.35, include_top=False, weights=None, pooling="avg"
    )
    model = kv.AEVB(
        encoder=backbone,
        decoder=keras.Sequential([keras.layers.Dense(4)]),
        posterior=kv.DiagonalNormal(2),
        likelihood=kv.Bernoulli((32, 32, 3)),
        seed=0,
    )
    model.compile("adam")
    history = images.fit(model, epochs=1)
    assert np.isfinite(history["val_elbo"]).all()


def with_policy(policy):
    def run(data, folder):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            # Adam's usual 1e-7 is below float16's smallest normal number, 6e-5.
            model = make(O.Adam(0.01, epsilon=1e-3))
            history = data.fit(model)
        finally:
            keras.config.set_dtype_policy(before)
        assert model.encoder.layers[0].compute_dtype == policy.removeprefix("mixed_")
        assert np.isfinite(history["val_elbo"]).all()
        assert model.elbo(data.once()).dtype == "float32"

    return run


for policy in ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16"):
    CLIENTS[policy] = with_policy(policy)


# Methods of a model


@client
def evaluate_and_predict(data, folder):
    model = make()
    assert np.isfinite(model.evaluate(data.once(), verbose=0, return_dict=True)["elbo"])
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(model.predict(data.once(), verbose=0), expected, rtol=1e-5)


@client
def elbo_and_other_methods(data, folder):
    model = make()
    for measure in (
        lambda x: model.elbo(x, seed=0),
        lambda x: model.log_likelihood(x, 2, seed=0),
        lambda x: np.asarray(model.encode(x, batch_size=7).mean()),
        lambda x: model.reconstruct(x),
    ):
        np.testing.assert_allclose(measure(data.once()), measure(X), rtol=1e-5)


@client
def loop_of_train_on_batch(data, folder):
    model = make()
    before = weights(model)
    for batch in data.once():
        batch = batch[0] if isinstance(batch, (tuple, list)) else batch
        batch = np.asarray(batch).reshape(-1, 6)
        assert np.isfinite(model.train_on_batch(batch, return_dict=True)["loss"])
    assert not same(weights(model), before)


@client
def save_and_load(data, folder):
    model = make()
    data.fit(model)
    model.save("model.keras")
    loaded = keras.saving.load_model("model.keras")
    expected = model.predict(X, verbose=0)
    # Matrix products with another number of rows round in another order.
    np.testing.assert_allclose(loaded.predict(data.once(), verbose=0), expected, rtol=1e-5)
    data.fit(loaded)


@client
def sharded_weights(data, folder):
    model = make()
    data.fit(model)
    model.save_weights("model.weights.json", max_shard_size=1e-6)
    other = make()
    other.load_weights("model.weights.json")
    assert same(weights(other), weights(model))


@client
def pickles_and_copies(data, folder):
    model = make()
    data.fit(model)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert same(weights(other), weights(model))
        data.fit(other, epochs=1)


@client
def clone_model(data, folder):
    model = make()
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(other.predict(data.once(), verbose=0), expected, rtol=1e-5)


@client
def functional_model(data, folder):
    """A model and its encoding as layers of a functional model."""
    model = make()
    data.fit(model, epochs=1)
    x = keras.Input((6,))
    functional = keras.Model(x, [model(x), model.encoding()(x)])
    images, means = functional.predict(X, verbose=0)
    np.testing.assert_allclose(images, model.predict(data.once(), verbose=0), rtol=1e-5)
    assert means.shape == (20, 2)


@client
def saved_model(data, folder):
    tf = pytest.importorskip("tensorflow")
    model = make()
    data.fit(model)
    model.export(folder / "served", verbose=False)
    served = tf.saved_model.load(folder / "served")
    np.testing.assert_allclose(served.serve(X), model.predict(data.once(), verbose=0), atol=1e-5)


@client
def own_objective(data, folder):
    """A subclass doubles the loss of `objective`."""

    class Own(kv.AEVB):
        def objective(self, x, training):
            losses, terms = super().objective(x, training)
            return 2 * losses, terms

    mlp = kv.networks.bernoulli_mlp(6, latent_dim=2, hidden_units=5, seed=0)
    model = Own(**mlp, seed=0)
    model.compile("sgd")
    history = data.fit(model)
    np.testing.assert_allclose(history["loss"], -2 * np.array(history["elbo"]), rtol=1e-5)


# Libraries


def tuner(name, **settings):
    def run(data, folder):
        kt = pytest.importorskip("keras_tuner")

        def build(hp):
            units = hp.Int("units", 2, 4)
            mlp = kv.networks.bernoulli_mlp(6, latent_dim=2, hidden_units=units, seed=0)
            model = kv.AEVB(**mlp, seed=0)
            model.compile("adam")
            return model

        objective = kt.Objective("val_elbo", "max")  # KerasTuner knows Keras' own metrics only
        search = getattr(kt, name)(build, objective, directory=folder, **settings)
        x, how = data.source(data.x)
        if data.source is SOURCES["generator"]:
            pytest.skip("the trials would share one generator")
        search.search(x, epochs=1, validation_data=data.source(data.x)[0], verbose=0, **how)
        assert search.get_best_hyperparameters()[0].get("units") in (2, 3, 4)

    return run


CLIENTS["keras_tuner_random_search"] = tuner("RandomSearch", max_trials=2)
CLIENTS["keras_tuner_bayesian"] = tuner("BayesianOptimization", max_trials=2)
CLIENTS["keras_tuner_hyperband"] = tuner("Hyperband", max_epochs=2, hyperband_iterations=1)


@client
def optuna(data, folder):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        model = make(O.Adam(trial.suggest_float("step_size", 1e-3, 1e-1, log=True)))
        return data.fit(model, epochs=1)["val_elbo"][-1]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=2)
    assert study.best_value == max(t.value for t in study.trials)


@client
def optuna_pruning(data, folder):
    """A study that prunes trials worse than the median, from a Keras callback."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        def report(epoch, logs):
            trial.report(logs["val_elbo"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned()

        watch = keras.callbacks.LambdaCallback(on_epoch_end=report)
        model = make(O.SGD([0.01, 100.0][trial.number]))
        return data.fit(model, callbacks=[watch])["val_elbo"][-1]

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=0)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.optimize(objective, n_trials=2)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED"]


@client
def mlflow(data, folder):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    with mlflow.start_run() as run:
        log = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: mlflow.log_metrics(logs, step=epoch)
        )
        history = data.fit(make(), callbacks=[log])
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    np.testing.assert_allclose(metrics["val_elbo"], history["val_elbo"][-1], rtol=1e-6)


@client
def wandb_offline(data, folder):
    wandb = pytest.importorskip("wandb")
    from wandb.integration.keras import WandbMetricsLogger

    with wandb.init(mode="offline", dir=str(folder), project="aevb") as run:
        history = data.fit(make(), callbacks=[WandbMetricsLogger()])
        np.testing.assert_allclose(
            run.summary["epoch/val_elbo"], history["val_elbo"][-1], rtol=1e-6
        )
    assert any(name.endswith(".wandb") for *_, names in os.walk(folder) for name in names)


@client
def orbax(data, folder):
    ocp = pytest.importorskip("orbax.checkpoint")
    model = make()
    data.fit(model)
    state = {str(i): w for i, w in enumerate(weights(model))}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "state", state)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(folder / "state")
    other = make()
    other.set_weights([restored[str(i)] for i in range(len(state))])
    assert same(weights(other), weights(model))


@client
def scikit_learn(data, folder):
    """Pipelines take arrays; the encodings of the other kinds come from the model."""
    sklearn = pytest.importorskip("sklearn.linear_model")
    model = make()
    data.fit(model, epochs=1)
    means = model.posterior_parameters(data.once())["mean"]
    labels = X[:, 0] > 0.5
    assert sklearn.LogisticRegression().fit(means, labels).predict(means).shape == (20,)


@client
def pandas(data, folder):
    pandas = pytest.importorskip("pandas")
    model = make()
    frame = pandas.DataFrame(data.fit(model))
    assert list(frame.columns)[:1] and len(frame) == 2
    table = pandas.DataFrame(X, columns=list("abcdef"))
    np.testing.assert_array_equal(model.elbo(table, seed=0), model.elbo(data.once(), seed=0))


def test_there_are_at_least_45_clients():
    assert len(CLIENTS) >= 45
