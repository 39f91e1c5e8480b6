"""Distributions as Keras layers."""

from keras_aevb.distributions.base import ConditionalDistribution
from keras_aevb.distributions.likelihoods import Bernoulli, Normal
from keras_aevb.distributions.posteriors import DiagonalNormal
from keras_aevb.distributions.priors import Prior, StandardNormal

__all__ = [
    "Bernoulli",
    "ConditionalDistribution",
    "DiagonalNormal",
    "Normal",
    "Prior",
    "StandardNormal",
]
