"""Two levels of latent variables, against a linear-Gaussian model whose log p(x) is known.

p(z₂) = N(0, I), p(z₁|z₂) = N(A z₂ + a, r² I), p(x|z₁) = N(W z₁ + b, s² I), A and WᵀW diagonal.
"""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

import keras_aevb as kv
from keras_aevb.networks import Elements

A, OFFSET, R = np.array([0.9, -1.4]), np.array([0.2, -0.3]), 0.7
W = np.array([[1.0, 1.0], [1.0, -1.0], [0.5, 0.5], [0.5, -0.5]]) * [0.8, 1.3]
B, S = np.array([0.3, -0.2, 0.1, 0.5]), 0.6
LIKELIHOOD_PRECISION = (W**2).sum(0) / S**2
VARIANCE_1 = A**2 + R**2  # of z₁
ORDERS = pytest.mark.parametrize("top_down", [False, True])


def log_marginal(x):
    return stats.multivariate_normal(
        W @ OFFSET + B, W @ np.diag(VARIANCE_1) @ W.T + S**2 * np.eye(4)
    ).logpdf(x)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(2)
    z1 = A * rng.normal(size=(7, 2)) + OFFSET + R * rng.normal(size=(7, 2))
    return (z1 @ W.T + B + S * rng.normal(size=(7, 4))).astype("float32")


def linear():
    """A normal distribution whose heads are affine maps."""
    dense = keras.layers.Dense
    return kv.DiagonalNormal(2, mean=dense(2), log_variance=dense(2))


def set_linear(level, kernel, bias, variance):
    level.heads["mean"].set_weights([kernel, bias])
    level.heads["log_variance"].set_weights([np.zeros_like(kernel), np.log(variance)])


def exact_model(top_down, bound=None, shift=0.0, factor=1.0):
    """q(z|x) is the posterior, its mean of z₁ shifted and its variances multiplied."""
    model = kv.AEVB(
        encoder=keras.Sequential([keras.layers.Identity()]),
        decoder=Elements(2),
        posterior=kv.HierarchicalPosterior([linear(), linear()], top_down=top_down),
        prior=kv.HierarchicalPrior([linear(), kv.StandardNormal(2)]),
        likelihood=kv.Normal(4, mean=keras.layers.Dense(4), scale=S),
        bound=bound or kv.ELBO(kl="sampled"),
        seed=0,
    )
    model.likelihood.heads["mean"].set_weights([W.T, B])
    set_linear(model.prior.levels[0], np.diag(A), OFFSET, np.full(2, R**2))
    q1, q2 = model.posterior.levels
    if top_down:  # q(z₂|x) q(z₁|z₂, x) depends on x only through W⁺ x, which is z₁ with noise
        noise = 1 / LIKELIHOOD_PRECISION
        inverse = W / (W**2).sum(0)  # [4, 2]
        gain = A / (VARIANCE_1 + noise)
        set_linear(q2, inverse * gain, -gain * (B @ inverse + OFFSET), factor * (1 - gain * A))
        weight = R**2 / (R**2 + noise)
        kernel = np.concatenate([np.diag((1 - weight) * A), inverse * weight])
        bias = (1 - weight) * OFFSET - weight * (B @ inverse)
        set_linear(q1, kernel, bias + shift, factor * weight * noise)
    else:
        variance = 1 / (1 / VARIANCE_1 + LIKELIHOOD_PRECISION)
        kernel = W * variance / S**2
        set_linear(
            q1, kernel, variance * OFFSET / VARIANCE_1 - B @ kernel + shift, factor * variance
        )
        gain = A / VARIANCE_1
        set_linear(q2, np.diag(gain), -gain * OFFSET, factor * (1 - gain * A))
    return model


