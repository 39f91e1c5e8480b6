"""Auto-Encoding Variational Bayes (Kingma & Welling, arXiv:1312.6114) for Keras 3."""

from keras_aevb import evaluation, networks, testing
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
from keras_aevb.condition import Condition
from keras_aevb.distributions import (
    Autoregressive,
    Bernoulli,
    Conditional,
    ConditionalDistribution,
    Coupling,
    DiagonalNormal,
    FlowPosterior,
    FlowPrior,
    FlowStep,
    MixturePrior,
    Normal,
    Observed,
    Prior,
    Reverse,
    StandardNormal,
    Trainable,
    Unconditional,
    VampPrior,
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
    "Autoregressive",
    "Bernoulli",
    "Bound",
    "Condition",
    "Conditional",
    "ConditionalDistribution",
    "Coupling",
    "Cyclical",
    "DiagonalNormal",
    "EpochMinibatches",
    "FlowPosterior",
    "FlowPrior",
    "FlowStep",
    "FullVB",
    "ImportanceSampling",
    "ImportanceWeightedBound",
    "LatentVariableModel",
    "MixturePrior",
    "MonteCarloEM",
    "Normal",
    "Observed",
    "PosteriorDensity",
    "Prior",
    "RandomMinibatches",
    "RenyiBound",
    "Replicas",
    "Reverse",
    "RowBatches",
    "ScoreFunctionELBO",
    "StandardNormal",
    "Trainable",
    "Unconditional",
    "VampPrior",
    "VariationalModel",
    "WakeSleep",
    "WeightPrior",
    "__version__",
    "evaluation",
    "gradient_variance",
    "networks",
    "testing",
]
