"""The wake-sleep algorithm."""

from typing import Any

import keras
from keras import ops
from keras.tree import map_structure

from keras_aevb.distributions import FlowPosterior, HierarchicalPosterior, VampPrior
from keras_aevb.models.substitution import substituted
from keras_aevb.models.variational_model import VariationalModel
from keras_aevb.typing import Distribution, Objective, Tensor, Terms


@keras.saving.register_keras_serializable(package="keras_aevb")
class WakeSleep(VariationalModel):
    r"""Trains p(x, z) on z ~ q(z|x), and q(z|x) on pairs (x, z) ~ p(x, z).

    $$\text{wake:} \quad \max_θ \; \log p_θ(x, z), \qquad z \sim q_φ(z|x)$$
    $$\text{sleep:} \quad \max_φ \; \log q_φ(z|x), \qquad z \sim p(z), \; x \sim p_θ(x|z)$$

    Neither phase has a gradient in the other's parameters, so one optimizer step performs both.
    `sleep` in the logs is the mean of log q(z|x) over the sleep phase's pairs. The sleep phase does
    not maximise the bound that the logs report. Both phases train variables that p(x, z) shares
    with q(z|x), such as the encoder in a `VampPrior`.

    Args:
        encoder: Keras model from x to features.
        decoder: Keras model from z to features.
        posterior: `ConditionalDistribution` from the encoder's features to q(z|x); it need not be
            reparameterisable.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z). Default: a standard normal of the posterior's event shape.
        bound: estimator of the lower bound whose gradient trains θ. Default: `ELBO()`.
        seed: integer that fixes the noise of training and evaluation. Default: a random one.

    Raises:
        ValueError: if the event shapes of posterior and prior differ, `bound=ELBO(kl="analytic")`
            has no closed form for them, a part does not accept the output of the previous one, or
            a `VampPrior` shares a posterior's flow steps or levels.

    Reference: Hinton, Dayan, Frey & Neal (1995); Kingma & Welling (2013), sec. 4 and 5.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.WakeSleep(**kv.networks.bernoulli_mlp(64, latent_dim=2, hidden_units=32))
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).random((100, 64))
        >>> sorted(model.fit(x, batch_size=20, verbose=0).history)
        ['elbo', 'kl', 'loss', 'reconstruction', 'sleep']
    """

    extra_terms = ("sleep",)

    def check_parts(self, q: Distribution, prior: Distribution) -> None:
        with_variables = FlowPosterior, HierarchicalPosterior
        if isinstance(self.prior, VampPrior) and isinstance(self.posterior, with_variables):
            raise ValueError(
                "The wake phase holds q(z|x) constant, but trains a VampPrior, a mixture of q(z|u)."
                " Expected a posterior without flow steps and levels, or another prior. "
                f"Received: a {type(self.posterior).__name__} with a VampPrior"
            )
        super().check_parts(q, prior)

    def objective(self, x: Tensor, training: bool) -> Objective:
        wake, terms = self._wake(x, training)
        sleep = self._sleep(ops.shape(x)[0], training)
        return Objective(-wake - sleep, {**terms, "sleep": sleep})

    def _wake(self, x: Tensor, training: bool) -> tuple[Tensor, Terms]:
        """The bound at a fixed q(z|x); the gradient of `ELBO` in θ is ∇ log p(x, z)."""
        parameters = map_structure(ops.stop_gradient, self._encoder_parameters(x, training))
        # q(z|x) of a flow or a hierarchy reads variables φ beyond its parameters.
        parts = self.decoder, self.likelihood, self.prior
        of_p = {id(v) for part in parts for v in part.trainable_variables}
        variables = [v for v in self.posterior.trainable_variables if id(v) not in of_p]
        constants = [ops.stop_gradient(v) for v in variables]
        prior = self.prior_distribution()  # before they are replaced: a VampPrior reads them
        with substituted(self, variables, constants) as scope:
            wake = self._bound_terms(x, self.posterior.distribution(*parameters), training, prior)
        if scope.losses:  # penalties of activities, which would be lost with the scope
            self.add_loss(sum(scope.losses))
        return wake

    def _sleep(self, n: Any, training: bool) -> Tensor:
        """log q(z|x) of n pairs (x, z) ~ p(x, z), of shape `[n]`."""
        x, z = map_structure(
            ops.stop_gradient, self.sample_joint(n, self.next_seed(), self.next_seed(), training)
        )
        return self.encode(x, training).log_prob(z)