@ORDERS
def test_the_bound_of_the_exact_posterior_is_log_p_x(top_down, data):
    """Holds for every sample: all importance weights are equal."""
    model = exact_model(top_down)
    exact = log_marginal(data)
    np.testing.assert_allclose(model.elbo(data, num_samples=1, seed=0), exact, rtol=2e-5)
    np.testing.assert_allclose(model.log_likelihood(data, 10, seed=0), exact, rtol=2e-5)


@ORDERS
def test_importance_sampling(top_down, data):
    """7 examples at 4 standard errors fail with probability 1 in 2000."""
    model = exact_model(top_down, shift=0.2, factor=1.5)
    estimate, error = model.log_likelihood(data, 5000, seed=0, return_standard_error=True)
    exact = log_marginal(data)
    assert (np.abs(estimate - exact) < 4 * error + 1e-3).all()
    assert (model.elbo(data, num_samples=500, seed=0) < exact).all()


def test_annealed_importance_sampling(data):
    """HMC moves both levels."""
    model = exact_model(False)
    estimate, error = model.log_likelihood(
        data, 100, method="annealed", seed=0, return_standard_error=True
    )
    assert (np.abs(estimate - log_marginal(data)) < 4 * error + 0.01).all()


@ORDERS
@pytest.mark.parametrize("gradient", ["reparameterized", "stl"])
def test_divergences_of_levels(top_down, gradient, data, noise):
    """The terms sum to the divergence of z; with a closed form, to its mean."""
    settings = {"num_samples": 2000, "gradient": gradient}
    model = exact_model(top_down, kv.HierarchicalELBO(2, **settings), 0.2, 1.5)
    expected = "analytic" if top_down and gradient != "stl" else "sampled"
    assert model.bound.kl_estimator == expected
    q, prior = model.encode(data), model.prior.distribution()
    sampled = kv.ELBO(kl="sampled", **settings)
    ours, plain = (b(data, q, prior, model.decode, noise(0)) for b in (model.bound, sampled))
    ours, plain = ({n: np.asarray(v) for n, v in terms.items()} for terms in (ours, plain))
    np.testing.assert_allclose(ours["kl_1"] + ours["kl_2"], ours["kl"], rtol=1e-5)
    np.testing.assert_allclose(ours["reconstruction"], plain["reconstruction"], rtol=1e-6)
    if expected == "sampled":
        np.testing.assert_allclose(ours["kl"], plain["kl"], rtol=1e-4)
    z = np.asarray(q.sample(2000, seed=noise(0)))
    error = np.std(q.log_prob(z) - prior.log_prob(z), axis=0) / 2000**0.5
    assert (np.abs(ours["kl"] - plain["kl"]) < 4 * error + 1e-4).all()
    if top_down:
        assert ours["kl_1"].min() > 0 and ours["kl_2"].min() > 0


@ORDERS
def test_sticking_the_landing_has_no_variance(top_down, data, gradients):
    """At the exact posterior the gradient in q's weights is zero, without variance."""
    model = exact_model(top_down, kv.HierarchicalELBO(2, gradient="stl"))
    found = gradients(lambda: ops.sum(model.objective(data, True)[0]), model.phi)
    assert max(np.abs(g).max() for g in found) < 1e-3
    plain = exact_model(top_down, kv.HierarchicalELBO(2, kl="sampled"))
    found = gradients(lambda: ops.sum(plain.objective(data, True)[0]), plain.phi)
    assert max(np.abs(g).max() for g in found) > 0.1


def test_a_gradient_against_finite_differences(data, gradients, noise):
    """Gradients through both levels, at fixed noise."""
    model = exact_model(False, shift=0.2)
    bias = model.posterior.levels[0].heads["mean"].bias

    def elbo():
        q, prior = model.encode(data), model.prior.distribution()
        return ops.mean(model.bound(data, q, prior, model.decode, noise(0))["elbo"])

    (actual,) = gradients(elbo, [bias])
    start, step = np.asarray(bias), 1e-2
    for i in range(2):
        values = []
        for sign in (-1, 1):
            bias.assign(start + sign * step * np.eye(2)[i])
            values.append(float(elbo()))
        bias.assign(start)
        # The bound is quadratic in this bias, so only float32's rounding remains.
        assert actual[i] == pytest.approx((values[1] - values[0]) / (2 * step), 1e-2, 1e-2)


