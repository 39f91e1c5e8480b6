"""Priors in unconstrained coordinates: densities by hand, starting points, and errors."""

import numpy as np
import pytest
import supports
from keras import ops
from scipy import stats

import keras_aevb as kv
from keras_aevb.tfp_classes import Simplex
from keras_aevb.unconstrained import UnconstrainedPrior

tfd, tfb = supports.tfd, supports.tfb
U = np.random.default_rng(0).normal(size=(50, 2)).astype("float32")


def uniform_mixture(low, high):
    parts = tfd.Independent(tfd.Uniform(low, high), 1)
    return tfd.MixtureSameFamily(tfd.Categorical([0.0, 0.0]), parts)


@pytest.mark.parametrize("family", [f for f in supports.PRIORS if f != "Dirichlet"])
def test_density_by_a_difference_quotient(family):
    """p(u) is the derivative of P(z(u)) for each coordinate."""
    make, scipys = supports.PRIORS[family]
    prior = UnconstrainedPrior(make())
    assert prior.is_identity == (family == "Normal")
    assert prior.event_shape == (2,)
    lower, upper = (np.float64(prior.to_z(ops.array(U + d))) for d in (-0.05, 0.05))
    expected = np.log(abs(scipys.cdf(upper) - scipys.cdf(lower)) / 0.1).sum(axis=1)
    # The curvature adds a relative error of about h²/6 = 4e-4 to the quotient, and float32
    # differences of distribution functions add 1e-5.
    np.testing.assert_allclose(prior.log_prob(ops.array(U)), expected, atol=0.02)
    # float32, in which 1 - z loses digits
    np.testing.assert_allclose(prior.to_u(prior.to_z(ops.array(U))), U, rtol=1e-3, atol=1e-4)


def test_simplex_by_hand():
    """The Jacobian of the first two coordinates by difference quotients, in float64."""

    def softmax(u):
        e = np.exp(np.append(u, 0))
        return e / e.sum()

    bijector = Simplex()
    for u in U[:5].astype("float64"):
        z = bijector.forward(ops.array(u, "float32"))
        np.testing.assert_allclose(z, softmax(u), rtol=1e-5)  # float32
        h = 1e-5 * np.eye(2)
        jacobian = [(softmax(u + d)[:2] - softmax(u - d)[:2]) / 2e-5 for d in h]
        log_det = bijector.forward_log_det_jacobian(ops.array(u, "float32"), event_ndims=1)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-5)
    assert tuple(bijector.inverse_event_shape((4, 3))) == (4, 2)
    assert tuple(bijector.forward_event_shape((4, 2))) == (4, 3)


def test_dirichlet_density():
    prior = UnconstrainedPrior(tfd.Dirichlet([2.0, 0.7, 1.0]))
    assert prior.event_shape == (2,)
    z = np.float64(prior.to_z(ops.array(U)))
    z /= z.sum(axis=1, keepdims=True)
    expected = stats.dirichlet([2.0, 0.7, 1.0]).logpdf(z.T) + np.log(z).sum(axis=1)
    np.testing.assert_allclose(prior.log_prob(ops.array(U)), expected, rtol=1e-4)  # float32


@pytest.mark.parametrize(
    "make",
    [
        lambda: tfd.Independent(tfd.Gamma([0.02, 0.02], 1.0), 1),
        lambda: tfd.Independent(tfd.Beta([0.02, 1.0], [0.02, 0.02]), 1),
        lambda: tfd.Dirichlet([0.02, 0.02, 0.02]),
    ],
    ids=["Gamma", "Beta", "Dirichlet"],
)
def test_starts_on_an_edge_are_moved_inside(make, noise):
    """float32 rounds many of these z to an edge, where p(z) is infinite."""
    z = make().sample(2000, seed=noise(0))
    prior = UnconstrainedPrior(make())
    assert not np.isfinite(prior.log_prob(ops.copy(prior.bijector.inverse(z)))).all()
    u = prior.to_u(z)
    assert np.isfinite(u).all()
    assert np.isfinite(prior.log_prob(ops.copy(u))).all()


def test_from_outside_the_support():
    """An update may have moved the support."""
    prior = UnconstrainedPrior(tfd.Independent(tfd.Uniform([0.0, 0.0], [1.0, 1.0]), 1))
    z = np.asarray(prior.to_z(prior.to_u(ops.array([[0.3, 0.7], [-1.0, 0.5], [2.0, 1.0]]))))
    np.testing.assert_allclose(z[0], [0.3, 0.7], rtol=1e-6)  # float32
    assert ((z > 0) & (z < 1)).all()


