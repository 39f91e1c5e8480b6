"""Full variational Bayes."""

import math
from typing import Any, Literal, Unpack

import keras
from keras import ops

from keras_aevb import arguments
from keras_aevb.bounds.base import Bound
from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.normals import LOG_VARIANCE_BOUNDS
from keras_aevb.distributions.priors import Prior
from keras_aevb.models.aevb import AEVB
from keras_aevb.models.latent_variable_model import ModelArguments
from keras_aevb.models.posterior_predictive import PosteriorPredictive
from keras_aevb.models.weight_posterior import WeightPosterior
from keras_aevb.training import adapters
from keras_aevb.typing import Config, Objective, Seed, Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_aevb")
class FullVB(PosteriorPredictive, AEVB):
    r"""Trains q(z|x) and a diagonal normal q(θ) over the generative weights θ.

    $$\max_{μ, σ, φ} \; \frac1M \sum_i \tilde{L}(θ, φ; x_i) - \frac1N KL(q(θ) \,\|\, p(θ)),
    \qquad θ = μ + σ \odot ζ, \quad ζ \sim N(0, I)$$

    over minibatches of M of the N training examples: eq. 24 divided by N. It is a lower bound on
    log p(X) / N, with θ integrated out under p(θ) = N(0, I). θ consists of the variables of
    decoder, likelihood and prior that are trainable when the model is built, except those shared
    with encoder or posterior. Each variable stores its own μ.

    Each batch samples one θ, whereas the paper samples one for each example. The expectation is the
    same, but a batch costs one pass through the decoder instead of M passes and M copies of θ.

    The logs report `weight_kl`, KL(q(θ) ‖ p(θ)) of all weights in nats, and the terms of the bound
    at the sampled θ: `loss` is weight_kl / N - elbo. `val_elbo` therefore measures the fit to new
    examples: its expectation is a lower bound on log E_q(θ)[p(x|θ)], which does not involve
    weight_kl.

    `decode`, `reconstruct` and `predict` use the mean of q(θ); `sample`, `elbo` and
    `log_likelihood` sample θ.

    Args:
        encoder: Keras model from x to features.
        decoder: Keras model from z to features.
        posterior: `ConditionalDistribution` from the encoder's features to q(z|x); it must be
            reparameterisable, unless the bound has a score-function gradient.
        likelihood: `ConditionalDistribution` from the decoder's features to p(x|z).
        prior: `Prior` p(z). Default: a standard normal of the posterior's event shape.
        bound: estimator of the lower bound at a given θ. Default: `ELBO()`, one sample.
        weight_kl: `"analytic"` (eq. 24), or `"sampled"` at the sampled θ (eq. 22). The latter
            with `ELBO(kl="sampled")` is the estimator of higher variance.
        n_train: N; with sample weights, their sum. Default: the model stores the number of examples
            in the arrays passed to `fit`. Required if `fit` receives a stream.
        initial_scale: σ of all weights before training, between exp(-10) and exp(10).
        seed: integer that fixes the noise of training and evaluation. Default: a random one.

    Raises:
        ValueError: if no generative variable is trainable, one has a regularizer, which would
            count p(θ) twice, or one is a factor of LoRA, which files do not contain; a number is
            not positive; or the parts are incompatible, as in `AEVB`.

    Reference: Kingma & Welling (2013), App. F, eqs. 13 to 24 and alg. 2.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.FullVB(**kv.networks.bernoulli_mlp(64, latent_dim=2, hidden_units=32))
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).random((100, 64))
        >>> sorted(model.fit(x, batch_size=20, verbose=0).history)
        ['elbo', 'kl', 'loss', 'reconstruction', 'weight_kl']
        >>> model.n_train
        100.0
    """

    extra_terms = ("weight_kl",)

    def __init__(
        self,
        encoder: keras.Layer,
        decoder: keras.Layer,
        posterior: ConditionalDistribution,
        likelihood: ConditionalDistribution,
        prior: Prior | ConditionalDistribution | None = None,
        bound: Bound | None = None,
        weight_kl: Literal["analytic", "sampled"] = "analytic",
        n_train: float | None = None,
        initial_scale: float = 0.01,
        seed: Seed = None,
        **kwargs: Unpack[ModelArguments],
    ) -> None:
        arguments.choice("weight_kl", weight_kl, ("analytic", "sampled"))
        if n_train is not None:
            arguments.number("n_train", n_train)
        low, high = (math.exp(limit / 2) for limit in LOG_VARIANCE_BOUNDS)
        arguments.number("initial_scale", initial_scale, low, high, inclusive=True)
        super().__init__(encoder, decoder, posterior, likelihood, prior, bound, seed=seed, **kwargs)
        self.weight_kl = weight_kl
        self.initial_scale = initial_scale
        self._given_n_train = n_train
        # A variable, so that a compiled step reads its current value; 0 if N is unknown.
        self._n_train = self._add_variable("n_train", (), n_train or 0, trainable=False)
        means = self._generative_variables()
        log_variances = [
            self._add_variable(f"{v.name}_log_variance", v.shape, 2 * math.log(initial_scale))
            for v in means
        ]
        self.weight_posterior = WeightPosterior(means, log_variances, likelihood.density_dtype)

    def _generative_variables(self) -> list[keras.Variable]:
        variables = self.theta
        if not variables:
            raise ValueError(
                "Expected trainable variables in decoder, likelihood or prior. Received none"
            )
        ids = {id(v) for v in variables}
        adapted = [path for path, (a, _) in adapters.factors(self).items() if id(a) in ids]
        if adapted:
            raise ValueError(
                "Expected `enable_lora` to be called after the model is built, or not at all: a "
                "saved file has one kernel in place of the factors A and B, so q(θ) over them "
                f"would be lost. Received: LoRA in {adapted}"
            )
        for variable in variables:
            if variable.regularizer is not None:
                raise ValueError(
                    "The prior p(θ) = N(0, I) is part of the bound; a regularizer counts it twice. "
                    f"Expected generative variables without one. Received: {variable.path} with "
                    f"{variable.regularizer}"
                )
        return variables

    def _add_variable(
        self, name: str, shape: Shape, value: float, trainable: bool = True
    ) -> keras.Variable:
        return self.add_weight(
            shape,
            initializer=keras.initializers.Constant(value),
            dtype=self.likelihood.density_dtype,
            trainable=trainable,
            name=name,
        )

    # Training

    @property
    def n_train(self) -> float | None:
        """N, or `None` if it is unknown."""
        return float(self._n_train.numpy()) or None

    def adapt(self, x: Tensor) -> None:
        if self._given_n_train is None:
            self._n_train.assign(len(x))

    def check_ready(self, training: bool = True, class_weight: Any = None) -> None:
        if self.n_train is None:
            raise ValueError(
                "The loss contains KL(q(θ) ‖ p(θ)) / N, and the number of training examples N is "
                "unknown until `fit` receives arrays. Expected `FullVB(..., n_train=N)`. "
                "Received: n_train=None"
            )

    def objective(self, x: Tensor, training: bool) -> Objective:
        q, p = self.weight_posterior.distribution(), self.weight_posterior.prior()
        weights = q.sample(seed=self.next_seed())
        with self.at_weights(weights) as scope:
            losses, terms = super().objective(x, training)
        if self.weight_kl == "analytic":
            weight_kl = q.kl_divergence(p)
        else:
            weight_kl = q.log_prob(weights) - p.log_prob(weights)
        if scope.losses:  # penalties of activities, which would be lost with the scope
            self.add_loss(sum(scope.losses))
        losses = losses + weight_kl / self._n_train
        return Objective(losses, {**terms, "weight_kl": ops.full_like(losses, weight_kl)})

    def get_config(self) -> Config:
        """The constructor's arguments.

        Raises:
            ValueError: if other generative variables are trainable than when the model was built.
        """
        theta, means = (
            {id(v): v.path for v in of} for of in (self.theta, self.weight_posterior.means)
        )
        changed = {(theta | means)[i] for i in theta.keys() ^ means.keys()}
        if changed and not adapters.factors(self):  # a file has kernels without factors
            raise ValueError(
                "A file or copy of FullVB has q(θ) over trainable generative variables. Expected "
                "the same ones as when the model was built: freeze or unfreeze them after saving "
                "or copying. "
                f"Received: changes of {sorted(changed)}"
            )
        return {
            **super().get_config(),
            "weight_kl": self.weight_kl,
            "n_train": self._given_n_train,
            "initial_scale": self.initial_scale,
        }
