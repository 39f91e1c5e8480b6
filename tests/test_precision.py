"""Precision of matrix products: the device's default in training, full float32 in evaluation."""

import keras
import numpy as np
import pytest

from keras_aevb import _backend

if keras.backend.backend() != "jax":
    pytest.skip("TensorFlow has a single setting for the process", allow_module_level=True)

import jax


def precisions(program, *args):
    """The precisions of all matrix products in a program."""
    found = []

    def collect(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                found.append(equation.params["precision"])
            for parameter in equation.params.values():
                for inner in parameter if isinstance(parameter, tuple | list) else [parameter]:
                    inner = getattr(inner, "jaxpr", inner)
                    if hasattr(inner, "eqns"):
                        collect(inner)

    collect(jax.make_jaxpr(program)(*args).jaxpr)
    return found


HIGHEST = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


def test_training_leaves_the_precision_to_the_device(make_model, x):
    model = make_model()
    model.compile("sgd")
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([v.value for v in group] for group in groups)
    trained = precisions(model.train_step, state, (x,))
    assert len(trained) > 10 and set(trained) == {None}
    tested = precisions(model.test_step, (state[0], state[1], state[3]), (x,))
    # encoder, decoder, likelihood, and two heads of q(z|x)
    assert len(tested) == 5 and set(tested) == {HIGHEST}


def test_programs_for_evaluation_have_full_precision(make_model, x):
    model = make_model()
    program = _backend.compiled(model, lambda x: model.decode(model.encode(x).mean()).mean())
    assert set(precisions(program, x)) == {HIGHEST}


def test_evaluation_does_not_change_the_users_own_setting(make_model, x):
    model = make_model()
    with jax.default_matmul_precision("bfloat16"):
        program = _backend.compiled(model, lambda x: model.encode(x).mean())
        assert set(precisions(program, x)) == {HIGHEST}
        assert jax.config.jax_default_matmul_precision == "bfloat16"
    assert np.isfinite(model.elbo(x)).all()
