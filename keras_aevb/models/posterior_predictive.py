"""What a model with q(θ) over its weights says about x: averages over draws of θ."""

import math

import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfp
from keras_aevb.condition import conditioned_on, features_in_force
from keras_aevb.marginal_likelihood.base import Estimator
from keras_aevb.marginal_likelihood.log_mean import log_mean_exp
from keras_aevb.models.variational_model import VariationalModel
from keras_aevb.models.weight_posterior import WeightPosterior, substituted


class PosteriorPredictive(VariationalModel):
    r"""A variational model with a distribution over its generative weights, p(x) = E_q(θ)[p(x|θ)].

    A subclass makes `weight_posterior`, the `WeightPosterior` q(θ). `encode`, `decode`, `predict`
    and `reconstruct` use the mean of q(θ).
    """

    weight_posterior: WeightPosterior

    def at_weights(self, weights):
        """A context in which the model computes with `weights` θ in place of the mean of q(θ)."""
        values = self.weight_posterior.split(weights)
        return substituted(self, self.weight_posterior.means, values)

    def at_weight_samples(self, function, num_weight_samples, seed, *arrays):
        """`function(seed)`, which uses the model, at draws of θ ~ q(θ).

        Args:
            function: from a TFP seed, and a row of each array, to a structure of tensors.
            num_weight_samples: number of draws.
            seed: TFP seed.
            *arrays: tensors with a row for each draw.

        Returns:
            The tensors, stacked: each of shape `[num_weight_samples, ...]`.

        Raises:
            ValueError: if `num_weight_samples` is not a positive integer.
        """
        num_weight_samples = arguments.integer("num_weight_samples", num_weight_samples)

        def at_draw(seed_and_rows):
            weight_seed, seed = tfp.random.split_seed(seed_and_rows[0])
            with self.at_weights(self.weight_posterior.distribution().sample(seed=weight_seed)):
                return function(seed, *seed_and_rows[1:])

        seeds = ops.stack(tfp.random.split_seed(seed, num_weight_samples))
        return ops.map(at_draw, (seeds, *arrays))

    def sample(
        self,
        n,
        seed=None,
        num_weight_samples=None,
        condition=None,
        batch_size=10_000,
        verbose="auto",
    ):
        """Draws x from the posterior predictive: θ ~ q(θ), z ~ p(z), then x ~ p(x|z).

        Args:
            n, seed, condition, batch_size, verbose: as in `LatentVariableModel`.
            num_weight_samples: draws of θ, which the samples share evenly. Default: n, so that
                the samples are independent.

        Returns:
            NumPy array of shape `[n, *event_shape]`.
        """
        n = arguments.integer("n", n)
        draws = n
        if num_weight_samples is not None:
            draws = arguments.integer("num_weight_samples", num_weight_samples)
        if self.condition is not None and draws != n:
            # Samples of one θ would need the conditions of their rows.
            raise ValueError(
                "Expected a θ for each conditional sample, `num_weight_samples=None`. "
                f"Received: {num_weight_samples}"
            )
        share = math.ceil(n / draws)  # samples of each θ
        y = self.checked_conditions(condition, n)

        def samples(rows, seed):
            def at_draw(seed, *y):
                with self.given(*(part[None] for part in y) if y else [None]):
                    return self.sample_joint(share, *tfp.random.split_seed(seed))[0]

            return self.at_weight_samples(at_draw, rows.shape[0], seed, *([rows] if y else []))

        x = self.in_batches(
            ("sample", share),
            samples,
            [y or [np.arange(draws)]],
            draws,
            max(1, arguments.integer("batch_size", batch_size) // share),
            seed,
            verbose,
        )  # [draws, share, *event_shape]
        return np.swapaxes(x, 0, 1).reshape(-1, *self.likelihood.event_shape)[:n]

    def _draws(self, seed, rows):
        features = features_in_force()

        def draw(i):
            weight_seed, own_seed = tfp.random.split_seed(_backend.fold_in(seed, i))
            weights = self.weight_posterior.distribution().sample(seed=weight_seed)
            own = None if features is None else ops.take(features, [i], axis=0)
            with self.at_weights(weights), conditioned_on(own):
                return super(PosteriorPredictive, self)._draws(own_seed, rows[:1])[0]

        return ops.map(draw, ops.arange(ops.shape(rows)[0]))

    def _bound_values(self, x, seed, num_samples=None):
        """A bound on log E_q(θ)[p(x|θ)]; `num_samples` draws of θ for each batch, by default one.

        For each θ there are the bound's own samples of z.
        """
        num_samples = 1 if num_samples is None else num_samples
        q = self.encode(x)

        def bound(seed):
            terms = self.bound(x, q, self.prior_distribution(), self.decode, seed)
            return terms[self.bound.objective]

        return ops.mean(self.at_weight_samples(bound, num_samples, seed), axis=0)

    def log_likelihood(
        self,
        x,
        num_samples=None,
        method="importance",
        batch_size=100,
        seed=None,
        return_standard_error=False,
        num_weight_samples=10,
        condition=None,
        verbose="auto",
    ):
        """log E_q(θ)[p(x|θ)] of each example, the posterior predictive density, estimated.

        Args:
            x, num_samples, method, batch_size, seed, return_standard_error, condition, verbose: as
                in `LatentVariableModel`; `num_samples` is for each θ.
            num_weight_samples: draws of θ for each batch. The standard error comes from the spread
                of p(x|θ) over them; it is NaN for a single one.

        Returns:
            NumPy array of shape `[N]`, in nats; or a pair of them, estimates and standard errors.

        Raises:
            ValueError: as in `LatentVariableModel`, or if `num_weight_samples` is not positive.
        """
        density = self.estimator(method, num_samples, num_weight_samples)
        return super().log_likelihood(
            x, None, density, batch_size, seed, return_standard_error, condition, verbose
        )

    def estimator(self, method, num_samples=None, num_weight_samples=10):
        if isinstance(method, PredictiveDensity):
            return method
        return PredictiveDensity(self, super().estimator(method, num_samples), num_weight_samples)


class PredictiveDensity(Estimator):
    """An estimator of log p(x|θ) as one of log E_q(θ)[p(x|θ)]."""

    def __init__(self, model, estimator, num_weight_samples):
        super().__init__(estimator.num_samples, num_weight_samples=num_weight_samples)
        self.model = model
        self.estimator = estimator

    def __call__(self, x, q, prior, decode, seed):
        def at_weights(seed):
            return self.estimator(x, q, self.model.prior_distribution(), decode, seed)

        estimates = self.model.at_weight_samples(at_weights, self.num_weight_samples, seed)
        log_mean, standard_error = log_mean_exp(estimates.pop("log_likelihood"))
        of_each_example = {name: ops.swapaxes(e, 0, 1) for name, e in estimates.items()}
        return {**of_each_example, "log_likelihood": log_mean, "standard_error": standard_error}

    def check(self, q, prior):
        self.estimator.check(q, prior)

    def check_estimates(self, estimates):
        self.estimator.check_estimates(estimates)

    def get_config(self):
        estimator = (self.estimator.__class__, *self.estimator.get_config().items())
        return {**super().get_config(), "estimator": estimator}
