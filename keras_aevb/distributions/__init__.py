"""Distributions as Keras layers."""

from keras_aevb.distributions.base import ConditionalDistribution, Trainable
from keras_aevb.distributions.conditional import Conditional, Unconditional
from keras_aevb.distributions.likelihoods import Bernoulli, Normal
from keras_aevb.distributions.posteriors import DiagonalNormal
from keras_aevb.distributions.priors import Prior, StandardNormal

__all__ = [
    "Bernoulli",
    "Conditional",
    "ConditionalDistribution",
    "DiagonalNormal",
    "Normal",
    "Prior",
    "StandardNormal",
    "Trainable",
    "Unconditional",
]
