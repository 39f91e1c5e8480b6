"""Metrics of a trained model, as NumPy arrays.

Layers run in inference mode. `FullVB` uses the mean of q(θ), except for the ELBO and its terms,
log p(x) and Pareto k̂, which use samples θ ~ q(θ).

Symbols: N examples, L Monte Carlo samples for each of them.
"""

from keras_aevb.evaluation.active_units import active_units, posterior_mean_variances
from keras_aevb.evaluation.aggregate_posterior import (
    log_aggregate_posterior,
    sample_aggregate_posterior,
)
from keras_aevb.evaluation.elbo_terms import elbo_terms
from keras_aevb.evaluation.inference_gap import InferenceGap, inference_gap
from keras_aevb.evaluation.kl import kl_by_dimension
from keras_aevb.evaluation.mutual_information import mutual_information
from keras_aevb.evaluation.pareto import pareto_k
from keras_aevb.evaluation.report import Estimate, Report, report

__all__ = [
    "Estimate",
    "InferenceGap",
    "Report",
    "active_units",
    "elbo_terms",
    "inference_gap",
    "kl_by_dimension",
    "log_aggregate_posterior",
    "mutual_information",
    "pareto_k",
    "posterior_mean_variances",
    "report",
    "sample_aggregate_posterior",
]
