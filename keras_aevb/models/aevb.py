"""Auto-Encoding Variational Bayes."""

import keras

from keras_aevb.models.variational_model import VariationalModel
from keras_aevb.typing import Distribution, Objective, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class AEVB(VariationalModel):
    r"""Trains p(x, z) and q(z|x) jointly, by gradient ascent on the lower bound.

    $$\max_{θ, φ} \; \frac1M \sum_i \tilde{L}(θ, φ; x_i), \qquad z = g_φ(ε, x)$$

    over minibatches of M examples: eq. 8 divided by the training set's size N.

    Args:
        encoder: Keras model from x to features.
        decoder: Keras model from z to features.
        posterior: `ConditionalDistribution` from the encoder's features to q(z|x); it must be
            reparameterisable, unless the bound has a score-function gradient.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z). Default: a standard normal of the posterior's event shape.
        bound: estimator of the lower bound. Default: `ELBO()`, one sample.
        seed: integer that fixes the noise of training and evaluation. Default: a random one.

    Raises:
        ValueError: if the posterior is not reparameterisable and the bound's gradient needs it,
            the event shapes of posterior and prior differ, `bound=ELBO(kl="analytic")` has no
            closed form for them, or a part does not accept the output of the previous one.

    Reference: Kingma & Welling (2013), sec. 2.3 and alg. 1.

    Example:
        >>> import keras, numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(
        ...     encoder=keras.Sequential([keras.layers.Dense(32, "tanh")]),
        ...     decoder=keras.Sequential([keras.layers.Dense(32, "tanh")]),
        ...     posterior=kv.DiagonalNormal(2),
        ...     likelihood=kv.Bernoulli(64),
        ... )
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).random((100, 64))
        >>> sorted(model.fit(x, batch_size=20, verbose=0).history)
        ['elbo', 'kl', 'loss', 'reconstruction']
    """

    def objective(self, x: Tensor, training: bool) -> Objective:
        value, terms = self._bound_terms(x, self.encode(x, training), training)
        return Objective(-value, terms)

    def check_parts(self, q: Distribution, prior: Distribution) -> None:
        self.bound.check_gradient(q)
        super().check_parts(q, prior)
