"""Estimators of a lower bound on log p(x), one value per example.

Symbols: B examples in the batch, L or K Monte Carlo samples.
"""

from keras_aevb.bounds.aggregate_posterior import (
    MaximumMeanDiscrepancyELBO,
    TotalCorrelationELBO,
)
from keras_aevb.bounds.base import Bound
from keras_aevb.bounds.elbo import ELBO
from keras_aevb.bounds.hierarchical import HierarchicalELBO
from keras_aevb.bounds.importance_weighted import ImportanceWeightedBound, RenyiBound
from keras_aevb.bounds.schedule import Cyclical
from keras_aevb.bounds.score_function import ScoreFunctionELBO

__all__ = [
    "ELBO",
    "Bound",
    "Cyclical",
    "HierarchicalELBO",
    "ImportanceWeightedBound",
    "MaximumMeanDiscrepancyELBO",
    "RenyiBound",
    "ScoreFunctionELBO",
    "TotalCorrelationELBO",
]
