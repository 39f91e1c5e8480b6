r"""Priors in unconstrained coordinates, for Hamiltonian Monte Carlo.

HMC follows gradients, which do not show where the support of p(z) ends: a leapfrog step can make a
positive z negative, and leaves a simplex or a sphere at once. So HMC moves u in ℝⁿ, with z = b(u)
for a bijector b from ℝⁿ onto the support:

$$\log p(u) = \log p(z) + \log \left|\det \frac{∂z}{∂u}\right|, \qquad p(x|u) = p(x|z)$$

p(x) is the same in both coordinates. If the support is ℝⁿ, as for a normal prior, u is z.

Reference: Stan Development Team, Stan Reference Manual, "Constraint Transforms".
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import tfp_classes
from keras_aevb._backend import tfb, tfd
from keras_aevb._backend.kinds import is_kind
from keras_aevb.typing import Decode, Distribution, Tensor


class UnconstrainedPrior:
    """p(u), a prior p(z) in the coordinates u.

    Args:
        prior: TFP distribution p(z) of batch shape `[]`, or p(z|y) of batch shape `[B]`.

    Raises:
        ValueError: if p(z) is discrete, or no bijector from ℝⁿ onto its support is known.

    Example:
        >>> UnconstrainedPrior(tfd.Dirichlet([2.0, 2.0, 2.0])).event_shape
        (2,)
    """

    def __init__(self, prior: Distribution) -> None:
        self.bijector = onto_support(prior)
        if self.bijector is None:
            raise ValueError(
                "Hamiltonian Monte Carlo expects a prior that is continuous, with a TFP bijector "
                "from ℝⁿ onto its support (`experimental_default_event_space_bijector`). "
                f"Received: {prior}. A model with an encoder does not need HMC: use AEVB or "
                'WakeSleep, and `log_likelihood(x, method="importance")`'
            )
        self.prior = prior
        self.batch_shape = tuple(prior.batch_shape)
        self.is_identity = isinstance(self.bijector, tfb.Identity)
        self.event_shape = tuple(self.bijector.inverse_event_shape(prior.event_shape))

    def to_z(self, u: Tensor) -> Tensor:
        """b(u)."""
        return self.bijector.forward(u)

    def to_u(self, z: Tensor) -> Tensor:
        """b⁻¹(z), clipped to finite values where z is on or beyond the boundary of the support."""
        u = self.bijector.inverse(z)
        if self.is_identity:
            return u
        # TFP caches z for this u. A copy of u makes TFP compute b(u), with rounding.
        log_density = self.log_prob(ops.copy(u))
        axes = tuple(range(len(log_density.shape), len(u.shape)))
        inside = ops.expand_dims(ops.isfinite(log_density), axes)
        # sigmoid(bound) is still below 1.
        bound = -math.log(np.finfo(keras.backend.standardize_dtype(u.dtype)).eps)
        return ops.where(inside, u, ops.clip(ops.where(ops.isnan(u), 0.0, u), -bound, bound))

    def sample(self, shape: Any, seed: Tensor) -> Tensor:
        return self.to_u(self.prior.sample(shape, seed=seed))

    def log_prob(self, u: Tensor) -> Tensor:
        """log p(u) in nats; -∞ where z is rounded to a boundary at which p(z) is infinite."""
        log_density = self.prior.log_prob(self.to_z(u))
        if self.is_identity:
            return log_density
        rank = len(self.event_shape)
        log_density += self.bijector.forward_log_det_jacobian(u, event_ndims=rank)
        return ops.where(log_density < math.inf, log_density, -math.inf)


def unconstrained(prior: Distribution, decode: Decode) -> tuple[UnconstrainedPrior, Decode]:
    """p(u) and p(x|u), which replace p(z) and p(x|z).

    Args:
        prior: TFP distribution p(z) of batch shape `[]`, or p(z|y) of batch shape `[B]`.
        decode: function from z to the TFP distribution p(x|z).

    Returns:
        An `UnconstrainedPrior`, and a function from u to the TFP distribution p(x|u).

    Raises:
        ValueError: as `UnconstrainedPrior`.
    """
    p_u = UnconstrainedPrior(prior)
    return p_u, lambda u: decode(p_u.to_z(u))


def onto_support(prior: Distribution) -> Any:
    """A bijector from ℝⁿ onto the support of p(z): `Identity` if that is ℝⁿ, `None` if unknown."""
    bijector = _onto_support(prior)
    if bijector is None or not bijector.is_constant_jacobian:
        return bijector
    # The image of ℝⁿ under an affine map has no boundary.
    same_shape = bijector.inverse_event_shape(prior.event_shape) == prior.event_shape
    return tfb.Identity() if same_shape else bijector


def _onto_support(prior: Any) -> Any:
    if _is_unusable(prior) or is_kind(prior, tfd.Blockwise) or _is_discrete(prior):
        return None
    if isinstance(prior, tfd.Dirichlet | tfd.RelaxedOneHotCategorical):
        return tfp_classes.Simplex()
    if is_kind(prior, tfd.Independent):
        return onto_support(prior.distribution)
    if is_kind(prior, tfd.MixtureSameFamily):
        bijector = onto_support(prior.components_distribution)
        rank = len(prior.event_shape)
        # All components must share the map: its parameters have no batch axis.
        is_shared = bijector is not None and not bijector.experimental_batch_shape(rank).rank
        return bijector if is_shared else None
    if is_kind(prior, tfd.Mixture):
        bijectors = [onto_support(component) for component in prior.components]
        return bijectors[0] if all(isinstance(b, tfb.Identity) for b in bijectors) else None
    try:
        bijector = prior.experimental_default_event_space_bijector()
        if bijector is None and is_kind(prior, tfd.TransformedDistribution):
            bijector = prior.bijector(onto_support(prior.distribution))
        tfb.Invert(bijector)  # raises unless it is an invertible bijector
    # TFP 0.25's `SoftmaxCentered` raises a TypeError on JAX.
    except (AttributeError, NotImplementedError, TypeError):
        return None
    return bijector


def _is_unusable(prior: Distribution) -> bool:
    """Whether TFP's bijector fails for p(z).

    On spheres it reaches only points with every zᵢ > 0. It does not reach all Wishart matrices. Its
    Jacobian for LKJ belongs to another map. A joint distribution's u is not one tensor.
    """
    return isinstance(
        prior,
        tfd.JointDistribution
        | tfd.LKJ
        | tfd.PowerSpherical
        | tfd.SphericalUniform
        | tfd.VonMisesFisher
        | tfd.WishartLinearOperator,
    )


def _is_discrete(prior: Distribution) -> bool:
    return not keras.backend.is_float_dtype(keras.backend.standardize_dtype(prior.dtype))