def levels(*sizes, layers=(5,)):
    def network(size):
        return keras.Sequential([*(keras.layers.Dense(n, "tanh") for n in layers), size])

    dense = keras.layers.Dense
    return [kv.DiagonalNormal(n, network(dense(n)), network(dense(n))) for n in sizes]


def make(make_model, bound, top_down=True, algorithm=kv.AEVB, sizes=(3, 2), **parts):
    keras.utils.set_random_seed(1)
    return make_model(
        algorithm,
        posterior=kv.HierarchicalPosterior(levels(*sizes), top_down=top_down),
        prior=kv.HierarchicalPrior([*levels(*sizes[:-1]), kv.StandardNormal(sizes[-1])]),
        bound=bound,
        **parts,
    )


BOUNDS = {
    "levels": lambda: kv.HierarchicalELBO(3, free_bits=0.01),
    "importance-weighted": lambda: kv.ImportanceWeightedBound(3, "dreg"),
    "auto": lambda: kv.ELBO(),
}


@ORDERS
def test_the_density_at_values_that_broadcast(top_down, make_model, x, noise):
    """Each z under the q(z|x) of each x, as in `VampPrior`."""
    level = kv.DiagonalNormal(1, log_variance=keras.layers.Dense(1))
    posterior = kv.HierarchicalPosterior([level, kv.DiagonalNormal(1)], top_down)
    model = make_model(
        posterior=posterior, prior=kv.VampPrior(3), bound=kv.ELBO(kl="sampled"), seed=0
    )
    z = np.random.default_rng(0).normal(size=(5, 1, 2)).astype("float32")
    together = np.asarray(model.encode(x).log_prob(ops.convert_to_tensor(z)))  # [5, 13]
    alone = [[float(model.encode(row[None]).log_prob(v)[0]) for row in x] for v in z[:, 0]]
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5)
    components = [
        float(model.encode(u[None]).log_prob(z[0])[0])
        for u in ops.convert_to_numpy(model.prior.pseudo_inputs)
    ]
    expected = np.logaddexp.reduce(components) - np.log(3)
    np.testing.assert_allclose(model.prior_distribution().log_prob(z[0]), [expected], rtol=1e-5)
    assert np.isfinite(model.elbo(x)).all() and np.isfinite(model.log_likelihood(x, 3)).all()


@pytest.mark.slow
@pytest.mark.parametrize("bound", BOUNDS)
def test_training_and_saving(bound, make_model, x, tmp_path):
    sizes = (4, 3, 2) if bound == "levels" else (3, 2)
    model = make(make_model, BOUNDS[bound](), bound != "auto", sizes=sizes)
    x = np.float32(x > 0.2)
    model.compile(keras.optimizers.Adam(0.03), jit_compile=keras.backend.backend() == "jax")
    before = model.elbo(x, num_samples=10, seed=0).mean()
    history = model.fit(x, batch_size=len(x), epochs=10, verbose=0).history
    after = model.elbo(x, num_samples=10, seed=0)
    assert after.mean() > before
    if bound == "levels":
        total = sum(history[f"kl_{i}"][-1] for i in (1, 2, 3))
        assert history["kl"][-1] == pytest.approx(total, 1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.elbo(x, num_samples=10, seed=0), after)
    if bound == "auto":
        assert model.sample(3).shape == model.reconstruct(x[:3]).shape == (3, 6)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [kv.WakeSleep, kv.MonteCarloEM])
