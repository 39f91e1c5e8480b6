"""The paper's MLPs: sizes, initial weights and weight prior."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

import keras_aevb as kv
from keras_aevb.networks import bernoulli_mlp, gaussian_mlp

BOTH = pytest.mark.parametrize("mlp", [bernoulli_mlp, gaussian_mlp])


def kernels_and_biases(parts):
    variables = kv.AEVB(**parts).trainable_variables
    kernels = [v.numpy() for v in variables if len(v.shape) == 2]
    return kernels, [v.numpy() for v in variables if len(v.shape) == 1]


def affine_size(inputs, outputs):
    return inputs * outputs + outputs


@pytest.mark.parametrize("latent_dim", [3, 200])
def test_mnist_counts(latent_dim):
    """W₁ … W₅ and b₁ … b₅ of App. C."""
    model = kv.AEVB(**bernoulli_mlp(784, latent_dim, 500))
    encoder = affine_size(784, 500) + 2 * affine_size(500, latent_dim)
    decoder = affine_size(latent_dim, 500) + affine_size(500, 784)
    assert model.count_params() == encoder + decoder
    assert len(model.trainable_variables) == 10


@pytest.mark.parametrize("latent_dim", [2, 20])
def test_frey_face_counts(latent_dim):
    model = kv.AEVB(**gaussian_mlp(560, latent_dim, 200))
    encoder = affine_size(560, 200) + 2 * affine_size(200, latent_dim)
    decoder = affine_size(latent_dim, 200) + 2 * affine_size(200, 560)
    assert model.count_params() == encoder + decoder
    assert len(model.trainable_variables) == 12


def test_defaults_are_the_papers():
    assert bernoulli_mlp(784, 2)["decoder"].layers[0].units == 500
    assert gaussian_mlp(560, 2)["decoder"].layers[0].units == 200


@BOTH
def test_architecture(mlp):
    parts = mlp(6, 2, 5)
    assert set(parts) == {"encoder", "decoder", "posterior", "likelihood", "prior"}
    assert isinstance(parts["prior"], kv.StandardNormal)
    assert parts["prior"].event_shape == (2,)
    for part in ("encoder", "decoder"):
        (layer,) = parts[part].layers
        assert layer.activation is keras.activations.tanh
    heads = [*parts["posterior"].heads.values(), *parts["likelihood"].heads.values()]
    assert all(head.activation is keras.activations.linear for head in heads)


@BOTH
@pytest.mark.parametrize("layers", [2, 3])
def test_the_decoder_may_have_more_hidden_layers(mlp, layers):
    """h₁ = tanh(W₁ z + b₁), h₂ = tanh(W₂ h₁ + b₂), …, each of the same size."""
    parts = mlp(6, 2, 5, seed=0, stddev=0.5, decoder_layers=layers)
    model, one = kv.AEVB(**parts), kv.AEVB(**mlp(6, 2, 5, seed=0, stddev=0.5))
    assert model.count_params() - one.count_params() == (layers - 1) * affine_size(5, 5)
    assert len(model.encoder.layers) == 1
    z = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    h = z
    for layer in model.decoder.layers:
        kernel, bias = (v.numpy() for v in layer.trainable_variables)
        h = np.tanh(h @ kernel + bias)
    # rtol: float32 sums of five terms, thrice; atol: they may cancel
    np.testing.assert_allclose(ops.convert_to_numpy(model.decoder(z)), h, rtol=1e-5, atol=1e-6)
    # The new layers do not change the initial encoder, q and first hidden layer.
    same = one.encoder.variables + one.posterior.variables + one.decoder.variables
    others = model.encoder.variables + model.posterior.variables + model.decoder.variables
    assert len(same) == 8
    for actual, desired in zip(others, same):
        np.testing.assert_array_equal(actual.numpy(), desired.numpy())


def test_mean_activation_applies_only_to_the_mean():
    heads = gaussian_mlp(6, 2, 5, mean_activation="sigmoid")["likelihood"].heads
    assert heads["mean"].activation is keras.activations.sigmoid
    assert heads["log_variance"].activation is keras.activations.linear


@BOTH
@pytest.mark.parametrize("stddev", [0.01, 0.1])
def test_kernels_start_from_a_normal_distribution(mlp, stddev):
    kernels, _ = kernels_and_biases(mlp(60, 20, 40, stddev=stddev, seed=0))
    for kernel in kernels:
        n = kernel.size
        # Five standard errors of a mean (σ/√n) and of a standard deviation (σ/√2n), up to
        # 6 kernels in four cases: odds 3e-5.
        assert abs(kernel.mean()) < 5 * stddev / n**0.5
        assert abs(kernel.std() - stddev) < 5 * stddev / (2 * n) ** 0.5


@BOTH
@pytest.mark.parametrize("settings, stddev", [({}, 0.01), ({"bias_stddev": 0.3}, 0.3)])
def test_biases_start_from_a_normal_distribution(mlp, settings, stddev):
    _, biases = kernels_and_biases(mlp(60, 20, 400, seed=0, **settings))
    start = np.concatenate(biases)
    n = start.size
    # Five standard errors, of 900 numbers or more, in both tests of four cases: odds 5e-6.
    assert abs(start.mean()) < 5 * stddev / n**0.5
    assert abs(start.std() - stddev) < 5 * stddev / (2 * n) ** 0.5
    assert len(np.unique(start)) > 0.99 * n


@BOTH
def test_biases_may_start_from_zero(mlp):
    kernels, biases = kernels_and_biases(mlp(60, 20, 400, seed=0, bias_stddev=0.0))
    assert all(np.all(bias == 0) for bias in biases)
    for actual, other in zip(kernels, kernels_and_biases(mlp(60, 20, 400, seed=0))[0]):
        np.testing.assert_array_equal(actual, other)


@BOTH
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_no_two_kernels_are_equal(mlp, seed):
    kernels, _ = kernels_and_biases(mlp(6, 6, 6, seed=seed))
    assert len(kernels) in (5, 6)
    for a, b in itertools.combinations(kernels, 2):
        assert a.shape == b.shape
        assert np.mean(a == b) < 0.1


@BOTH
def test_seeds(mlp):
    def kernel(seed):
        return np.concatenate([k.ravel() for k in kernels_and_biases(mlp(6, 2, 5, seed=seed))[0]])

    np.testing.assert_array_equal(kernel(3), kernel(3))
    assert np.mean(kernel(3) == kernel(4)) < 0.1
    assert np.mean(kernel(None) == kernel(None)) < 0.1
    keras.utils.set_random_seed(1)
    first = kernel(None)
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(kernel(None), first)


@BOTH
def test_the_weight_prior_is_a_penalty_on_kernels(mlp):
    """-log N(W; 0, I) / N without its constant: |W|²/2N."""
    model = kv.AEVB(**mlp(6, 2, 5, n_train=50, stddev=1.0, seed=0))
    squares = 0.0
    for variable in model.trainable_variables:
        variable.assign(variable + 0.5)  # so that biases would count if they were penalised
        squares += np.sum(np.float64(variable.numpy()) ** 2) * (len(variable.shape) == 2)
    # rtol: float32
    np.testing.assert_allclose(float(sum(model.losses)), 0.5 * squares / 50, rtol=1e-5)


@BOTH
def test_the_weight_prior_is_on_every_hidden_layer(mlp):
    kernels, _ = kernels_and_biases(mlp(6, 2, 5, n_train=50, seed=0, decoder_layers=2))
    model = kv.WakeSleep(**mlp(6, 2, 5, n_train=50, seed=0, decoder_layers=2))
    assert len(model.losses) == len(kernels)
    expected = sum(np.sum(np.square(kernel, dtype="float64")) for kernel in kernels) / (2 * 50)
    # rtol: float32 sums of up to 30 squares in each of the losses
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-6)


@BOTH
def test_without_n_train_there_is_no_penalty(mlp):
    assert kv.AEVB(**mlp(6, 2, 5)).losses == []


@BOTH
@pytest.mark.parametrize("n_train", [0, -5])
def test_n_train_must_be_positive(mlp, n_train):
    with pytest.raises(ValueError, match="`n_train` to be a positive") as error:
        mlp(6, 2, 5, n_train=n_train)
    assert str(n_train) in str(error.value)


@BOTH
def test_the_initial_decoder_does_not_depend_on_the_recognition_model(mlp):
    parts = mlp(6, 2, 5, n_train=50, seed=3, recognition=False)
    assert set(parts) == {"decoder", "likelihood", "prior"}
    model, whole = kv.MonteCarloEM(**parts), kv.AEVB(**mlp(6, 2, 5, n_train=50, seed=3))
    expected = whole.decoder.trainable_variables + whole.likelihood.trainable_variables
    assert len(model.trainable_variables) == len(expected)
    for actual, desired in zip(model.trainable_variables, expected):
        np.testing.assert_array_equal(actual.numpy(), desired.numpy())
    assert len(model.losses) == len(expected) / 2  # the weight prior of the kernels


@BOTH
def test_the_initial_seeds_do_not_change(mlp):
    """The runs in results/ used them."""
    parts = mlp(6, 2, 5, seed=0)
    layers = [*parts["encoder"].layers, *parts["posterior"].heads.values()]
    layers += [*parts["decoder"].layers, *parts["likelihood"].heads.values()]
    expected = [3757552657, 673228719, 3241444873, 3685993406, 1216546553, 2078861726]
    assert [layer.kernel_initializer.seed for layer in layers] == expected[: len(layers)]
    expected = [2018376492, 1136656250, 3830689794, 3082302701, 3895736788, 3295290883]
    assert [layer.bias_initializer.seed for layer in layers] == expected[: len(layers)]


@BOTH
def test_the_log_variance_gain(mlp):
    """log σ² = c W h + b, with the same initial W as without a gain; the mean has no gain."""
    plain, damped = (kv.AEVB(**mlp(6, 2, 5, seed=0, log_variance_gain=c)) for c in (1.0, 0.25))
    kernel, bias = damped.posterior.heads["log_variance"].trainable_variables
    bias.assign([3.0, -3.0])
    for actual, desired in zip(damped.trainable_variables, plain.trainable_variables):
        if actual is not bias:
            np.testing.assert_array_equal(actual.numpy(), desired.numpy())
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    mean, log_variance = damped.posterior(features)
    expected = 0.25 * features @ kernel.numpy() + bias.numpy()
    # rtol: float32 sums of five terms; atol: they may cancel
    np.testing.assert_allclose(ops.convert_to_numpy(log_variance), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(mean), ops.convert_to_numpy(plain.posterior(features)[0])
    )


@BOTH
def test_the_gain_does_not_affect_the_weight_prior(mlp):
    """The prior is on W, not on c W."""
    losses = [
        float(sum(kv.AEVB(**mlp(6, 2, 5, n_train=50, seed=0, log_variance_gain=c)).losses))
        for c in (1.0, 0.25)
    ]
    assert losses[0] == losses[1] > 0


@BOTH
def test_a_model_with_a_gain_is_saved_whole(mlp, tmp_path):
    x = np.random.default_rng(0).random((4, 6)).astype("float32")
    model = kv.WakeSleep(**mlp(6, 2, 5, seed=0, log_variance_gain=0.1), seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, seed=1), model.elbo(x, seed=1))
