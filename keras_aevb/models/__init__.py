"""Algorithms that train a latent-variable model, as Keras models behind one interface."""

from keras_aevb.models.aevb import AEVB
from keras_aevb.models.full_vb import FullVB
from keras_aevb.models.latent_variable_model import LatentVariableModel
from keras_aevb.models.monte_carlo_em import MonteCarloEM
from keras_aevb.models.replicas import Replicas
from keras_aevb.models.semi_supervised import SemiSupervisedAEVB
from keras_aevb.models.variational_model import VariationalModel
from keras_aevb.models.wake_sleep import WakeSleep

__all__ = [
    "AEVB",
    "FullVB",
    "LatentVariableModel",
    "MonteCarloEM",
    "Replicas",
    "SemiSupervisedAEVB",
    "VariationalModel",
    "WakeSleep",
]