def test_other_algorithms(algorithm, make_model, x):
    if algorithm is kv.MonteCarloEM:
        prior = kv.HierarchicalPrior([*levels(3), kv.StandardNormal(2)])
        decoder = keras.Sequential([keras.layers.Dense(4, "tanh")])
        model = kv.MonteCarloEM(decoder, kv.Bernoulli(6), prior, seed=0)
    else:
        model = make(make_model, kv.ELBO(kl="sampled"), False, algorithm)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=keras.backend.backend() == "jax")
    losses = model.fit(x, batch_size=13, epochs=1, verbose=0).history
    assert all(np.isfinite(values).all() for values in losses.values())


def test_a_prior_of_the_condition(x):
    """p(z|y) is a top-down hierarchy."""
    joined = kv.networks.Joined
    keras.utils.set_random_seed(1)
    model = kv.AEVB(
        encoder=joined(keras.Sequential([keras.layers.Dense(5, "tanh")])),
        decoder=joined(keras.Sequential([keras.layers.Dense(5, "tanh")])),
        posterior=kv.HierarchicalPosterior(levels(3, 2), top_down=True),
        prior=kv.HierarchicalPosterior(levels(3, 2), top_down=True),
        likelihood=kv.Bernoulli(6),
        bound=kv.HierarchicalELBO(2),
        condition=kv.Condition(num_classes=3),
        seed=0,
    )
    model.compile("adam")
    y = np.arange(13) % 3
    history = model.fit(x, y, batch_size=13, epochs=1, verbose=0).history
    assert np.isfinite(history["kl_2"]).all()
    assert model.sample(3, condition=[0, 1, 2]).shape == (3, 6)


def test_extreme_features(make_model, x):
    """Features from -10⁴ to 10⁴."""
    encoder = keras.layers.Rescaling(2e4, offset=-1e4)
    model = make(make_model, kv.HierarchicalELBO(2), encoder=encoder)
    model.compile("adam", jit_compile=keras.backend.backend() == "jax")
    logs = model.train_on_batch(x, return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


def test_errors(make_model):
    normal, prior = kv.DiagonalNormal(2), kv.StandardNormal(2)
    for part in (kv.HierarchicalPrior, kv.HierarchicalPosterior):
        for wrong in (None, [], [prior]):
            with pytest.raises(ValueError, match=r"list of two levels or more. Received"):
                part(wrong)
        with pytest.raises(ValueError, match=r"level 1 to be a ConditionalDistribution.*Standard"):
            part([prior, prior])
        with pytest.raises(ValueError, match=r"over vectors.*\(2, 3\)"):
            part([kv.DiagonalNormal((2, 3)), prior])
    with pytest.raises(ValueError, match=r"level 2 to be a Prior.*DiagonalNormal"):
        kv.HierarchicalPrior([normal, normal])
    with pytest.raises(ValueError, match="`top_down`"):
        kv.HierarchicalPosterior([normal, normal], top_down=1)
    with pytest.raises(ValueError, match=r"`num_levels`.*at least 2. Received: 1"):
        kv.HierarchicalELBO(1)
    with pytest.raises(ValueError, match="posterior with 2 levels"):
        make_model(bound=kv.HierarchicalELBO(2))
    with pytest.raises(ValueError, match=r"same sizes. Received: \(1, 2\) and \(2, 1\)"):
        make_model(
            posterior=kv.HierarchicalPosterior(levels(1, 2)),
            prior=kv.HierarchicalPrior([*levels(2), kv.StandardNormal(1)]),
            bound=kv.HierarchicalELBO(2),
        )
    with pytest.raises(ValueError, match="no closed form"):
        make(make_model, kv.HierarchicalELBO(2, kl="analytic"), top_down=False)
    with pytest.raises(ValueError, match="reparameterisable posterior"):
        kinds = kv.Conditional("OneHotCategorical", 2)
        make_model(
            posterior=kv.HierarchicalPosterior([kinds, kv.DiagonalNormal(2)]),
            prior=kv.HierarchicalPrior([kv.Conditional("OneHotCategorical", 2), prior]),
        )
