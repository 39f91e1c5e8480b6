"""Auto-Encoding Variational Bayes (Kingma & Welling, arXiv:1312.6114) for Keras 3."""

from keras_aevb import networks
from keras_aevb._version import __version__
from keras_aevb.batches import EpochMinibatches, RandomMinibatches, RowBatches
from keras_aevb.bounds import (
    ELBO,
    Bound,
    Cyclical,
    ImportanceWeightedBound,
    RenyiBound,
    ScoreFunctionELBO,
)
from keras_aevb.distributions import (
    Bernoulli,
    ConditionalDistribution,
    DiagonalNormal,
    Normal,
    Prior,
    StandardNormal,
)
from keras_aevb.gradients import gradient_variance
from keras_aevb.marginal_likelihood import (
    AnnealedImportanceSampling,
    ImportanceSampling,
    PosteriorDensity,
)
from keras_aevb.models import (
    AEVB,
    FullVB,
    LatentVariableModel,
    MonteCarloEM,
    Replicas,
    VariationalModel,
    WakeSleep,
)
from keras_aevb.weight_prior import WeightPrior

__all__ = [
    "AEVB",
    "ELBO",
    "AnnealedImportanceSampling",
    "Bernoulli",
    "Bound",
    "ConditionalDistribution",
    "Cyclical",
    "DiagonalNormal",
    "EpochMinibatches",
    "FullVB",
    "ImportanceSampling",
    "ImportanceWeightedBound",
    "LatentVariableModel",
    "MonteCarloEM",
    "Normal",
    "PosteriorDensity",
    "Prior",
    "RandomMinibatches",
    "RenyiBound",
    "Replicas",
    "RowBatches",
    "ScoreFunctionELBO",
    "StandardNormal",
    "VariationalModel",
    "WakeSleep",
    "WeightPrior",
    "__version__",
    "gradient_variance",
    "networks",
]