REAL = {
    "standard normal": lambda: kv.StandardNormal((2, 3)).distribution(),
    "full covariance": lambda: tfd.MultivariateNormalTriL([0.0, 1.0], [[1.0, 0.0], [0.5, 2.0]]),
    "affine": lambda: tfd.MultivariateNormalDiag([0.0, 1.0], [1.0, 2.0]),
    "shifted": lambda: tfd.TransformedDistribution(supports.PRIORS["Normal"][0](), tfb.Shift(3.0)),
    "mixture": lambda: tfd.MixtureSameFamily(
        tfd.Categorical([0.0, 0.0]), tfd.Independent(tfd.Normal([[0.0], [3.0]], 1.0), 1)
    ),
    "mixture of two": lambda: tfd.Mixture(
        tfd.Categorical([0.0, 0.0]), [tfd.Normal(0.0, 1.0), tfd.Laplace(0.0, 1.0)]
    ),
}


@pytest.mark.parametrize("make", REAL.values(), ids=REAL)
def test_a_prior_on_the_whole_space_does_not_change(make):
    prior = UnconstrainedPrior(make())
    assert prior.is_identity
    assert prior.event_shape == tuple(make().event_shape)
    z = ops.array(np.random.default_rng(0).normal(size=(5, *prior.event_shape)), "float32")
    assert prior.to_z(z) is z and prior.to_u(z) is z
    np.testing.assert_array_equal(prior.log_prob(z), make().log_prob(z))


EDGED = {
    "mixture": lambda: tfd.MixtureSameFamily(
        tfd.Categorical([0.0, 0.0]), tfd.Independent(tfd.Gamma([[1.0, 2.0], [3.0, 4.0]], 1.0), 1)
    ),
    "flow over a mixture": lambda: tfd.TransformedDistribution(EDGED["mixture"](), tfb.Exp()),
    "simplices": lambda: tfd.Independent(tfd.Dirichlet([[1.0, 2.0, 3.0]] * 2), 1),
}


@pytest.mark.parametrize("name", ["mixture", "flow over a mixture", "simplices"])
def test_composed_distributions(name, noise):
    z = EDGED[name]().sample(50, seed=noise(0))
    prior = UnconstrainedPrior(EDGED[name]())
    u = prior.to_u(z)
    assert not prior.is_identity and tuple(u.shape[1:]) == prior.event_shape
    np.testing.assert_allclose(prior.to_z(u), z, rtol=1e-3, atol=1e-5)  # float32
    assert np.isfinite(prior.log_prob(u)).all()


class Own(tfd.Normal):
    """A distribution with an unknown support."""

    def _default_event_space_bijector(self):
        raise NotImplementedError


REFUSED = {
    **supports.REFUSED,
    "integers": lambda: tfd.Bernoulli([0.0]),
    "counts": lambda: tfd.Poisson(1.0),
    "sphere": lambda: tfd.SphericalUniform(3),
    "correlations": lambda: tfd.LKJ(3, 1.0),
    "covariances": lambda: tfd.WishartTriL(4.0, np.eye(3, dtype="float32")),
    "point": lambda: tfd.VectorDeterministic([0.0, 1.0]),
    "joint": lambda: tfd.JointDistributionSequential([tfd.Normal(0.0, 1.0), tfd.Gamma(1.0, 1.0)]),
    "blocks": lambda: tfd.Blockwise([tfd.Normal(0.0, 1.0), tfd.Gamma(1.0, 1.0)]),
    "folded": lambda: tfd.TransformedDistribution(tfd.Normal(0.0, 1.0), tfb.AbsoluteValue()),
    "own": lambda: Own(0.0, 1.0),
    "two intervals": lambda: uniform_mixture([[0.0], [5.0]], [[1.0], [6.0]]),
    "discrete mixture": lambda: tfd.MixtureSameFamily(
        tfd.Categorical([0.0, 0.0]), tfd.Poisson([1.0, 5.0])
    ),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_refusals(make):
    with pytest.raises(ValueError, match=r'from ℝⁿ onto its support.*method="importance"') as error:
        UnconstrainedPrior(make())
    assert str(make()) in str(error.value)
