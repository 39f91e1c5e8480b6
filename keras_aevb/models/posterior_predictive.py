"""Posterior predictive of a model with q(θ) over its weights: averages over samples of θ."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aevb import _backend, arguments
from keras_aevb._backend import tfp
from keras_aevb.condition import conditioned_on, current_features
from keras_aevb.marginal_likelihood import Method
from keras_aevb.marginal_likelihood.base import Estimator
from keras_aevb.marginal_likelihood.log_mean import log_mean_exp
from keras_aevb.models.substitution import substituted
from keras_aevb.models.variational_model import VariationalModel
from keras_aevb.models.weight_posterior import WeightPosterior
from keras_aevb.typing import (
    ConditionLike,
    Config,
    Decode,
    Distribution,
    Examples,
    Seed,
    Tensor,
    Terms,
    Verbose,
)


class PosteriorPredictive(VariationalModel):
    r"""A variational model with a distribution over its generative weights, p(x) = E_q(θ)[p(x|θ)].

    A subclass sets `weight_posterior`, the `WeightPosterior` q(θ). `encode`, `decode`, `predict`
    and `reconstruct` use the mean of q(θ).
    """

    weight_posterior: WeightPosterior

    def at_weights(self, weights: Tensor) -> AbstractContextManager[keras.StatelessScope]:
        """A context in which the model uses the `weights` θ in place of the mean of q(θ)."""
        means = self.weight_posterior.means
        own = {id(v) for v in self.variables}
        if lost := [v.path for v in means if id(v) not in own]:
            raise ValueError(
                "q(θ) is over weights that the model no longer has, as after `quantize`. Expected "
                f"a model with the variables of its `weight_posterior`. Received: none of {lost}"
            )
        return substituted(self, means, self.weight_posterior.split(weights))

    def at_weight_samples(
        self, function: Callable[..., Any], num_weight_samples: int, seed: Tensor, *arrays: Tensor
    ) -> Any:
        """Evaluates a function of the model at samples θ ~ q(θ).

        Args:
            function: maps a TFP seed, and a row of each array, to a structure of tensors.
            num_weight_samples: number of samples.
            seed: TFP seed.
            *arrays: tensors with a row for each sample.

        Returns:
            The tensors, stacked: each of shape `[num_weight_samples, ...]`.

        Raises:
            ValueError: if `num_weight_samples` is not a positive integer.
        """
        num_weight_samples = arguments.integer("num_weight_samples", num_weight_samples)

        def at_draw(seed_and_rows: tuple[Tensor, ...]) -> Any:
            weight_seed, seed = tfp.random.split_seed(seed_and_rows[0])
            with self.at_weights(self.weight_posterior.distribution().sample(seed=weight_seed)):
                return function(seed, *seed_and_rows[1:])

        seeds = ops.stack(tfp.random.split_seed(seed, num_weight_samples))
        return ops.map(at_draw, (seeds, *arrays))

    def sample(
        self,
        n: int,
        seed: Seed = None,
        condition: ConditionLike | None = None,
        batch_size: int = 10_000,
        verbose: Verbose = "auto",
        num_weight_samples: int | None = None,
    ) -> np.ndarray:
        """Samples x from the posterior predictive: θ ~ q(θ), z ~ p(z), then x ~ p(x|z).

        Args:
            n, seed, condition, batch_size, verbose: as in `LatentVariableModel`.
            num_weight_samples: samples of θ; each is used for an equal share of the samples of x.
                Default: n, so that the samples of x are independent.

        Returns:
            NumPy array of shape `[n, *event_shape]`.
        """
        n = arguments.integer("n", n)
        draws = n
        if num_weight_samples is not None:
            draws = arguments.integer("num_weight_samples", num_weight_samples)
        if self.condition is not None and draws != n:
            # Samples that share a θ would need the conditions of their rows.
            raise ValueError(
                "Expected `num_weight_samples=None`, a θ for each conditional sample. "
                f"Received: {num_weight_samples}"
            )
        share = math.ceil(n / draws)  # samples of each θ
        y = self.checked_conditions(condition, n)

        def samples(rows: Tensor, seed: Tensor) -> Tensor:
            def at_draw(seed: Tensor, *y: Tensor) -> Tensor:
                with self.given(y[0][None] if y else None):
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

    def _draws(self, seed: Tensor, rows: Tensor) -> Tensor:
        features = current_features()

        def draw(i: Tensor) -> Tensor:
            weight_seed, own_seed = tfp.random.split_seed(_backend.fold_in(seed, i))
            weights = self.weight_posterior.distribution().sample(seed=weight_seed)
            own = None if features is None else ops.take(features, [i], axis=0)
            with self.at_weights(weights), conditioned_on(own):
                return super(PosteriorPredictive, self)._draws(own_seed, rows[:1])[0]

        return ops.map(draw, ops.arange(ops.shape(rows)[0]))

    def _bound_values(self, x: Tensor, seed: Tensor, num_samples: int | None = None) -> Tensor:
        """A bound on log E_q(θ)[p(x|θ)], from `num_samples` samples of θ per batch (default: one).

        For each θ, the bound takes its own number of samples of z.
        """
        num_samples = 1 if num_samples is None else num_samples
        q = self.encode(x)

        def bound(seed: Tensor) -> Tensor:
            terms = self.bound.evaluated(x, q, self.prior_distribution(), self.decode, seed)
            return terms[self.bound.objective]

        return _backend.mean(self.at_weight_samples(bound, num_samples, seed), axis=0)

    def log_likelihood(
        self,
        x: Examples,
        num_samples: int | None = None,
        method: Method = "importance",
        batch_size: int = 100,
        seed: Seed = None,
        return_standard_error: bool = False,
        condition: ConditionLike | None = None,
        verbose: Verbose = "auto",
        num_weight_samples: int = 10,
    ) -> np.ndarray | Any:
        """Estimates log E_q(θ)[p(x|θ)], the posterior predictive log density, of each example.

        Args:
            x, num_samples, method, batch_size, seed, return_standard_error, condition, verbose: as
                in `LatentVariableModel`; `num_samples` is for each θ.
            num_weight_samples: samples of θ for each batch. The standard error comes from the
                spread of p(x|θ) over them; it is NaN for a single one.

        Returns:
            NumPy array of shape `[N]`, in nats; or a pair of them, estimates and standard errors.

        Raises:
            ValueError: as in `LatentVariableModel`, or if `num_weight_samples` is not positive.
        """
        density = self.estimator(method, num_samples, num_weight_samples)
        return super().log_likelihood(
            x, None, density, batch_size, seed, return_standard_error, condition, verbose
        )

    def estimator(
        self, method: Method, num_samples: int | None = None, num_weight_samples: int = 10
    ) -> Estimator:
        if isinstance(method, PredictiveDensity):
            return method
        return PredictiveDensity(self, super().estimator(method, num_samples), num_weight_samples)


class PredictiveDensity(Estimator):
    """Turns an estimator of log p(x|θ) into one of log E_q(θ)[p(x|θ)]."""

    num_weight_samples: int

    def __init__(
        self, model: PosteriorPredictive, estimator: Estimator, num_weight_samples: int
    ) -> None:
        super().__init__(estimator.num_samples, num_weight_samples=num_weight_samples)
        self.model = model
        self.estimator = estimator

    def __call__(
        self, x: Tensor, q: Distribution | None, prior: Distribution, decode: Decode, seed: Tensor
    ) -> Terms:
        def at_weights(seed: Tensor) -> Terms:
            return self.estimator.evaluated(x, q, self.model.prior_distribution(), decode, seed)

        estimates = self.model.at_weight_samples(at_weights, self.num_weight_samples, seed)
        log_mean, standard_error = log_mean_exp(estimates.pop("log_likelihood"))
        of_each_example = {name: ops.swapaxes(e, 0, 1) for name, e in estimates.items()}
        return {**of_each_example, "log_likelihood": log_mean, "standard_error": standard_error}

    def check(self, q: Distribution | None, prior: Distribution) -> None:
        self.estimator.check(q, prior)

    def check_estimates(self, estimates: Mapping[str, np.ndarray]) -> None:
        self.estimator.check_estimates(estimates)

    def get_config(self) -> Config:
        estimator = (self.estimator.__class__, *self.estimator.get_config().items())
        return {**super().get_config(), "estimator": estimator}
