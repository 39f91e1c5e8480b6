"""Distributions as Keras layers."""

from keras_aevb.distributions.base import ConditionalDistribution, Trainable
from keras_aevb.distributions.conditional import Conditional, Unconditional
from keras_aevb.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from keras_aevb.distributions.flow import (
    Autoregressive,
    Coupling,
    FlowPosterior,
    FlowPrior,
    FlowStep,
    Reverse,
)
from keras_aevb.distributions.hierarchy import HierarchicalPosterior, HierarchicalPrior
from keras_aevb.distributions.likelihoods import Bernoulli, Normal
from keras_aevb.distributions.mixture import MixturePrior, VampPrior
from keras_aevb.distributions.observed import Observed
from keras_aevb.distributions.posteriors import DiagonalNormal
from keras_aevb.distributions.priors import Prior, StandardNormal

__all__ = [
    "Autoregressive",
    "Bernoulli",
    "Conditional",
    "ConditionalDistribution",
    "Coupling",
    "DiagonalNormal",
    "DiscretizedLogisticMixture",
    "FlowPosterior",
    "FlowPrior",
    "FlowStep",
    "HierarchicalPosterior",
    "HierarchicalPrior",
    "MixturePrior",
    "Normal",
    "Observed",
    "Prior",
    "Reverse",
    "StandardNormal",
    "Trainable",
    "Unconditional",
    "VampPrior",
]
