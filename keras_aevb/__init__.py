"""Auto-Encoding Variational Bayes (Kingma & Welling, arXiv:1312.6114) for Keras 3."""

from keras_aevb import networks
from keras_aevb._version import __version__
from keras_aevb.bounds import ELBO
from keras_aevb.distributions import (
    Bernoulli,
    ConditionalDistribution,
    DiagonalNormal,
    Normal,
    Prior,
    StandardNormal,
)
from keras_aevb.models import AEVB, LatentVariableModel, VariationalModel, WakeSleep

__all__ = [
    "AEVB",
    "ELBO",
    "Bernoulli",
    "ConditionalDistribution",
    "DiagonalNormal",
    "LatentVariableModel",
    "Normal",
    "Prior",
    "StandardNormal",
    "VariationalModel",
    "WakeSleep",
    "__version__",
    "networks",
]
