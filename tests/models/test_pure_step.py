"""On JAX `train_step` is a pure function: many replicas and many steps in one program."""

import keras
import numpy as np
import pytest
from contract import step_state

import keras_aevb as kv

if keras.backend.backend() != "jax":
    pytest.skip("only JAX's train_step is a pure function", allow_module_level=True)

import jax

X = np.random.default_rng(0).random((5, 20, 12), dtype="float32")  # 5 batches of 20
SETTINGS = [(0, 0.01), (1, 0.02), (2, 0.05)]  # seeds and step sizes


def build(algorithm, seed, step_size):
    parts = kv.networks.bernoulli_mlp(12, latent_dim=2, hidden_units=6, n_train=100, seed=seed)
    model = algorithm(**parts, seed=seed)
    model.compile(keras.optimizers.Adagrad(step_size))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [kv.AEVB, kv.WakeSleep])
def test_replicas_in_one_program_equal_models_trained_alone(algorithm):
    models = [build(algorithm, *settings) for settings in SETTINGS]
    stacked = jax.tree.map(lambda *values: jax.numpy.stack(values), *map(step_state, models))

    def epoch(state):
        return jax.lax.scan(lambda s, x: models[0].train_step(s, (x,))[::-1], state, X)

    replicas, logs = jax.jit(jax.vmap(epoch))(stacked)
    for i, model in enumerate(models):
        history = model.fit(np.concatenate(X), batch_size=20, shuffle=False, verbose=0).history
        # float32 sums in another order; five steps
        np.testing.assert_allclose(logs["elbo"][i, -1], history["elbo"][0], rtol=1e-5)
        for value, variable in zip(replicas[0], model.trainable_variables):
            np.testing.assert_allclose(value[i], np.asarray(variable), rtol=1e-4, atol=1e-6)


def test_does_not_change_the_model():
    model = build(kv.AEVB, 0, 0.01)
    before = jax.tree.map(np.array, step_state(model))
    jax.jit(model.train_step)(step_state(model), (X[0],))
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(step_state(model))):
        np.testing.assert_array_equal(new, old)
